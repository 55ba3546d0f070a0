"""From the manifest that a person writes to the one that is measured: defaults, trees, digests.

Agrees byte for byte with `gramine-manifest` and `gramine-sgx-sign` of Gramine 1.9. Opens nothing: what lies
in a folder and what a file's digest is come from the `FileTree` that the caller hands in.

Spec: docs/spec/manifest.md, "Expansion".
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import PurePosixPath
from typing import Protocol

from sealroom.core.errors import MalformedError
from sealroom.core.measurement.manifest import TomlValue

_SCHEME = "file:"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_DEFAULT_SIZE = "256M"
_DEFAULT_SIZE_WITH_EDMM = "1024G"


class EntryKind(Enum):
    """What a path is, once links are followed."""

    FILE = "file"
    FOLDER = "folder"
    OTHER = "other"
    """Neither, or not readable, or there is nothing: left out of a tree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderEntry:
    """One name in a folder. `is_link` says that the name itself is a symbolic link."""

    name: str
    kind: EntryKind
    is_link: bool = False


class FileTree(Protocol):
    """The files that a manifest names. Paths are those of the manifest, absolute or relative."""

    def kind(self, path: str) -> EntryKind:
        """Return what is at `path`."""

    def entries(self, path: str) -> Sequence[FolderEntry]:
        """Return what is in the folder at `path`, in any order; nothing where it cannot be listed."""

    def digests(self, paths: Sequence[str]) -> Sequence[bytes]:
        """Return the SHA-256 of each file, in the order of `paths`; `OSError` for one that cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedFile:
    """One file to be measured: its URI in the manifest, where it is, and its digest where that is given."""

    uri: str
    path: str
    sha256: str | None = None


def expand_manifest(
    manifest: Mapping[str, object], *, tree: FileTree, libos_uri: str | None = None
) -> dict[str, TomlValue]:
    """Return `manifest` with every default spelled out and every trusted file listed with its digest.

    `libos_uri` is the library OS for a manifest that names none. Raises `MalformedError` for what the page
    refuses, and lets the `OSError` of a file that cannot be read pass.
    """
    expanded = with_defaults(manifest)
    loader, sgx = _table(expanded, "loader"), _table(expanded, "sgx")
    entry = _table(loader, "entrypoint", name="loader.entrypoint")
    if not names_library_os(expanded):
        if libos_uri is None:
            raise MalformedError("loader.entrypoint: the manifest names no library OS, and none was given")
        entry = {"uri": libos_uri, **entry}
    files = list_trusted_files(sgx.get("trusted_files"), tree=tree)
    unhashed = [file for file in files if file.sha256 is None]
    library = None if "sha256" in entry else _library(entry["uri"], tree)
    wanted = [*([library] if library else ()), *(file.path for file in unhashed)]
    digests = [digest.hex() for digest in tree.digests(wanted)]
    if library:
        entry = {**entry, "sha256": digests.pop(0)}
    found = dict(zip((file.uri for file in unhashed), digests, strict=True))
    rows: list[TomlValue] = [{"uri": f.uri, "sha256": f.sha256 or found[f.uri]} for f in files]
    return {
        **expanded,
        "loader": {**loader, "entrypoint": entry},
        "sgx": {**sgx, "trusted_files": rows},
    }


def names_library_os(manifest: Mapping[str, object]) -> bool:
    """Say whether a manifest says itself which library OS it starts, so that no default is needed."""
    loader = manifest.get("loader")
    entry = loader.get("entrypoint") if isinstance(loader, Mapping) else None
    return isinstance(entry, Mapping) and "uri" in entry


def with_defaults(manifest: Mapping[str, object]) -> dict[str, TomlValue]:
    """Return `manifest` with each setting that the signer would add, in the signer's order."""
    document = {key: _toml(value, key) for key, value in manifest.items()}
    sgx = _table(document, "sgx")
    size = _DEFAULT_SIZE_WITH_EDMM if sgx.get("edmm_enable") is True else _DEFAULT_SIZE
    settings: dict[str, TomlValue] = {
        "trusted_files": [],
        "max_threads": 4,
        "isvprodid": 0,
        "isvsvn": 0,
        "remote_attestation": "none",
        "debug": False,
        "enable_stats": False,
        "edmm_enable": False,
        "enclave_size": size,
        "use_exinfo": False,
    }
    features: dict[str, TomlValue] = {
        "avx": "unspecified",
        "avx512": "unspecified",
        "amx": "unspecified",
        "mpx": "disabled",
        "pkru": "disabled",
    }
    given = _table(sgx, "cpu_features", name="sgx.cpu_features")
    filled = _filled(sgx, settings)
    filled["cpu_features"] = _filled(given, features)
    document["sgx"] = filled
    document.setdefault("loader", {})
    return document


def list_trusted_files(items: object, *, tree: FileTree) -> tuple[TrustedFile, ...]:
    """Return the files that `sgx.trusted_files` stands for, each once, in the order of the manifest."""
    if not isinstance(items, Sequence) or isinstance(items, str):
        raise MalformedError("sgx.trusted_files: expected an array")
    files: dict[str, TrustedFile] = {}
    for item in items:
        for file in _expanded(_trusted_file(item), tree):
            before = files.setdefault(file.uri, file)
            if before.sha256 is None:
                files[file.uri] = replace(before, sha256=file.sha256)
            elif file.sha256 not in (None, before.sha256):
                raise MalformedError(f"sgx.trusted_files: {file.uri} stands twice, with different digests")
    return tuple(files.values())


def _trusted_file(item: object) -> TrustedFile:
    row = {"uri": item} if isinstance(item, str) else item
    if not isinstance(row, Mapping) or not {"uri"} <= set(row) <= {"uri", "sha256"}:
        raise MalformedError("sgx.trusted_files: expected a URI, or a table of uri and sha256")
    uri, digest = row["uri"], row.get("sha256")
    if not isinstance(uri, str) or not uri.startswith(_SCHEME) or "\0" in uri:
        raise MalformedError(f"sgx.trusted_files: {uri!r} is not a file: URI")
    if digest is not None and (not isinstance(digest, str) or _DIGEST.fullmatch(digest) is None):
        raise MalformedError(f"sgx.trusted_files: {uri}: sha256 is not 64 lower-case hex digits")
    return TrustedFile(uri=uri, path=uri.removeprefix(_SCHEME), sha256=digest)


def _expanded(file: TrustedFile, tree: FileTree) -> Iterator[TrustedFile]:
    is_folder = (file.uri.endswith("/") or file.sha256 is None) and tree.kind(file.path) is EntryKind.FOLDER
    if not file.uri.endswith("/"):
        if is_folder or file.uri == _SCHEME:
            raise MalformedError(f"sgx.trusted_files: {file.uri} is a folder, and does not end with /")
        yield file
        return
    if not is_folder:
        raise MalformedError(f"sgx.trusted_files: {file.uri} ends with / and is not a folder")
    if file.sha256 is not None:
        raise MalformedError(f"sgx.trusted_files: {file.uri} is a folder, and has a sha256")
    yield from _below(PurePosixPath(file.path), tree)


def _below(root: PurePosixPath, tree: FileTree) -> Iterator[TrustedFile]:
    """Yield the files below a folder, without recursion: a tree may be deeper than Python's stack."""
    waiting = [_ordered(root, tree)]
    while waiting:
        found = next(waiting[-1], None)
        if found is None:
            waiting.pop()
            continue
        path, kind = found
        if kind is EntryKind.FOLDER:
            waiting.append(_ordered(path, tree))
        else:
            yield TrustedFile(uri=f"{_SCHEME}{path}", path=str(path))


def _ordered(folder: PurePosixPath, tree: FileTree) -> Iterator[tuple[PurePosixPath, EntryKind]]:
    # Python compares strings by code points, as the signer does.
    for entry in sorted(tree.entries(str(folder)), key=lambda entry: entry.name):
        if entry.kind is EntryKind.OTHER or (entry.kind is EntryKind.FOLDER and entry.is_link):
            continue
        if not entry.name.isprintable() and not _is_utf8(entry.name):
            raise MalformedError(f"sgx.trusted_files: a name in {folder} is not UTF-8: {entry.name!r}")
        yield folder / entry.name, entry.kind


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _library(uri: TomlValue, tree: FileTree) -> str:
    if not isinstance(uri, str) or not uri.startswith(_SCHEME):
        raise MalformedError(f"loader.entrypoint.uri: {uri!r} is not a file: URI")
    path = uri.removeprefix(_SCHEME)
    if tree.kind(path) is EntryKind.FOLDER:
        raise MalformedError(f"loader.entrypoint.uri: {uri} is a folder")
    return path


def _filled(table: Mapping[str, TomlValue], defaults: Mapping[str, TomlValue]) -> dict[str, TomlValue]:
    return {**table, **{key: value for key, value in defaults.items() if key not in table}}


def _table(parent: Mapping[str, TomlValue], key: str, *, name: str | None = None) -> Mapping[str, TomlValue]:
    value = parent.get(key, {})
    if not isinstance(value, Mapping):
        raise MalformedError(f"{name or key}: expected a table")
    return value


def _toml(value: object, name: str) -> TomlValue:
    """Return a value that a manifest may hold; TOML's floats, dates and times are none of them."""
    if isinstance(value, str | int):
        return value
    if isinstance(value, list):
        return [_toml(item, name) for item in value]
    if isinstance(value, dict):
        return {key: _toml(item, f"{name}.{key}") for key, item in value.items()}
    raise MalformedError(f"{name}: a {type(value).__name__} has no place in a manifest")
