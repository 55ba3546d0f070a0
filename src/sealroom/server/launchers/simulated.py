"""The launchers of simulated enclaves: in the sandbox of this machine, or in Gramine without SGX.

The simulated TEE is started by module name and never imported: a server that runs real enclaves must not
be able to make believe. What only that TEE knows (its PAL, the runtime of this machine) it writes into the
folder itself.

Spec page: docs/spec/launch-folder.md.
"""

import json
from pathlib import Path

from sealroom.adapters.release import load_release
from sealroom.core.measurement.release import Release
from sealroom.core.measurement.template import MeasuredFile
from sealroom.core.wire.terms import Tee
from sealroom.server.launchers.base import LaunchError
from sealroom.server.launchers.folders import GRACE_SECONDS, FolderLauncher, Staged, run_module

RUNTIME_PATH = "runtime.json"


class SimulatedLauncher(FolderLauncher):
    """Runs the simulated TEE; its launches share PKI and runtimes in `simulation/`."""

    name = Tee.SIMULATED.value
    tee = Tee.SIMULATED
    start_seconds = 120
    tee_module = "sealroom.insecure.tee"

    def __init__(self, root: Path, *, grace_seconds: int = GRACE_SECONDS) -> None:
        super().__init__(root, root / "simulation", grace_seconds=grace_seconds)

    def load_release(self) -> Release:
        """Return the installed release."""
        return load_release()

    def stage(self, folder: Path, release: Release) -> Staged:
        """Have the TEE write its PAL and the list of its runtime."""
        return self.stage_with(folder, release)

    def stage_with(self, folder: Path, release: Release, *flags: str) -> Staged:
        """Do so with further `flags` for the TEE."""
        pal = release.pal_for(Tee.SIMULATED)
        if pal is None:
            raise LaunchError("this release knows no PAL of the simulated TEE")
        run_module(self.tee_module, ["--prepare", *flags, "--state", str(self._state), str(folder)])
        return Staged(pal=pal, runtime=read_runtime(folder))

    def complete(self, folder: Path, manifest: bytes) -> None:
        """Nothing signs a simulated enclave."""


class GramineDirectLauncher(SimulatedLauncher):
    """Runs the simulated TEE's programs in gramine-direct: Gramine's library OS, no SGX, for development."""

    name = "gramine-direct"
    tee_module = "sealroom.insecure.direct"


def read_runtime(folder: Path) -> tuple[MeasuredFile, ...]:
    """Read the list of the runtime's files that the simulated TEE wrote."""
    rows = json.loads((folder / RUNTIME_PATH).read_bytes())
    return tuple(MeasuredFile(path=path, sha256=bytes.fromhex(digest)) for path, _, digest in rows)
