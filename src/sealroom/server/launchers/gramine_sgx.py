"""The launcher of enclaves on SGX: a runtime out of packages, Gramine's parts, a signed manifest.

Everything up to the processor is made here and can be checked without one: what is staged has the digests of
the bill of materials, the manifest is the one that every client builds, and SIGSTRUCT names its MRENCLAVE.

Must never: start an enclave that no client can verify. A PAL that the release (or the operator's own list,
which participants share) does not know, or a bill without Gramine's C library, is refused before anything is
made. Spec pages: docs/spec/launch-folder.md, "On SGX"; docs/deploy-sgx.md.
"""

import os
import shutil
import threading
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from uuid import UUID

from sealroom.adapters.gramine import PROGRAM, Gramine
from sealroom.adapters.host_checks import Host, installed_pal, lacking_for_enclaves, this_host
from sealroom.adapters.release import load_release
from sealroom.adapters.runtime_packages import stage_runtime
from sealroom.core.errors import SealroomError
from sealroom.core.measurement.known_pals import KnownPal
from sealroom.core.measurement.manifest import parse_manifest
from sealroom.core.measurement.mrenclave import measure
from sealroom.core.measurement.release import Release
from sealroom.core.measurement.runtime_bill import RuntimeBill
from sealroom.core.measurement.signing import sign_sigstruct
from sealroom.core.measurement.sigstruct import sigstruct_body
from sealroom.core.measurement.template import GRAMINE_FOLDER, RUNTIME_FOLDER
from sealroom.core.wire.terms import Tee
from sealroom.server.config import SgxSettings
from sealroom.server.launchers.base import LaunchError, LaunchState
from sealroom.server.launchers.folders import (
    GRACE_SECONDS,
    PAL_PATH,
    FolderLauncher,
    Staged,
    write_file,
)
from sealroom.server.launchers.host_files import write_whole
from sealroom.server.launchers.sgx_files import MANIFEST, SIGSTRUCT, STARTING, StartingOrder

_RUNTIMES = "runtimes"


class GramineSgxLauncher(FolderLauncher):
    """Runs enclaves with gramine-sgx; launches share runtimes and the way of starting in `sgx/`."""

    name = "gramine-sgx"
    tee = Tee.SGX
    # Adding the pages of a large enclave takes minutes, and so may the first answer of a PCCS.
    start_seconds = 900

    def __init__(
        self,
        root: Path,
        settings: SgxSettings,
        *,
        host: Host | None = None,
        grace_seconds: int = GRACE_SECONDS,
    ) -> None:
        """Look at the machine and make the runtime; raises `LaunchError` with what is missing."""
        self._settings = settings
        self._host = host or this_host()
        program = self._require_machine()
        super().__init__(root, root / "sgx", grace_seconds=grace_seconds)
        release = self.load_release()
        self._gramine(release)
        self._staging = threading.Lock()
        self._staged_runtime(_bill(release))
        order = StartingOrder(
            program=str(program),
            sources=tuple(source.url for source in settings.sources),
            source_ca=None if settings.source_ca is None else str(settings.source_ca.resolve()),
        )
        write_whole(self._state / STARTING, order.to_json())

    def load_release(self) -> Release:
        """Return the installed release, with the operator's own bill and PALs."""
        chosen = self._settings
        return load_release(runtime_bill=chosen.runtime_bill, known_pals=chosen.known_pals)

    def start(self, computation: UUID, epoch: int) -> None:
        """Start the supervisor of a prepared launch; `LaunchError` where the machine lost something."""
        if self.watch(computation, epoch).state is LaunchState.PREPARED:
            self._require_machine()
        super().start(computation, epoch)

    def stage(self, folder: Path, release: Release) -> Staged:
        """Put the bill's runtime, Gramine's library OS and a copy of the PAL into the folder."""
        gramine, pal = self._gramine(release)
        bill = _bill(release)
        _link_tree(self._staged_runtime(bill), folder)
        gramine.place_libos(folder)
        shutil.copyfile(gramine.pal, folder / PAL_PATH)
        return Staged(pal=pal, runtime=bill.measured)

    def complete(self, folder: Path, manifest: bytes) -> None:
        """Measure and sign, and put both under the names that gramine-sgx reads."""
        mrenclave = measure(manifest, (folder / PAL_PATH).read_bytes()).mrenclave
        body = sigstruct_body(
            parse_manifest(manifest), mrenclave=mrenclave, date=f"{datetime.now(UTC):%Y-%m-%d}"
        )
        try:
            signed = sign_sigstruct(body, self._settings.signer)
        except SealroomError as exc:
            raise LaunchError(f"the enclave cannot be signed: {exc}") from exc
        write_file(folder / MANIFEST, manifest)
        write_file(folder / SIGSTRUCT, signed.to_bytes())

    def _require_machine(self) -> Path:
        """Return the starter of this machine, or say in doctor's words what is missing."""
        if (lacking := lacking_for_enclaves(self._host)) is not None:
            raise LaunchError(lacking)
        program = self._host.which(PROGRAM)
        if program is None:
            raise LaunchError(f"{PROGRAM} is gone")
        return program

    def _gramine(self, release: Release) -> tuple[Gramine, KnownPal]:
        """Return the installed Gramine, and the PAL that it is known as."""
        path = installed_pal(self._host)
        if path is None:
            raise LaunchError("no libpal.so beside gramine-sgx: install Gramine whole")
        gramine = Gramine.of(path)
        installed = gramine.as_known()
        known = release.known_pal(installed.sha256)
        if known is None or known.tee is not Tee.SGX:
            raise LaunchError(
                f"{path}: sha256 {installed.sha256.hex()} is no PAL that release {release.version} knows, so "
                "no client would accept its enclaves: docs/deploy-sgx.md, 4"
            )
        if known.libos_sha256 != installed.libos_sha256:
            raise LaunchError(
                f"{gramine.libos}: sha256 {installed.libos_sha256.hex()}, and {known.name} has "
                f"{known.libos_sha256.hex()}: install Gramine whole"
            )
        return gramine, known

    def _staged_runtime(self, bill: RuntimeBill) -> Path:
        """Return the folder of a bill's runtime, made of the packages where it is not there yet."""
        target = self._state / _RUNTIMES / sha256(bill.to_bytes()).hexdigest()[:32]
        with self._staging:
            if not target.is_dir():
                target.parent.mkdir(mode=0o700, exist_ok=True)
                try:
                    stage_runtime(bill, packages=self._settings.packages, target=target)
                except (SealroomError, OSError) as exc:
                    raise LaunchError(f"{exc}: docs/deploy-sgx.md, 3") from exc
        return target


def _bill(release: Release) -> RuntimeBill:
    bill = release.sgx_runtime
    if bill is None or not any(file.path.startswith(f"{GRAMINE_FOLDER}/") for file in bill.files):
        raise LaunchError(
            "the bill of materials has none of Gramine's C library, so no client would accept the enclave: "
            "make one with --gramine and share it with the participants: docs/deploy-sgx.md, 3"
        )
    return bill


def _link_tree(source: Path, folder: Path) -> None:
    """Give a launch folder the files of a staged runtime under their paths: links to the same contents."""
    for top in (RUNTIME_FOLDER, GRAMINE_FOLDER):
        for current, _, names in os.walk(source / top):
            below = folder / Path(current).relative_to(source)
            below.mkdir(mode=0o700, parents=True, exist_ok=True)
            for name in names:
                os.link(Path(current) / name, below / name)
