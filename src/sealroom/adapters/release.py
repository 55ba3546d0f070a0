"""The release of sealroom that is installed here: its measured files and the PALs it knows.

Client and server each load their own; where the two differ, the client's comparison names the file.

Spec: docs/spec/manifest.md, "First-party files".
"""

from importlib import resources
from pathlib import Path

import sealroom
from sealroom.adapters.first_party import measured_modules
from sealroom.adapters.hashing import hash_files
from sealroom.core.errors import MalformedError
from sealroom.core.measurement.known_pals import KnownPal, parse_known_pals
from sealroom.core.measurement.release import Release
from sealroom.core.measurement.runtime_bill import parse_runtime_bill
from sealroom.core.measurement.template import LIBRARY_FOLDER, START_PATH, MeasuredFile
from sealroom.core.wire.terms import Tee

_START_SOURCE = "enclave/start.py"


def load_release(*, runtime_bill: Path | None = None, known_pals: Path | None = None) -> Release:
    """Return the installed release, its first-party files hashed as they are on disk.

    `runtime_bill` is a file of the caller's own with the runtime inside SGX, instead of the release's;
    `known_pals` one with PALs for SGX, beside the release's. Raises `MalformedError` where one is something
    else, `OSError` where it cannot be read.
    """
    sources = first_party_sources()
    digests = hash_files(sources.values())
    files = tuple(
        MeasuredFile(path=path, sha256=digest) for path, digest in zip(sources, digests, strict=True)
    )
    folder = resources.files("sealroom.core.measurement")
    bill = (folder / "sgx_runtime.bill").read_bytes() if runtime_bill is None else runtime_bill.read_bytes()
    return Release(
        version=sealroom.__version__,
        first_party=files,
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


def first_party_sources() -> dict[str, Path]:
    """Return each measured first-party file: its path in the launch folder, and where it is installed."""
    package = Path(sealroom.__file__).resolve().parent
    names = [name for name in measured_modules(package) if name != _START_SOURCE]
    sources = {f"{LIBRARY_FOLDER}/sealroom/{name}": package / name for name in names}
    return {START_PATH: package / _START_SOURCE, **sources}
