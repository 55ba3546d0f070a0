"""The release of sealroom that is installed here: its measured files and the PALs it knows.

Client and server each load their own; where the two differ, the client's comparison names the file.

Spec: docs/spec/manifest.md, "First-party files".
"""

from importlib import resources
from pathlib import Path

import sealroom
from sealroom.adapters.first_party import COMPUTATION_ROOTS, LEGACY_ROOTS, SERVICE_ROOTS, measured_modules
from sealroom.adapters.hashing import hash_files
from sealroom.core.errors import MalformedError
from sealroom.core.measurement.known_pals import KnownPal, parse_known_pals
from sealroom.core.measurement.release import Release
from sealroom.core.measurement.runtime_bill import parse_runtime_bill
from sealroom.core.measurement.template import LIBRARY_FOLDER, START_PATH, MeasuredFile
from sealroom.core.wire.terms import DeliveryForm, Tee

_START_SOURCE = "enclave/start.py"
_SERVICE_START_SOURCE = "enclave/service/start.py"


def load_release(*, runtime_bill: Path | None = None, known_pals: Path | None = None) -> Release:
    """Return the installed release, its first-party files hashed as they are on disk.

    `runtime_bill` is a file of the caller's own with the runtime inside SGX, instead of the release's;
    `known_pals` one with PALs for SGX, beside the release's. Raises `MalformedError` where one is something
    else, `OSError` where it cannot be read.
    """
    folder = resources.files("sealroom.core.measurement")
    bill = (folder / "sgx_runtime.bill").read_bytes() if runtime_bill is None else runtime_bill.read_bytes()
    return Release(
        version=sealroom.__version__,
        first_party=_hashed(first_party_sources(DeliveryForm.V1)),
        legacy_first_party=_hashed(first_party_sources(DeliveryForm.LEGACY)),
        service_first_party=_hashed(service_sources()),
        pals=(*parse_known_pals((folder / "known_pals.toml").read_bytes()), *_own_pals(known_pals)),
        sgx_runtime=parse_runtime_bill(bill),
    )


def _own_pals(path: Path | None) -> tuple[KnownPal, ...]:
    """Read a caller's own list. What simulates stays the release's alone: it is known by one file's bytes."""
    if path is None:
        return ()
    pals = parse_known_pals(path.read_bytes())
    if any(pal.tee is not Tee.SGX for pal in pals):
        raise MalformedError(f"known pals: {path}: PALs for SGX alone")
    return pals


def first_party_sources(form: DeliveryForm) -> dict[str, Path]:
    """Return each first-party file measured in computations: its path in the launch folder, and its place."""
    return _sources(_START_SOURCE, LEGACY_ROOTS if form is DeliveryForm.LEGACY else COMPUTATION_ROOTS)


def service_sources() -> dict[str, Path]:
    """Return each first-party file measured in services: its path in the launch folder, and its place."""
    return _sources(_SERVICE_START_SOURCE, SERVICE_ROOTS)


def _sources(start: str, roots: tuple[str, ...]) -> dict[str, Path]:
    package = Path(sealroom.__file__).resolve().parent
    names = [name for name in measured_modules(package, roots) if name != start]
    sources = {f"{LIBRARY_FOLDER}/sealroom/{name}": package / name for name in names}
    return {START_PATH: package / start, **sources}


def _hashed(sources: dict[str, Path]) -> tuple[MeasuredFile, ...]:
    digests = hash_files(sources.values())
    return tuple(
        MeasuredFile(path=path, sha256=digest) for path, digest in zip(sources, digests, strict=True)
    )
