"""Wheels for tests: whole and right, unless a test says what is to be wrong with them."""

import base64
import hashlib
import io
import zipfile
from collections.abc import Mapping

from sealroom.core.measurement.requirements import Requirement, write_requirements

PURE = "py3-none-any"


def make_wheel(
    name: str = "two-words",
    version: str = "1.2.3",
    files: Mapping[str, bytes] | None = None,
    *,
    tag: str = PURE,
    replaced: Mapping[str, bytes | None] | None = None,
    unrecorded: Mapping[str, bytes] | None = None,
    compression: int = zipfile.ZIP_DEFLATED,
) -> bytes:
    """Return a wheel with these files.

    `replaced` are contents that RECORD does not know of, by path (`None` for a file that is not there);
    `unrecorded` are files that RECORD does not name.
    """
    spelled = name.replace("-", "_")
    info = f"{spelled}-{version}.dist-info"
    content = dict({f"{spelled}/__init__.py": b"VALUE = 1\n"} if files is None else files)
    content[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\n".encode()
    content[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n".encode()
    record = "".join(f"{path},{_hash(raw)},{len(raw)}\n" for path, raw in content.items())
    content[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    content |= unrecorded or {}
    for path, raw in (replaced or {}).items():
        if raw is None:
            del content[path]
        else:
            content[path] = raw
    return make_zip(content, compression=compression)


def make_zip(content: Mapping[str, bytes], *, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, raw in content.items():
            entry = zipfile.ZipInfo(path)
            entry.create_system = 3
            entry.external_attr = (0o40755 if path.endswith("/") else 0o100644) << 16
            archive.writestr(entry, raw, compress_type=compression)
    return buffer.getvalue()


def pin(wheel: bytes, name: str = "two-words", version: str = "1.2.3") -> Requirement:
    """Return the line of requirements.txt that names this wheel."""
    return Requirement(name=name, version=version, sha256=hashlib.sha256(wheel).digest())


def requirements_of(*pins: Requirement) -> bytes:
    return write_requirements(pins)


def _hash(raw: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(raw).digest()).rstrip(b"=").decode()
