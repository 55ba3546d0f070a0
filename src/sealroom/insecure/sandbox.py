"""The sandbox of the simulated enclave: what this machine offers to hold a program that nobody could read.

What for: the program inside gets the files of its manifest, a spool, scratch memory, and nothing else.
bubblewrap gives all of it. Without bubblewrap there is less, and the list of protections says exactly what.

Must never: claim a protection that was not tried on this machine just before.
Spec page: docs/spec/launch-folder.md, "The sandbox".
"""

import os
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Self

from sealroom.core.wire.spool import INBOX, INPUTS
from sealroom.insecure.confinement import Confinement, is_possible
from sealroom.insecure.landlock import FileRules, hides_other_processes, landlock_version
from sealroom.insecure.launch_folder import CheckedLaunch
from sealroom.insecure.namespaces import Mounts
from sealroom.insecure.needs import Network
from sealroom.insecure.seccomp import filter_for

INSIDE = "/sealroom"
DEVICE_NAME = "attestation"

# Written by the host, read by the enclave.
_READ_ONLY_IN_SPOOL = (INBOX, INPUTS)
# What stands for the enclave's folders in memory where they cannot be mounted.
_SCRATCH = "scratch"
_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
_STREAMS = {"fd": "", "stdin": "/0", "stdout": "/1", "stderr": "/2"}
_HOST_NAME = "enclave"
_SHARED = {Network.NONE: (), Network.SERVES: ("--share-net",), Network.CONNECTS: ("--share-net",)}
_NETWORKS = {
    Network.SERVES: "a service: takes connections on the host's network, and makes none",
    Network.CONNECTS: "a service: takes connections on the host's network, and makes its own",
}
_RESOLVER = (Path("/etc/resolv.conf"), Path("/etc/hosts"))
# DuckDB, for one, reads the limits of control groups there.
_HIDDEN = (Path("/sys"),)
_PROBE_SECONDS = 20
_ELF_PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")
_PT_INTERP = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """One protection: its name, whether it is on for this enclave, and what it does or why it is off."""

    name: str
    on: bool
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """How one enclave is started. `tool` is bubblewrap and its arguments, empty without it."""

    launch: CheckedLaunch
    tool: tuple[str, ...]
    confinement: Confinement
    seccomp: bytes | None
    protections: tuple[Protection, ...]

    def start(self, *, console: int) -> subprocess.Popen[bytes]:
        """Start the enclave's interpreter with its measured arguments; what it prints goes to `console`.

        The caller must not have started threads: the child confines itself between fork and exec.
        """
        with _Command(self.tool, self.seccomp) as command:
            return subprocess.Popen(  # noqa: S603 - fixed program, measured arguments
                (*command.words, *self._program()),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                cwd="/",
                env=self._environment(),
                pass_fds=command.descriptors,
                start_new_session=not self.tool,
                preexec_fn=self.confinement.apply,
            )

    def _program(self) -> tuple[str, ...]:
        # The first measured string is a bare name, by which an interpreter without PATH finds no library.
        if self.tool:
            return (self.launch.interpreter, *self.launch.argv[1:])
        outside = _outside(self.launch)
        return tuple(_map_path(text, outside) for text in (self.launch.interpreter, *self.launch.argv[1:]))

    def _environment(self) -> dict[str, str]:
        if self.tool:
            # The sandbox clears what it was started with, and sets the manifest's own values.
            return {}
        outside = _outside(self.launch)
        return {
            key: ":".join(_map_path(part, outside) for part in value.split(":"))
            for key, value in self.launch.environment.items()
        }


def choose_sandbox(launch: CheckedLaunch) -> Sandbox:
    """Return the strongest sandbox that works on this machine, each candidate tried before it is chosen."""
    limits, network = launch.needs.limits, launch.needs.network
    seccomp, mounts = filter_for(network=network), _mounts(launch)
    mounts.memory.mkdir(mode=0o700, exist_ok=True)
    bubblewrap = shutil.which("bwrap")
    reason = "bubblewrap is not installed" if bubblewrap is None else "bubblewrap does not work here"
    candidates = product((seccomp, None), (mounts, None), (True, False), (True, False)) if bubblewrap else ()
    for tried, own_mounts, with_proc, with_size in candidates:
        sandbox = Sandbox(
            launch=launch,
            tool=_bubblewrap(
                str(bubblewrap), launch, own_mounts=own_mounts, with_proc=with_proc, with_size=with_size
            ),
            confinement=Confinement(limits=limits, mounts=own_mounts),
            seccomp=tried,
            protections=tuple(_protections_of_bubblewrap(tried, own_mounts, network)),
        )
        if _works(sandbox):
            return sandbox
    return _without_bubblewrap(launch, reason=reason, limits=limits, seccomp=seccomp)


def _mounts(launch: CheckedLaunch) -> Mounts:
    """Return what takes the right to run what the program writes, and to write what it only reads."""
    shared = tuple(mount.host_path for mount in launch.mounts if mount.writable)
    inner = (folder / name for folder in shared for name in _READ_ONLY_IN_SPOOL)
    return Mounts(
        shared=shared,
        read_only=tuple(folder for folder in inner if folder.is_dir()),
        memory=launch.folder / _SCRATCH,
        max_memory=launch.needs.max_memory,
        hidden=tuple(folder for folder in _HIDDEN if folder.is_dir()),
    )


def _without_bubblewrap(
    launch: CheckedLaunch, *, reason: str, limits: tuple[tuple[int, int], ...], seccomp: bytes | None
) -> Sandbox:
    files, mounts = _file_rules(launch) if landlock_version() else None, _mounts(launch)
    steps: tuple[Callable[[Confinement], Confinement], ...] = (
        lambda weaker: replace(weaker, isolate=True),
        lambda weaker: replace(weaker, mounts=mounts),
        lambda weaker: replace(weaker, files=files),
        lambda weaker: replace(weaker, seccomp=seccomp),
    )
    network = launch.needs.network
    confinement = Confinement(
        limits=limits, no_new_privileges=True, keeps_network=network is not Network.NONE
    )
    for step in steps:
        stronger = step(confinement)
        if is_possible(stronger):
            confinement = stronger
    return Sandbox(
        launch=launch,
        tool=(),
        confinement=confinement,
        seccomp=confinement.seccomp,
        protections=tuple(_protections_without(reason, confinement, network)),
    )


def _file_rules(launch: CheckedLaunch) -> FileRules:
    loader = loader_of(launch.runtime / "bin" / "python3")
    measured = [mount.host_path for mount in launch.mounts if not mount.writable]
    writable = [mount.host_path for mount in launch.mounts if mount.writable]
    return FileRules(
        readable=(*measured, *((Path(loader),) if loader else ()), Path("/proc/self"), *_resolver(launch)),
        usable=(launch.folder / DEVICE_NAME, *map(Path, _DEVICES)),
        changeable=(*writable, launch.folder / _SCRATCH),
    )


def _bubblewrap(
    program: str, launch: CheckedLaunch, *, own_mounts: Mounts | None, with_proc: bool, with_size: bool
) -> tuple[str, ...]:
    """Return the command; inside containers there may be no /proc to mount, and old versions know no size."""
    command = [program, "--unshare-all", *_SHARED[launch.needs.network], "--as-pid-1"]
    command += ["--die-with-parent", "--new-session", "--clearenv"]
    command += ["--hostname", _HOST_NAME, "--cap-drop", "ALL"]
    for key, value in launch.environment.items():
        command += ["--setenv", key, value]
    for path in _DEVICES:
        command += ["--dev-bind", path, path]
    for name, descriptor in _STREAMS.items():
        command += ["--symlink", f"/proc/self/fd{descriptor}", f"/dev/{name}"]
    # Read-only: by its own /proc/self/mem a program could write to its measured code.
    command += ["--proc", "/proc", "--remount-ro", "/proc"] if with_proc else []
    memory = str(launch.needs.max_memory)
    for path in launch.scratch:
        if own_mounts is not None:
            command += ["--bind", str(own_mounts.memory), path]
        else:
            command += [*(("--size", memory) if with_size else ()), "--tmpfs", path]
    for mount in launch.mounts:
        command += ["--bind" if mount.writable else "--ro-bind", str(mount.host_path), mount.inside]
        for name in _READ_ONLY_IN_SPOOL if mount.writable else ():
            if (mount.host_path / name).is_dir():
                command += ["--ro-bind", str(mount.host_path / name), f"{mount.inside}/{name}"]
    command += [word for file in _resolver(launch) for word in ("--ro-bind", str(file.resolve()), str(file))]
    device = launch.folder / DEVICE_NAME
    command += ["--ro-bind", str(device), f"{INSIDE}/{DEVICE_NAME}"]
    loader = loader_of(launch.runtime / "bin" / "python3")
    if loader is not None:
        command += ["--ro-bind", str(launch.runtime / "lib" / Path(loader).name), loader]
    return (*command, "--remount-ro", "/", "--chdir", "/")


def _resolver(launch: CheckedLaunch) -> tuple[Path, ...]:
    """Return what names are resolved by, where the program makes connections of its own."""
    if launch.needs.network is not Network.CONNECTS:
        return ()
    return tuple(path for path in _RESOLVER if path.is_file())


def _works(sandbox: Sandbox) -> bool:
    """Start the interpreter once inside, doing nothing."""
    try:
        with _Command(sandbox.tool, sandbox.seccomp) as command:
            tried = subprocess.run(  # noqa: S603 - fixed program
                (*command.words, sandbox.launch.interpreter, "-I", "-S", "-B", "-c", "pass"),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={},
                pass_fds=command.descriptors,
                preexec_fn=sandbox.confinement.apply,
                timeout=_PROBE_SECONDS,
                check=False,
            )
    except (OSError, subprocess.SubprocessError):
        return False
    return tried.returncode == 0


def _protections_of_bubblewrap(
    seccomp: bytes | None, mounts: Mounts | None, network: Network = Network.NONE
) -> Iterator[Protection]:
    yield _no_network(network, isolated=True)
    yield Protection(name="private-files", on=True, detail="sees the manifest's files, the spool, /tmp")
    yield Protection(name="private-processes", on=True, detail="a process namespace of its own")
    yield Protection(name="no-capabilities", on=True, detail="all capabilities dropped")
    yield _no_code_from_data(mounts)
    yield from _protections_everywhere(seccomp, network)


def _protections_without(
    reason: str, confinement: Confinement, network: Network = Network.NONE
) -> Iterator[Protection]:
    isolated, landlock = confinement.isolate, confinement.files is not None
    yield _no_network(network, isolated=isolated)
    files = "Landlock: the manifest's files, the spool, a scratch folder; sees which other paths exist"
    if not landlock:
        files = f"{reason}, nor Landlock in this kernel: sees what the server's account sees"
    yield Protection(name="private-files", on=landlock, detail=files)
    scoped = landlock and hides_other_processes()
    processes = (
        "Landlock: no look at others and no signals to them" if scoped else f"{reason}: can signal others"
    )
    yield Protection(name="private-processes", on=scoped, detail=processes)
    capabilities = "a user namespace without rights outside" if isolated else "namespaces cannot be made here"
    yield Protection(name="no-capabilities", on=isolated, detail=capabilities)
    yield _no_code_from_data(confinement.mounts)
    yield from _protections_everywhere(confinement.seccomp, network)


def _no_network(network: Network, *, isolated: bool) -> Protection:
    if network is not Network.NONE:
        return Protection(name="no-network", on=False, detail=_NETWORKS[network])
    detail = "a network namespace with nothing in it" if isolated else "namespaces cannot be made here"
    return Protection(name="no-network", on=isolated, detail=detail)


def _no_code_from_data(mounts: Mounts | None) -> Protection:
    detail = "what it writes to files is not executed or loaded" if mounts else "can load what it writes"
    return Protection(name="no-code-from-data", on=mounts is not None, detail=detail)


def _protections_everywhere(seccomp: bytes | None, network: Network) -> Iterator[Protection]:
    sockets = "pairs of local sockets" if network is Network.NONE else "sockets of TCP"
    calls = f"threads and {sockets}, no new processes" if seccomp else "takes no filter"
    yield Protection(name="system-calls", on=seccomp is not None, detail=calls)
    by_one = bool(landlock_version())
    writing = "Landlock: in C too, the program changes only its /tmp; results are written by our thread"
    if not by_one:
        writing = "no Landlock in this kernel: C code can write into the spool"
    yield Protection(name="spool-by-us-alone", on=by_one, detail=writing)
    yield Protection(name="resource-limits", on=True, detail="memory, time, file size, open files, no core")
    yield Protection(name="minimal-environment", on=True, detail="the variables of the manifest alone")
    yield Protection(name="ends-with-supervisor", on=True, detail="killed by the kernel when its parent dies")


def _outside(launch: CheckedLaunch) -> Mapping[str, str]:
    """Map what the manifest mounts to where it lies on this machine, for a program that sees the machine."""
    outside = {mount.inside: str(mount.host_path) for mount in launch.mounts}
    return outside | dict.fromkeys(launch.scratch, str(launch.folder / _SCRATCH))


def _map_path(text: str, outside: Mapping[str, str]) -> str:
    for inside, host_path in outside.items():
        if text == inside or text.startswith(f"{inside}/"):
            return host_path + text[len(inside) :]
    return text


def loader_of(program: Path) -> str | None:
    """Return the path under which an ELF program asks for its dynamic loader, `None` for a static one."""
    with program.open("rb") as file:
        header = file.read(64)
        (table,) = struct.unpack_from("<Q", header, 32)
        size, count = struct.unpack_from("<HH", header, 54)
        file.seek(table)
        rows = file.read(size * count)
        for index in range(count):
            kind, _, offset, _, _, length, _, _ = _ELF_PROGRAM_HEADER.unpack_from(rows, index * size)
            if kind == _PT_INTERP:
                file.seek(offset)
                return file.read(length).rstrip(b"\0").decode()
    return None


class _Command:
    """The words that start bubblewrap, in a `with` block that holds the descriptors they name.

    Its arguments go by descriptor: its command line can be read inside, and names no path of the host.
    """

    def __init__(self, tool: tuple[str, ...], seccomp: bytes | None) -> None:
        self.words: tuple[str, ...] = ()
        self.descriptors: tuple[int, ...] = ()
        if tool:
            program, *arguments = tool
            if seccomp is not None:
                arguments += ["--seccomp", str(self._hold(seccomp))]
            listed = b"".join(argument.encode() + b"\0" for argument in arguments)
            self.words = (program, "--args", str(self._hold(listed)))

    def _hold(self, content: bytes) -> int:
        descriptor = os.memfd_create("sandbox", os.MFD_CLOEXEC)
        self.descriptors += (descriptor,)
        os.write(descriptor, content)
        os.lseek(descriptor, 0, os.SEEK_SET)
        return descriptor

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in self.descriptors:
            os.close(descriptor)
