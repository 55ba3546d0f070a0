"""The launch folder of a service: filled once, copied for a restart, handed to a supervisor.

Must never: let a name from a package choose a path outside the folder, or put anything into the folder that
the manifest does not name. Spec page: docs/spec/launch-folder.md; docs/spec/services.md, "Operator's folder".
"""

import hashlib
import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from sealroom.adapters.release import service_sources
from sealroom.core.measurement.platform_tags import platform_of_runtime
from sealroom.core.measurement.release import Release
from sealroom.core.measurement.service_package import ServicePackage, read_member
from sealroom.core.measurement.template import (
    ARGUMENTS_PATH,
    CODE_FOLDER,
    PACKAGES_FOLDER,
    MeasuredFile,
    service_manifest,
)
from sealroom.core.wire.service_arguments import Connections, ServiceArguments, parse_service_arguments
from sealroom.core.wire.service_spool import CHAIN, CODE_LIST, MAX_CHAIN_BYTES
from sealroom.server.launchers.base import CodeSource, LaunchError, LaunchState, WheelSource
from sealroom.server.launchers.folders import (
    MANIFEST_PATH,
    FolderLauncher,
    Staged,
    copy_code,
    copy_files,
    look_at,
    run_module,
    write_file,
)
from sealroom.server.launchers.host_files import HOST_FOLDER, ORDER, LaunchOrder, read_small, write_whole
from sealroom.server.launchers.packages import unpack_packages
from sealroom.server.launchers.simulated import SimulatedLauncher
from sealroom.server.launchers.spool_files import SPOOL_FOLDER, Spool

# A service finishes its requests for thirty seconds, and its application may clean up.
GRACE_SECONDS = 40
# Certificate, quote, state, metrics and the access log, each twice while it is renewed.
MAX_SPOOL_BYTES = 64 << 20

_SUPERVISOR_MODULE = "sealroom.server.supervisor"
# A service waits and runs as long as its operator wants: its own measured time-out ends the waiting.
_NO_DEADLINE = datetime(9999, 1, 1, tzinfo=UTC)
_NO_LIMIT_SECONDS = 1 << 40
# What belongs to one start alone; everything else was measured, and is the same after a restart.
_OF_ONE_START = frozenset(("host", "spool", "attestation", "scratch", "collateral.json"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePlan:
    """Everything that decides the launch folder of a service.

    `package_file` is the file that `package` was read from. `chain` are the certificates that go with a TLS
    key of one's own, `None` where none is delivered.
    """

    arguments: ServiceArguments
    package_file: Path
    package: ServicePackage
    wheels: tuple[WheelSource, ...]
    chain: bytes | None


class SimulatedServiceLauncher(SimulatedLauncher):
    """The simulated TEE with the runtime that services have."""

    def stage(self, folder: Path, release: Release) -> Staged:
        """Have the TEE write its PAL and the list of its runtime."""
        return self.stage_with(folder, release, "--serves")


class ServiceLauncher:
    """Fills and starts launch folders of services with what `launcher` knows of its kind of TEE."""

    def __init__(self, launcher: FolderLauncher) -> None:
        self._launcher = launcher

    def fill(self, folder: Path, plan: ServicePlan, *, epoch: int) -> None:
        """Fill a new, empty launch folder. What is in it after an error is of no use.

        Raises `MalformedError` or `VerificationError` for packages that break a rule, `LaunchError` where
        this machine cannot run the service.
        """
        if plan.arguments.tee is not self._launcher.tee:
            raise LaunchError(f"arguments: tee is {plan.arguments.tee.value}, not {self._launcher.tee.value}")
        for name in (HOST_FOLDER, PACKAGES_FOLDER):
            (folder / name).mkdir(mode=0o700)
        raw_arguments = plan.arguments.to_bytes()
        write_file(folder / ARGUMENTS_PATH, raw_arguments)
        copy_files(folder, service_sources())
        code = _code_sources(plan)
        copy_code(folder, code)
        release = self._launcher.load_release()
        staged = self._launcher.stage(folder, release)
        platform = platform_of_runtime(file.path for file in staged.runtime)
        packages = unpack_packages(folder, plan.wheels, platform) if plan.wheels else ()
        manifest = service_manifest(
            arguments_sha256=hashlib.sha256(raw_arguments).digest(),
            first_party=release.service_first_party,
            code=[MeasuredFile(path=f"{CODE_FOLDER}/{file.path}", sha256=file.sha256) for file in code],
            packages=packages,
            runtime=staged.runtime,
            max_memory=plan.arguments.max_memory,
            connects=plan.arguments.connect is Connections.ANY,
            pal=staged.pal,
        )
        write_file(folder / MANIFEST_PATH, manifest)
        self._launcher.complete(folder, manifest)
        order = LaunchOrder(
            launcher=self._launcher.name,
            state=str(self._launcher.state),
            epoch=epoch,
            deadline=_NO_DEADLINE,
            max_seconds=_NO_LIMIT_SECONDS,
            grace_seconds=GRACE_SECONDS,
            start_seconds=self._launcher.start_seconds,
            max_spool_bytes=MAX_SPOOL_BYTES,
        )
        _add_host_files(folder, order, code_list=plan.package.code.to_json(), chain=plan.chain)


def fill_again(folder: Path, former: Path, *, epoch: int) -> None:
    """Fill a new, empty launch folder with what was measured in `former`, so it has its MRENCLAVE.

    Raises `LaunchError` where something of the former folder is gone.
    """
    for entry in former.iterdir():
        if entry.name in _OF_ONE_START:
            continue
        if entry.is_dir():
            shutil.copytree(entry, folder / entry.name, symlinks=True)
        else:
            shutil.copyfile(entry, folder / entry.name, follow_symlinks=False)
    (folder / HOST_FOLDER).mkdir(mode=0o700)
    spool = Spool(former / SPOOL_FOLDER)
    code_list = spool.read(CODE_LIST, max_bytes=MAX_SPOOL_BYTES)
    raw_order = read_small(former / HOST_FOLDER / ORDER)
    if code_list is None or raw_order is None:
        raise LaunchError(f"{former}: not whole any more; remove the service and spawn it anew")
    chain = spool.read(CHAIN, max_bytes=MAX_CHAIN_BYTES)
    _add_host_files(
        folder, replace(LaunchOrder.from_json(raw_order), epoch=epoch), code_list=code_list, chain=chain
    )


def start(folder: Path) -> None:
    """Start the supervisor of a filled folder; does nothing when it was started."""
    if look_at(folder).state is LaunchState.PREPARED:
        run_module(_SUPERVISOR_MODULE, [str(folder)])


def read_arguments(folder: Path) -> ServiceArguments:
    """Return the measured arguments of a launch folder."""
    return parse_service_arguments((folder / ARGUMENTS_PATH).read_bytes())


def _code_sources(plan: ServicePlan) -> tuple[CodeSource, ...]:
    return tuple(
        CodeSource(
            path=file.path,
            sha256=file.sha256,
            copy_to=partial(_copy_member, plan, file.path),
        )
        for file in plan.package.code.files
    )


def _copy_member(plan: ServicePlan, path: str, target: Path) -> None:
    member = plan.package.find(path)
    if member is None:
        raise LaunchError(f"package: {path} is gone")
    with plan.package_file.open("rb") as source, target.open("xb") as sink:
        for piece in read_member(source, member):
            sink.write(piece)


def _add_host_files(folder: Path, order: LaunchOrder, *, code_list: bytes, chain: bytes | None) -> None:
    spool = Spool(folder / SPOOL_FOLDER)
    spool.create(providers=0, consumers=0)
    spool.write(CODE_LIST, code_list)
    if chain is not None:
        spool.write(CHAIN, chain)
    write_whole(folder / HOST_FOLDER / ORDER, order.to_json())
