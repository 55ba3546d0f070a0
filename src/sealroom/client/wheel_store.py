"""The wheels of this home, each under its SHA-256, and the list of files that was made of it here.

A verification compares with these lists and with no others. Must never: keep a wheel under another hash than
its own, or a list that was not made from a wheel with that hash.

Spec: docs/spec/packages.md, "Travel".
"""

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO, BinaryIO

from sealroom.client.home import Home
from sealroom.client.json_values import JsonObject
from sealroom.client.private_files import make_private_folder, read_bounded, replacing, write_private
from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.measurement.requirements import Requirement
from sealroom.core.measurement.wheel import RULES, PackageFile, UnpackedWheel, list_wheel

_MAX_LIST_BYTES = 32 << 20
_BLOCK = 1 << 20


class WheelStore:
    """The folder `wheels` of a home. Nothing in it is secret; everything in it was checked."""

    def __init__(self, home: Home) -> None:
        self._folder = home.wheels

    def path(self, sha256: bytes) -> Path:
        """Where the wheel with that hash is, or would be."""
        return self._folder / f"{sha256.hex()}.whl"

    def open(self, sha256: bytes) -> BinaryIO:
        """Open a wheel that is here for reading."""
        return self.path(sha256).open("rb")

    def missing(self, requirements: Iterable[Requirement]) -> tuple[Requirement, ...]:
        """Return the packages whose wheels are not here."""
        return tuple(each for each in requirements if not self.path(each.sha256).is_file())

    def add(self, requirement: Requirement, fill: Callable[[IO[bytes]], object]) -> UnpackedWheel:
        """Keep the wheel that `fill` writes into the file it is given, once it is the one that was named.

        Raises `VerificationError`, naming the package, for another SHA-256 and for a wheel that breaks a
        rule; nothing is kept then.
        """
        make_private_folder(self._folder)
        with replacing(self.path(requirement.sha256)) as sink:
            with tempfile.TemporaryFile(dir=self._folder) as raw:
                fill(raw)
                raw.seek(0)
                found = _copy(raw, sink)
                if found != requirement.sha256:
                    raise VerificationError(
                        f"wheel of {requirement.title}: got sha256 {found.hex()}, expected "
                        f"{requirement.sha256.hex()}"
                    )
                wheel = _listed(raw, requirement)
            self._write_list(requirement.sha256, wheel)
        return wheel

    def add_file(self, requirement: Requirement, path: Path) -> UnpackedWheel:
        """Keep a copy of a wheel that lies in a file."""
        with path.open("rb") as source:
            return self.add(requirement, lambda sink: _copy(source, sink))

    def known(self, requirements: Iterable[Requirement]) -> dict[bytes, UnpackedWheel]:
        """Return the list of each wheel that is here; what is missing is left out.

        A list that is not there any more, or was made by other rules, is made again from the wheel.
        """
        found = {}
        for requirement in requirements:
            wheel = self._read_list(requirement.sha256) or self._list_again(requirement)
            if wheel is not None:
                found[requirement.sha256] = wheel
        return found

    def _list_path(self, sha256: bytes) -> Path:
        return self._folder / f"{sha256.hex()}.json"

    def _read_list(self, sha256: bytes) -> UnpackedWheel | None:
        # Anything but a whole list by these rules is as good as none.
        with suppress(FileNotFoundError, MalformedError):
            raw = read_bounded(self._list_path(sha256), max_bytes=_MAX_LIST_BYTES, what="list of a wheel")
            return _parse_list(raw)
        return None

    def _write_list(self, sha256: bytes, wheel: UnpackedWheel) -> None:
        write_private(self._list_path(sha256), _list_bytes(wheel))

    def _list_again(self, requirement: Requirement) -> UnpackedWheel | None:
        try:
            file = self.path(requirement.sha256).open("rb")
        except FileNotFoundError:
            return None
        with file:
            if hashlib.file_digest(file, "sha256").digest() != requirement.sha256:
                return None
            wheel = _listed(file, requirement)
        self._write_list(requirement.sha256, wheel)
        return wheel


def _listed(file: IO[bytes], requirement: Requirement) -> UnpackedWheel:
    try:
        return list_wheel(file)
    except MalformedError as exc:
        raise VerificationError(f"wheel of {requirement.title}: {exc}") from exc


def _copy(source: IO[bytes], sink: IO[bytes]) -> bytes:
    digest = hashlib.sha256()
    while block := source.read(_BLOCK):
        digest.update(block)
        sink.write(block)
    return digest.digest()


def _list_bytes(wheel: UnpackedWheel) -> bytes:
    document = {
        "rules": RULES,
        "name": wheel.name,
        "version": wheel.version,
        "tags": list(wheel.tags),
        "files": [[file.path, file.size, file.sha256.hex()] for file in wheel.files],
    }
    return json.dumps(document).encode()


def _parse_list(raw: bytes) -> UnpackedWheel:
    value = JsonObject.from_bytes(raw, what="list of a wheel")
    if value.number("rules") != RULES:
        raise MalformedError("list of a wheel: made by other rules")
    return UnpackedWheel(
        name=value.text("name"),
        version=value.text("version"),
        tags=value.texts("tags"),
        files=tuple(_parse_file(row) for row in value.array("files")),
    )


def _parse_file(row: object) -> PackageFile:
    if not isinstance(row, list) or len(row) != 3:
        raise MalformedError("list of a wheel: expected rows of path, size, sha256")
    path, size, digest = row
    if not isinstance(path, str) or not isinstance(size, int) or not isinstance(digest, str):
        raise MalformedError("list of a wheel: expected rows of path, size, sha256")
    try:
        return PackageFile(path=path, size=size, sha256=bytes.fromhex(digest))
    except ValueError as exc:
        raise MalformedError("list of a wheel: sha256 is not hexadecimal") from exc
