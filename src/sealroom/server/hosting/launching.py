"""The launch folder of a service: filled once, copied for a restart, handed to a supervisor.

Must never: let a name from a package choose a path outside the folder, or put anything into the folder that
the manifest does not name. Spec page: docs/spec/launch-folder.md; docs/spec/services.md, "Operator's folder".
"""

import hashlib
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from sealroom.adapters.release import load_release, service_sources
from sealroom.core.measurement.platform_tags import platform_of_runtime
from sealroom.core.measurement.service_package import ServicePackage, read_member
from sealroom.core.measurement.template import (
    ARGUMENTS_PATH,
    CODE_FOLDER,
    LIBRARY_FOLDER,
    PACKAGES_FOLDER,
    START_PATH,
    MeasuredFile,
    service_manifest,
)
from sealroom.core.wire.service_arguments import Connections, ServiceArguments, parse_service_arguments
from sealroom.core.wire.service_spool import CHAIN, CODE_LIST
from sealroom.core.wire.terms import Tee
from sealroom.server.launchers.base import CodeSource, LaunchError, LaunchState, WheelSource
from sealroom.server.launchers.folders import (
    MANIFEST_PATH,
    PAL_PATH,
    copy_code,
    look_at,
    run_module,
    write_file,
)
from sealroom.server.launchers.host_files import HOST_FOLDER, ORDER, LaunchOrder, write_whole
from sealroom.server.launchers.packages import unpack_packages
from sealroom.server.launchers.simulated import RUNTIME_PATH, read_runtime
from sealroom.server.launchers.spool_files import SPOOL_FOLDER, Spool

START_SECONDS = 120
# A service finishes its requests for thirty seconds, and its application may clean up.
GRACE_SECONDS = 40
# Certificate, quote, state, metrics and the access log, each twice while it is renewed.
MAX_SPOOL_BYTES = 64 << 20

_TEE_MODULE = "sealroom.insecure.tee"
_SUPERVISOR_MODULE = "sealroom.server.supervisor"
# A service waits and runs as long as its operator wants: its own measured time-out ends the waiting.
_NO_DEADLINE = datetime(9999, 1, 1, tzinfo=UTC)
_NO_LIMIT_SECONDS = 1 << 40
# What was measured, and so is the same after a restart.
_KEPT_FILES = (ARGUMENTS_PATH, START_PATH, MANIFEST_PATH, PAL_PATH, RUNTIME_PATH)
_KEPT_FOLDERS = (LIBRARY_FOLDER, CODE_FOLDER, PACKAGES_FOLDER)


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


class ServiceLauncher:
    """Fills and starts launch folders of services in the simulated TEE; `state` is what they share."""

    name = Tee.SIMULATED.value

    def __init__(self, state: Path) -> None:
        self._state = state.resolve()
        self._state.mkdir(mode=0o700, parents=True, exist_ok=True)

    def fill(self, folder: Path, plan: ServicePlan, *, epoch: int) -> None:
        """Fill a new, empty launch folder. What is in it after an error is of no use.

        Raises `MalformedError` or `VerificationError` for packages that break a rule, `LaunchError` where
        this machine cannot run the service.
        """
        for name in (HOST_FOLDER, PACKAGES_FOLDER):
            (folder / name).mkdir(mode=0o700)
        raw_arguments = plan.arguments.to_bytes()
        write_file(folder / ARGUMENTS_PATH, raw_arguments)
        _copy_first_party(folder)
        code = _code_sources(plan)
        copy_code(folder, code)
        run_module(_TEE_MODULE, ["--prepare", "--serves", "--state", str(self._state), str(folder)])
        runtime = read_runtime(folder)
        platform = platform_of_runtime(file.path for file in runtime)
        packages = unpack_packages(folder, plan.wheels, platform) if plan.wheels else ()
        release = load_release()
        pal = release.pal_for(plan.arguments.tee)
        if pal is None:
            raise LaunchError(f"this release knows no PAL for tee={plan.arguments.tee.value}")
        manifest = service_manifest(
            arguments_sha256=hashlib.sha256(raw_arguments).digest(),
            first_party=release.service_first_party,
            code=[MeasuredFile(path=f"{CODE_FOLDER}/{file.path}", sha256=file.sha256) for file in code],
            packages=packages,
            runtime=runtime,
            max_memory=plan.arguments.max_memory,
            connects=plan.arguments.connect is Connections.ANY,
            pal=pal,
        )
        write_file(folder / MANIFEST_PATH, manifest)
        self._add_host_files(folder, epoch=epoch, code_list=plan.package.code.to_json(), chain=plan.chain)

    def fill_again(self, folder: Path, former: Path, *, epoch: int) -> None:
        """Fill a new, empty launch folder with what was measured in `former`: so it has its MRENCLAVE."""
        (folder / HOST_FOLDER).mkdir(mode=0o700)
        for name in _KEPT_FILES:
            shutil.copyfile(former / name, folder / name)
        for name in _KEPT_FOLDERS:
            shutil.copytree(former / name, folder / name, symlinks=True)
        spool = Spool(former / SPOOL_FOLDER)
        code_list = spool.read(CODE_LIST, max_bytes=MAX_SPOOL_BYTES)
        if code_list is None:
            raise LaunchError(f"{former}: the list of the code is gone; spawn the service anew")
        chain = spool.read(CHAIN, max_bytes=MAX_SPOOL_BYTES)
        self._add_host_files(folder, epoch=epoch, code_list=code_list, chain=chain)

    def start(self, folder: Path) -> None:
        """Start the supervisor of a filled folder; does nothing when it was started."""
        if look_at(folder).state is LaunchState.PREPARED:
            run_module(_SUPERVISOR_MODULE, [str(folder)])

    def _add_host_files(self, folder: Path, *, epoch: int, code_list: bytes, chain: bytes | None) -> None:
        spool = Spool(folder / SPOOL_FOLDER)
        spool.create(providers=0, consumers=0)
        spool.write(CODE_LIST, code_list)
        if chain is not None:
            spool.write(CHAIN, chain)
        order = LaunchOrder(
            launcher=self.name,
            state=str(self._state),
            epoch=epoch,
            deadline=_NO_DEADLINE,
            max_seconds=_NO_LIMIT_SECONDS,
            grace_seconds=GRACE_SECONDS,
            start_seconds=START_SECONDS,
            max_spool_bytes=MAX_SPOOL_BYTES,
        )
        write_whole(folder / HOST_FOLDER / ORDER, order.to_json())


def read_arguments(folder: Path) -> ServiceArguments:
    """Return the measured arguments of a launch folder."""
    return parse_service_arguments((folder / ARGUMENTS_PATH).read_bytes())


def _copy_first_party(folder: Path) -> None:
    for path, source in service_sources().items():
        target = folder / path
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copyfile(source, target)


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
