"""The release of sealroom that is installed here: its measured files and the PALs it knows.

Client and server each load their own; where the two differ, the client's comparison names the file.

Spec: docs/spec/manifest.md, "First-party files".
"""

from importlib import resources
from pathlib import Path

import sealroom
from sealroom.adapters.hashing import hash_files
from sealroom.core.measurement.known_pals import parse_known_pals
from sealroom.core.measurement.release import Release
from sealroom.core.measurement.template import LIBRARY_FOLDER, START_PATH, MeasuredFile

# What runs inside: the enclave zone and the part of the core that it may import.
_MEASURED_FILES = ("__init__.py", "core/__init__.py", "core/errors.py")
_MEASURED_FOLDERS = ("core/compat", "core/sealing", "core/wire", "enclave")
_MEASURED_SUFFIXES = {".py", ".txt"}
_START_SOURCE = "enclave/start.py"


def load_release() -> Release:
    """Return the installed release, its first-party files hashed as they are on disk."""
    sources = first_party_sources()
    digests = hash_files(sources.values())
    files = tuple(
        MeasuredFile(path=path, sha256=digest) for path, digest in zip(sources, digests, strict=True)
    )
    known_pals = resources.files("sealroom.core.measurement") / "known_pals.toml"
    return Release(
        version=sealroom.__version__,
        first_party=files,
        pals=parse_known_pals(known_pals.read_bytes()),
        sgx_runtime=None,
    )


def first_party_sources() -> dict[str, Path]:
    """Return each measured first-party file: its path in the launch folder, and where it is installed."""
    package = Path(sealroom.__file__).resolve().parent
    names = set(_MEASURED_FILES)
    for folder in _MEASURED_FOLDERS:
        names |= {
            path.relative_to(package).as_posix()
            for path in (package / folder).rglob("*")
            if path.is_file() and path.suffix in _MEASURED_SUFFIXES
        }
    names.discard(_START_SOURCE)
    sources = {f"{LIBRARY_FOLDER}/sealroom/{name}": package / name for name in sorted(names)}
    return {START_PATH: package / _START_SOURCE, **sources}
