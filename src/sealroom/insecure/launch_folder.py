"""A launch folder as the simulated TEE finds it: read once, checked against its manifest, measured.

What for: what Gramine does before it starts a program. Every file that the manifest names has the digest
that it names, and the measured folders hold nothing else.

Must never: start from anything that is not in the manifest. Spec page: docs/spec/launch-folder.md.
"""

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.measurement.manifest import MAX_MANIFEST_BYTES, parse_manifest
from sealroom.core.measurement.mrenclave import measure
from sealroom.core.wire.terms import Tee
from sealroom.insecure.needs import Needs, needs_of

MANIFEST_NAME = "manifest.sgx"
PAL_NAME = "pal"
RUNTIME_NAME = "runtime.json"
RUNTIME_FOLDER = "runtime"

_SCHEME = "file:"
_MAX_PAL_BYTES = 64 << 20
_MAX_ARGUMENTS_BYTES = 1 << 20
_MAX_RUNTIME_BYTES = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A folder or file of the host that the enclave sees, and where."""

    inside: str
    host_path: Path
    writable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedLaunch:
    """A launch folder whose files are those of its manifest.

    `argv` are the strings of the measured arguments file; `environment` and `mounts` are the manifest's, and
    `scratch` are its folders in memory. `runtime` is the tree of the runtime's files on this machine.
    """

    folder: Path
    manifest: bytes
    mrenclave: bytes
    needs: Needs
    argv: tuple[str, ...]
    interpreter: str
    environment: dict[str, str]
    mounts: tuple[Mount, ...]
    scratch: tuple[str, ...]
    runtime: Path


def check_launch_folder(folder: Path) -> CheckedLaunch:
    """Read and check a launch folder, in this order.

    1. Manifest, PAL, arguments and the list of the runtime's files are what their formats say.
    2. The arguments ask for the simulated TEE.
    3. Every trusted file of the manifest has its digest.
    4. The measured folders hold no other file.

    Raises `MalformedError` for the first, `VerificationError`, naming the file, for the others.
    """
    manifest = read_file(folder / MANIFEST_NAME, max_bytes=MAX_MANIFEST_BYTES)
    document = _Manifest(parse_manifest(manifest))
    pal = read_file(folder / PAL_NAME, max_bytes=_MAX_PAL_BYTES)
    raw_arguments = read_file(folder / document.arguments_path, max_bytes=_MAX_ARGUMENTS_BYTES)
    needs = needs_of(raw_arguments)
    runtime = _parse_runtime(read_file(folder / RUNTIME_NAME, max_bytes=_MAX_RUNTIME_BYTES))
    measurement = measure(manifest, pal)
    if needs.tee is not Tee.SIMULATED:
        raise VerificationError(f"arguments: tee is {needs.tee.value}, and this TEE is simulated")
    _check_trusted_files(folder, document, runtime)
    root = _runtime_root(runtime)
    _check_nothing_else(folder, document, root)
    return CheckedLaunch(
        folder=folder,
        manifest=manifest,
        mrenclave=measurement.mrenclave,
        needs=needs,
        argv=tuple(raw_arguments.decode().split("\0")[:-1]),
        interpreter=document.interpreter,
        environment=document.environment,
        mounts=tuple(_mounts(folder, document, root)),
        scratch=document.scratch,
        runtime=root,
    )


def read_file(path: Path, *, max_bytes: int) -> bytes:
    """Read a regular file of at most `max_bytes`, following no link; raises `MalformedError`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as exc:
        raise MalformedError(f"launch folder: {path.name} cannot be read: {exc.strerror}") from exc
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, not a path
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise MalformedError(f"launch folder: {path.name} is not a regular file")
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise MalformedError(f"launch folder: {path.name} is larger than {max_bytes} bytes")
    return content


class _Manifest:
    """The parts of a manifest that a simulated start needs, each checked for its type when it is read."""

    def __init__(self, document: dict[str, object]) -> None:
        loader, sgx, fs = _table(document, "loader"), _table(document, "sgx"), _table(document, "fs")
        self.arguments_path = _path(loader.get("argv_src_file"), "loader.argv_src_file")
        entry = _table(loader, "entrypoint")
        rows = [*_rows(sgx, "trusted_files"), entry]
        self.trusted = {
            _path(row.get("uri"), "trusted file"): _digest(row.get("sha256"), "trusted file") for row in rows
        }
        if self.arguments_path not in self.trusted:
            raise MalformedError("manifest: the arguments file is not a trusted file")
        environment = _table(loader, "env")
        self.environment = {key: _text(value, f"loader.env.{key}") for key, value in environment.items()}
        self.interpreter = _text(_table(document, "libos").get("entrypoint"), "libos.entrypoint")
        self.allowed = tuple(
            _path(uri, "allowed file").rstrip("/") for uri in _list(sgx.get("allowed_files"), "allowed_files")
        )
        mounts = _rows(fs, "mounts")
        chroot = [row for row in mounts if row.get("type", "chroot") == "chroot"]
        self.mounts = tuple(
            (_text(row.get("path"), "mount path"), _path(row.get("uri"), "mount")) for row in chroot
        )
        memory = [row for row in mounts if row.get("type") == "tmpfs"]
        self.scratch = tuple(_text(row.get("path"), "mount path") for row in memory)


def _check_trusted_files(folder: Path, manifest: _Manifest, runtime: dict[str, Path]) -> None:
    for path, expected in manifest.trusted.items():
        host_path = runtime.get(path) if path.startswith(f"{RUNTIME_FOLDER}/") else folder / path
        if host_path is None:
            raise VerificationError(f"trusted file {path}: the list of the runtime's files does not name it")
        try:
            descriptor = os.open(host_path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as exc:
            raise VerificationError(f"trusted file {path}: cannot be read: {exc.strerror}") from exc
        with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, not a path
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise VerificationError(f"trusted file {path}: not a regular file")
            found = hashlib.file_digest(file, "sha256").digest()
        if found != expected:
            raise VerificationError(
                f"trusted file {path}: got sha256 {found.hex()}, the manifest names {expected.hex()}"
            )


def _check_nothing_else(folder: Path, manifest: _Manifest, runtime: Path) -> None:
    """Refuse what Gramine would refuse at its first use: a file in a measured folder that is not measured."""
    for _, source in manifest.mounts:
        host_path = runtime if source == RUNTIME_FOLDER else folder / source
        if source in manifest.allowed or not host_path.is_dir():
            continue
        for below in _entries(host_path):
            path = f"{source}/{below}"
            if path not in manifest.trusted:
                raise VerificationError(f"file {path}: in a measured folder, and not in the manifest")


def _entries(folder: Path) -> Iterator[str]:
    for current, folders, files in os.walk(folder):
        links = [name for name in folders if (Path(current) / name).is_symlink()]
        for name in (*files, *links):
            yield (Path(current) / name).relative_to(folder).as_posix()


def _mounts(folder: Path, manifest: _Manifest, runtime: Path) -> Iterator[Mount]:
    for inside, source in manifest.mounts:
        host_path = runtime if source == RUNTIME_FOLDER else folder / source
        # What only Gramine has (its own libraries) has nothing to stand for it here.
        if host_path.exists():
            yield Mount(inside=inside, host_path=host_path, writable=source in manifest.allowed)


def _parse_runtime(raw: bytes) -> dict[str, Path]:
    """Parse `runtime.json`: rows of path in the manifest, path on this machine, SHA-256."""
    try:
        rows = json.loads(raw)
    except (ValueError, RecursionError) as exc:
        raise MalformedError(f"{RUNTIME_NAME}: not valid JSON") from exc
    if not isinstance(rows, list) or not rows:
        raise MalformedError(f"{RUNTIME_NAME}: expected a list of files")
    files: dict[str, Path] = {}
    for row in rows:
        if not isinstance(row, list) or len(row) != 3 or not all(isinstance(part, str) for part in row):
            raise MalformedError(f"{RUNTIME_NAME}: expected rows of path, path on the host, sha256")
        path = _path(f"{_SCHEME}{row[0]}", RUNTIME_NAME)
        if path in files or not path.startswith(f"{RUNTIME_FOLDER}/"):
            raise MalformedError(f"{RUNTIME_NAME}: {row[0]!r} is named twice or lies outside the runtime")
        files[path] = Path(row[1])
    return files


def _runtime_root(runtime: dict[str, Path]) -> Path:
    """Return the one tree below which every file of the runtime lies under its own path."""
    path, host_path = next(iter(runtime.items()))
    root = host_path
    for _ in path.split("/")[1:]:
        root = root.parent
    for path, host_path in runtime.items():
        if host_path != root / path.removeprefix(f"{RUNTIME_FOLDER}/"):
            raise VerificationError(f"trusted file {path}: not in the tree of the runtime")
    return root


def _table(parent: dict[str, object], key: str) -> dict[str, object]:
    value = parent.get(key)
    if not isinstance(value, dict):
        raise MalformedError(f"manifest: {key}: expected a table")
    return value


def _list(value: object, name: str) -> list[object]:
    if not isinstance(value, list):
        raise MalformedError(f"manifest: {name}: expected an array")
    return value


def _rows(parent: dict[str, object], key: str) -> list[dict[str, object]]:
    rows = _list(parent.get(key), key)
    tables = [row for row in rows if isinstance(row, dict)]
    if len(tables) != len(rows):
        raise MalformedError(f"manifest: {key}: expected tables")
    return tables


def _text(value: object, name: str) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise MalformedError(f"manifest: {name}: expected a string")
    return value


def _path(value: object, name: str) -> str:
    """Return the path of a `file:` URI, which must lie in the launch folder."""
    path = _text(value, name).removeprefix(_SCHEME)
    parts = path.rstrip("/").split("/")
    if not str(value).startswith(_SCHEME) or {"", ".", ".."} & set(parts):
        raise MalformedError(f"manifest: {name}: {value!r} is not a path in the launch folder")
    return path


def _digest(value: object, name: str) -> bytes:
    try:
        digest = bytes.fromhex(_text(value, name))
    except ValueError as exc:
        raise MalformedError(f"manifest: {name}: sha256 is not hex") from exc
    if len(digest) != 32:
        raise MalformedError(f"manifest: {name}: sha256 has {len(digest)} bytes, expected 32")
    return digest
