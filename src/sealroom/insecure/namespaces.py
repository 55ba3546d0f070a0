"""Namespaces of a process's own, and the mounts in them that take rights away.

What for: a user namespace lets anybody make a mount table of their own. In it, what the program may write
cannot be executed or mapped as code, what only the host writes is read-only, and its temporary folder is
memory of a bounded size. Kernel documentation: user_namespaces(7), mount(2).

Must never: leave the process with a right of the namespace that it did not have outside.
Spec page: docs/spec/launch-folder.md, "The sandbox".
"""

import ctypes
import os
from dataclasses import dataclass
from pathlib import Path

_CLONE_NEWNS = 0x00020000
_CLONE_NEWUTS = 0x04000000
_CLONE_NEWIPC = 0x08000000
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_OWN_MOUNTS = _CLONE_NEWUSER | _CLONE_NEWNS
_ISOLATION = _CLONE_NEWIPC | _CLONE_NEWUTS

_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 1, 2, 4, 8
_MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 0x20, 0x1000, 0x4000, 0x40000
_DATA_ONLY = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC

_PR_CAPBSET_DROP = 24
_MAX_CAPABILITY = 63

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mounts:
    """What is mounted over itself: `shared` without execution, `read_only` below it.

    `memory` becomes an empty file system in memory of at most `max_memory` bytes; `hidden` becomes empty for
    good: libraries take a file that is there and cannot be read for an error.
    """

    shared: tuple[Path, ...]
    read_only: tuple[Path, ...]
    memory: Path
    max_memory: int
    hidden: tuple[Path, ...] = ()


def enter_namespaces(mounts: Mounts | None, *, isolate: bool, keep_network: bool = False) -> None:
    """Move this process, which has one thread, to namespaces of its own; raises `OSError`.

    `mounts` are made in a mount namespace; `isolate` takes network, IPC and host name away, or all but
    the network with `keep_network`. The process keeps its user and group, and has rights in the new
    namespaces until it executes a program.
    """
    kinds = (_OWN_MOUNTS if mounts else _CLONE_NEWUSER) | (_ISOLATION if isolate else 0)
    kinds |= _CLONE_NEWNET if isolate and not keep_network else 0
    user, group = os.geteuid(), os.getegid()
    _check(_libc.unshare(kinds), "unshare")
    # In this order: a group can be mapped only where it cannot be given up any more.
    _write("setgroups", "deny")
    _write("uid_map", f"{user} {user} 1")
    _write("gid_map", f"{group} {group} 1")
    if mounts is not None:
        _make(mounts)


def drop_rights_on_execute() -> None:
    """See to it that the next program has no capability, whoever the user is."""
    for capability in range(_MAX_CAPABILITY + 1):
        if _libc.prctl(_PR_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0) != 0:
            # Beyond the last one that this kernel knows.
            break


def _make(mounts: Mounts) -> None:
    _mount(None, Path("/"), _MS_REC | _MS_PRIVATE)
    size = f"size={mounts.max_memory},mode=0700"
    _mount("tmpfs", mounts.memory, _DATA_ONLY, kind="tmpfs", options=size)
    for folder in mounts.hidden:
        _mount("tmpfs", folder, _DATA_ONLY | _MS_RDONLY, kind="tmpfs")
    for folder in mounts.shared:
        _bind(folder, _DATA_ONLY)
    for folder in mounts.read_only:
        _bind(folder, _DATA_ONLY | _MS_RDONLY)


def _bind(folder: Path, flags: int) -> None:
    _mount(str(folder), folder, _MS_BIND)
    # The flags of a mount take a second call.
    _mount(None, folder, _MS_BIND | _MS_REMOUNT | flags)


def _mount(source: str | None, target: Path, flags: int, *, kind: str = "", options: str = "") -> None:
    result = _libc.mount(
        None if source is None else os.fsencode(source),
        os.fsencode(target),
        kind.encode() or None,
        ctypes.c_ulong(flags),
        options.encode() or None,
    )
    _check(result, f"mount {target.name}")


def _write(name: str, text: str) -> None:
    descriptor = os.open(f"/proc/self/{name}", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _check(result: int, call: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")
