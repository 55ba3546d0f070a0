"""The release of sealroom that is installed here: its measured files and the PALs it knows.

Client and server each load their own; where the two differ, the client's comparison names the file.

Spec: docs/spec/manifest.md, "First-party files".
"""

from importlib import resources
from pathlib import Path

import sealroom
from sealroom.adapters.first_party import measured_modules
from sealroom.adapters.hashing import hash_files
from sealroom.core.measurement.known_pals import parse_known_pals
from sealroom.core.measurement.release import Release
from sealroom.core.measurement.runtime_bill import parse_runtime_bill
from sealroom.core.measurement.template import LIBRARY_FOLDER, START_PATH, MeasuredFile

_START_SOURCE = "enclave/start.py"


def load_release(*, runtime_bill: Path | None = None) -> Release:
    """Return the installed release, its first-party files hashed as they are on disk.

    `runtime_bill` is a file of the caller's own with the runtime inside SGX, instead of the release's.
    Raises `MalformedError` where that is no bill, `OSError` where it cannot be read.
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
        pals=parse_known_pals((folder / "known_pals.toml").read_bytes()),
        sgx_runtime=parse_runtime_bill(bill),
    )


def first_party_sources() -> dict[str, Path]:
    """Return each measured first-party file: its path in the launch folder, and where it is installed."""
    package = Path(sealroom.__file__).resolve().parent
    names = [name for name in measured_modules(package) if name != _START_SOURCE]
    sources = {f"{LIBRARY_FOLDER}/sealroom/{name}": package / name for name in names}
    return {START_PATH: package / _START_SOURCE, **sources}
