"""The files of the program, clear and encrypted, and their provider's signature (docs/spec/code-list.md).

Must never list a path that two file systems could read differently.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Self
from uuid import UUID

from sealroom.core.errors import MalformedError
from sealroom.core.wire import strict_json
from sealroom.core.wire.byte_fields import (
    DIGEST_SIZE,
    check_number,
    check_size,
    label_bytes,
    labelled_digest,
    u16,
    u32,
    u64,
)
from sealroom.core.wire.names import MAX_PATH_BYTES, check_path
from sealroom.core.wire.signatures import verify_ed25519
from sealroom.core.wire.strict_json import JsonValue
from sealroom.core.wire.terms import ENTRY

CODE_LABEL = "sealroom/v1/code"
SERVICE_CODE_LABEL = "sealroom/v1/service-code"
CODE_SIGNATURE_LABEL = "sealroom/v1/code-signature"
REQUIREMENTS = "requirements.txt"
SERVICE_FOLDER = "src/"
# These travel in the clear, so that every participant can read them; every other file is a container.
CLEAR_PATHS = (ENTRY, REQUIREMENTS)
MAX_CODE_FILES = 4096
MAX_CODE_LIST_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeFile:
    """One file of the program as it is stored: `size` and `sha256` are of the clear or the sealed file."""

    path: str
    size: int
    sha256: bytes

    def __post_init__(self) -> None:
        check_path(self.path, field="code path")
        check_number(self.size, field="code size")
        check_size(self.sha256, field="code sha256", size=DIGEST_SIZE)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileList:
    """Files of an archive, sorted by the bytes of their paths, none of which is a folder of another."""

    files: tuple[CodeFile, ...]

    def __post_init__(self) -> None:
        if len(self.files) > MAX_CODE_FILES:
            raise MalformedError(f"code list: got {len(self.files)} files, expected at most {MAX_CODE_FILES}")
        paths = [file.path.encode("utf-8") for file in self.files]
        if any(first >= second for first, second in pairwise(paths)):
            raise MalformedError("code list: paths are not sorted by their bytes, each once")
        _check_no_file_is_a_folder(tuple(file.path for file in self.files))

    @classmethod
    def from_files(cls, files: tuple[CodeFile, ...]) -> Self:
        """Make a list of `files` in any order."""
        return cls(files=tuple(sorted(files, key=lambda file: file.path.encode("utf-8"))))

    def labelled(self, label: str) -> bytes:
        """Return the digest of the list under `label`."""
        parts = [u32(len(self.files))]
        for file in self.files:
            path = file.path.encode("utf-8")
            parts.append(u16(len(path)) + path + u64(file.size) + file.sha256)
        return labelled_digest(label, *parts)

    def find(self, path: str) -> CodeFile | None:
        """Return the file at `path`, or `None`."""
        for file in self.files:
            if file.path == path:
                return file
        return None

    def to_value(self) -> JsonValue:
        """Return the list as a JSON value, to stand inside another message."""
        return {"files": [[file.path, file.size, file.sha256.hex()] for file in self.files]}

    @classmethod
    def from_value(cls, value: JsonValue) -> Self:
        """Read the list from a JSON value whose encoding the caller compares."""
        (files,) = strict_json.members(value, ("files",), field="code list")
        items = strict_json.array(files, field="code list", max_items=MAX_CODE_FILES)
        return cls(files=tuple(_parse_file(item) for item in items))

    def to_json(self) -> bytes:
        """Return the list in its one encoding."""
        return strict_json.encode_json(self.to_value())

    @classmethod
    def from_json(cls, raw: bytes) -> Self:
        """Read a list; raises `MalformedError` for anything but its one encoding."""
        value = strict_json.decode_json(raw, field="code list", max_bytes=MAX_CODE_LIST_BYTES)
        parsed = cls.from_value(value)
        strict_json.check_canonical(raw, parsed.to_json(), field="code list")
        return parsed


class CodeList(FileList):
    """All files of a computation's program; `run.py` is always among them."""

    __slots__ = ()

    def __post_init__(self) -> None:
        FileList.__post_init__(self)
        if self.find(ENTRY) is None:
            raise MalformedError(f"code list: {ENTRY} is missing")

    @property
    def digest(self) -> bytes:
        """The 32 bytes that the arguments carry as `code` and the Code Provider signs."""
        return self.labelled(CODE_LABEL)


class ServiceCode(FileList):
    """The measured files of a service: its application under `src/`, and its requirements."""

    __slots__ = ()

    def __post_init__(self) -> None:
        FileList.__post_init__(self)
        outside = [file.path for file in self.files if not file.path.startswith(SERVICE_FOLDER)]
        if outside not in ([], [REQUIREMENTS]) or len(outside) == len(self.files):
            raise MalformedError(f"service code: expected files under {SERVICE_FOLDER} and {REQUIREMENTS}")

    @property
    def digest(self) -> bytes:
        """The 32 bytes that the arguments of a service carry as `code`."""
        return self.labelled(SERVICE_CODE_LABEL)


def code_signature_message(computation: UUID, digest: bytes) -> bytes:
    """Return the bytes that a Code Provider signs for `computation` over a code list's `digest`."""
    check_size(digest, field="code digest", size=DIGEST_SIZE)
    return label_bytes(CODE_SIGNATURE_LABEL) + computation.bytes + digest


def verify_code_signature(*, public_key: bytes, computation: UUID, digest: bytes, signature: bytes) -> None:
    """Verify that the holder of `public_key` signed this code for this computation.

    Raises `VerificationError` when not.
    """
    message = code_signature_message(computation, digest)
    verify_ed25519(public_key=public_key, message=message, signature=signature, field="code signature")


def _parse_file(value: JsonValue) -> CodeFile:
    fields = strict_json.array(value, field="code file", max_items=3)
    if len(fields) != 3:
        raise MalformedError("code file: expected path, size and sha256")
    path, size, digest = fields
    return CodeFile(
        path=strict_json.text(path, field="code path", max_chars=MAX_PATH_BYTES),
        size=strict_json.integer(size, field="code size"),
        sha256=strict_json.hex_bytes(digest, field="code sha256", size=DIGEST_SIZE),
    )


def _check_no_file_is_a_folder(paths: tuple[str, ...]) -> None:
    files = frozenset(paths)
    for path in paths:
        parts = path.split("/")
        for depth in range(1, len(parts)):
            if "/".join(parts[:depth]) in files:
                raise MalformedError("code list: one path is both a file and a folder")
