"""Wheels of what is installed here, for enclaves in tests: off line, and the same each time.

A wheel is put together from the files of an installed package. What the enclave's runtime has already (cffi)
is not among them.
"""

import base64
import functools
import hashlib
import io
import zipfile
from importlib.metadata import Distribution, distribution

from sealroom.core.measurement.requirements import Requirement, normal_name, write_requirements

# What `pip install sealroom[service]` brings into an enclave, without what its runtime has.
SERVING = (
    "a2wsgi", "click", "cryptography", "h11", "httptools", "pyopenssl", "typing-extensions", "uvicorn",
    "websockets",
)  # fmt: skip
FLASK = ("blinker", "flask", "itsdangerous", "jinja2", "markupsafe", "werkzeug")
FASTAPI = (
    "annotated-doc", "annotated-types", "anyio", "fastapi", "idna", "pydantic", "pydantic-core", "starlette",
    "typing-inspection",
)  # fmt: skip
_LEFT_OUT = ("/bin/", "__pycache__", ".dist-info/RECORD", ".dist-info/INSTALLER", ".dist-info/REQUESTED")


@functools.cache
def wheel_of(name: str) -> bytes:
    """Return a wheel of the installed package `name`."""
    found = distribution(name)
    written = io.BytesIO()
    record = []
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as archive:
        for path, content in sorted(_files(found).items()):
            archive.writestr(zipfile.ZipInfo(path), content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            record.append(f"{path},sha256={digest},{len(content)}\n")
        folder = _info_folder(found)
        record.append(f"{folder}/RECORD,,\n")
        archive.writestr(zipfile.ZipInfo(f"{folder}/RECORD"), "".join(record))
    return written.getvalue()


def requirement_of(name: str) -> Requirement:
    """Return the line that pins that wheel."""
    return Requirement(
        name=normal_name(name),
        version=distribution(name).version,
        sha256=hashlib.sha256(wheel_of(name)).digest(),
    )


def requirements_of(*names: str) -> bytes:
    """Return the `requirements.txt` of these packages."""
    return write_requirements([requirement_of(name) for name in names])


def _files(found: Distribution) -> dict[str, bytes]:
    files = {}
    for path in found.files or ():
        name = path.as_posix()
        if not name.startswith("..") and not any(part in f"/{name}" for part in _LEFT_OUT):
            files[name] = path.locate().read_bytes()
    return files


def _info_folder(found: Distribution) -> str:
    return next(path.parts[0] for path in found.files or () if path.parts[0].endswith(".dist-info"))
