"""The manifest of gramine-direct for a simulated enclave: the measured one, on this machine's paths.

What for: gramine-direct enforces files and mounts as gramine-sgx does. The measured manifest names
the synthetic PAL and the runtime by its path inside; here the library OS is Gramine's own and the runtime is
where it lies. Nobody measures this file: it is the operator's, like all of a simulated enclave.

Spec page: docs/spec/launch-folder.md, "gramine-direct".
"""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sealroom.adapters.host_tree import HostTree
from sealroom.core.errors import MalformedError
from sealroom.core.measurement.expansion import expand_manifest
from sealroom.core.measurement.manifest import write_manifest
from sealroom.core.measurement.template import RUNTIME_FOLDER

PROGRAM = "gramine-direct"

_GRAMINE_MOUNT = "/lib"
_RUNTIME_URI = f"file:{RUNTIME_FOLDER}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gramine:
    """An installation of Gramine: its starter, its library OS, and the patched C library for programs."""

    program: Path
    libos: Path
    libraries: Path


def find_gramine(program: str = PROGRAM) -> Gramine:
    """Find the installation that `program` on the PATH belongs to, or raise `RuntimeError`."""
    found = shutil.which(program)
    if found is None:
        raise RuntimeError(f"{program} is not on the PATH: install Gramine, or choose --launcher simulated")
    prefix = Path(found).resolve().parent.parent
    for folder in (*sorted(prefix.glob("lib/*/gramine")), prefix / "lib64/gramine", prefix / "lib/gramine"):
        libos, libraries = folder / "libsysdb.so", folder / "runtime/glibc"
        if libos.is_file() and libraries.is_dir():
            return Gramine(program=Path(found), libos=libos, libraries=libraries)
    raise RuntimeError(f"{found}: no library OS (libsysdb.so) and C library (runtime/glibc) below {prefix}")


def direct_manifest(
    measured: Mapping[str, object], *, folder: Path, runtime: Path, gramine: Gramine, device: str
) -> bytes:
    """Return the manifest for gramine-direct, run in the launch folder.

    `device` is the attestation folder's path inside; it lies under the same name in the launch folder.
    Raises `MalformedError` where `measured` is not the manifest of a computation.
    """
    loader, fs, sgx = (_table(measured, name) for name in ("loader", "fs", "sgx"))
    device_uri = f"file:{device.rpartition('/')[2]}"
    mounts = [*_mounts(fs, runtime, gramine), {"path": device, "uri": device_uri}]
    trusted = [*_trusted(sgx, runtime), f"file:{gramine.libraries}/"]
    document = {
        **measured,
        "loader": {**loader, "log_level": "warning", "entrypoint": {"uri": f"file:{gramine.libos}"}},
        "fs": {**fs, "mounts": mounts},
        "sgx": {
            **sgx,
            "trusted_files": trusted,
            "allowed_files": [*_rows(sgx, "allowed_files"), f"{device_uri}/"],
        },
    }
    return write_manifest(expand_manifest(document, tree=HostTree(folder)))


def _mounts(fs: Mapping[str, object], runtime: Path, gramine: Gramine) -> Iterator[object]:
    for row in _rows(fs, "mounts"):
        if isinstance(row, dict) and row.get("path") == _GRAMINE_MOUNT:
            yield {**row, "uri": f"file:{gramine.libraries}"}
        elif isinstance(row, dict) and row.get("uri") == _RUNTIME_URI:
            yield {**row, "uri": f"file:{runtime}"}
        else:
            yield row


def _trusted(sgx: Mapping[str, object], runtime: Path) -> Iterator[object]:
    for row in _rows(sgx, "trusted_files"):
        uri = row.get("uri") if isinstance(row, dict) else None
        if isinstance(row, dict) and isinstance(uri, str) and uri.startswith(f"{_RUNTIME_URI}/"):
            yield {**row, "uri": f"file:{runtime}{uri.removeprefix(_RUNTIME_URI)}"}
        else:
            yield row


def _table(parent: Mapping[str, object], key: str) -> dict[str, object]:
    value = parent.get(key)
    if not isinstance(value, dict):
        raise MalformedError(f"manifest: {key}: expected a table")
    return value


def _rows(parent: Mapping[str, object], key: str) -> list[object]:
    value = parent.get(key)
    if not isinstance(value, list):
        raise MalformedError(f"manifest: {key}: expected an array")
    return value
