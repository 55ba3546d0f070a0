"""Which files Gramine refused to open, who needed them, and the line that the manifest lacks.

Reads what a person would read: Gramine's log and Python's tracebacks, in one text. Advice only, and every
name in it is foreign text.

Spec: docs/spec/manifest.md, "Refused files".
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from sealroom.core.measurement.manifest import quoted

MAX_LOG_CHARACTERS = 4 << 20

_FRAME = re.compile(r'\s*File "([^"]+)", line (\d+)')
_ERRNO = re.compile(r"\[Errno (1|13)\] [^:]*: '([^']+)'")
_LIBRARY = re.compile(r"([^\s:]+): cannot open shared object file: (.+)")
_GRAMINE = (
    (re.compile(r"Disallowing access to file '(.*)'; file is not allowed"), "unlisted"),
    (re.compile(r"Disallowing creating file '(.*)'; file is not trusted or allowed"), "new"),
    (re.compile(r"Disallowing write/append to a trusted file '(.*)'"), "written"),
    (re.compile(r"Disallowing creating a trusted file '(.*)'"), "written"),
    (re.compile(r"Hash of trusted file '(.*)' does not match"), "changed"),
)
# Python's own machinery, which every import goes through.
_MACHINERY = ("<frozen ", "<string>")
_TRACEBACK = "Traceback (most recent call last):"
_SCHEME = "file:"


class Refusal(Enum):
    """Why a file was refused."""

    UNLISTED = "unlisted"
    """It is neither trusted nor allowed."""
    CHANGED = "changed"
    """It is trusted, and its content is not the one that was hashed."""
    WRITTEN = "written"
    """The program wanted to write a trusted file."""
    NEW = "new"
    """The program wanted to make a file where it may not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedFile:
    """One refused file: its path inside the enclave, or its bare name where that is all that is known."""

    refusal: Refusal
    name: str
    needed_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """What to do about it: a sentence, and the key of the manifest with the line to add to it, if any."""

    sentence: str
    key: str | None = None
    line: str | None = None


def parse_refused_files(log: str) -> tuple[RefusedFile, ...]:
    """Return the files that a log says were refused, each once, in the order of their first mention."""
    found: dict[str, RefusedFile] = {}
    for file in _mentions(log[:MAX_LOG_CHARACTERS]):
        before = found.setdefault(file.name, file)
        if before.needed_by is None and file.needed_by is not None:
            found[file.name] = replace(before, needed_by=file.needed_by)
    paths = {name.rpartition("/")[2] for name in found if "/" in name}
    return tuple(
        file
        for name, file in found.items()
        if not name.endswith(".pyc") and ("/" in name or name not in paths)
    )


def remedy_for(
    file: RefusedFile, manifest: Mapping[str, object], *, is_file: Callable[[str], bool]
) -> Remedy:
    """Return what to do about a refused file under this manifest.

    `is_file` says whether a path of the manifest is a file on this machine; it helps to find a library that
    is known by its bare name.
    """
    if file.refusal is Refusal.CHANGED:
        return Remedy(sentence="its content changed after it was hashed: expand and sign the manifest again")
    uri = _uri(file.name, manifest, is_file)
    if file.refusal is Refusal.WRITTEN:
        return Remedy(sentence="trusted files are read only: write to a tmpfs, or to another path")
    if file.refusal is Refusal.NEW:
        folder = file.name.rpartition("/")[0] or "/tmp"  # noqa: S108 - a path inside
        sentence = "write to a folder in the enclave's memory; allowed_files would show it to the host"
        return Remedy(
            sentence=sentence, key="fs.mounts", line=f'{{ type = "tmpfs", path = {quoted(folder)} }},'
        )
    if uri is None:
        return Remedy(
            sentence="it is mounted from nowhere, or under more than one path: find it, then list it"
        )
    return Remedy(
        sentence="list it, then expand the manifest", key="sgx.trusted_files", line=f"{quoted(uri)},"
    )


def _mentions(log: str) -> Iterator[RefusedFile]:
    frame: str | None = None
    lines = log.splitlines()
    for number, line in enumerate(lines):
        if _TRACEBACK in line:
            frame = None
        at = _FRAME.match(line)
        if at is not None:
            if not at[1].startswith(_MACHINERY):
                following = lines[number + 1].strip() if number + 1 < len(lines) else ""
                frame = f"{at[1]}, line {at[2]}: {following}".removesuffix(": ")
            continue
        yield from _in_line(line, frame)


def _in_line(line: str, frame: str | None) -> Iterator[RefusedFile]:
    for pattern, word in _GRAMINE:
        said = pattern.search(line)
        if said is not None:
            yield RefusedFile(refusal=Refusal(word), name=said[1])
            return
    by_python = _ERRNO.search(line)
    if by_python is not None:
        refusal = Refusal.CHANGED if by_python[1] == "1" else Refusal.UNLISTED
        yield RefusedFile(refusal=refusal, name=by_python[2], needed_by=frame)
        return
    by_loader = _LIBRARY.search(line)
    if by_loader is not None:
        refusal = Refusal.CHANGED if by_loader[2].startswith("Operation not permitted") else Refusal.UNLISTED
        yield RefusedFile(refusal=refusal, name=by_loader[1], needed_by=frame)


def _uri(name: str, manifest: Mapping[str, object], is_file: Callable[[str], bool]) -> str | None:
    """Return the URI of a path inside: by its mount, or for a bare name by the folders of libraries."""
    mounts = sorted(_mounts(manifest), key=lambda mount: len(mount[0]), reverse=True)
    if name.startswith("/"):
        return next((uri for uri in (_mounted(name, *mount) for mount in mounts) if uri), None)
    candidates = [
        uri
        for folder in _library_folders(manifest)
        for uri in (_uri(f"{folder}/{name}", manifest, is_file),)
        if uri is not None and is_file(uri.removeprefix(_SCHEME))
    ]
    return candidates[0] if len(set(candidates)) == 1 else None


def _mounted(path: str, inside: str, uri: str) -> str | None:
    if path == inside:
        return uri
    prefix = inside.rstrip("/") + "/"
    return f"{uri.rstrip('/')}/{path.removeprefix(prefix)}" if path.startswith(prefix) else None


def _mounts(manifest: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    fs = manifest.get("fs")
    rows = fs.get("mounts") if isinstance(fs, Mapping) else None
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, Mapping) and row.get("type", "chroot") == "chroot":
            inside, uri = row.get("path"), row.get("uri")
            if isinstance(inside, str) and isinstance(uri, str):
                yield inside, uri


def _library_folders(manifest: Mapping[str, object]) -> tuple[str, ...]:
    loader = manifest.get("loader")
    environment = loader.get("env") if isinstance(loader, Mapping) else None
    value = environment.get("LD_LIBRARY_PATH") if isinstance(environment, Mapping) else None
    return tuple(value.split(":")) if isinstance(value, str) else ()
