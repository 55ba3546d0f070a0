"""The files of one Data Provider, as ciphertexts: names, sizes, digests (docs/spec/input-list.md).

The list travels in the clear; a provider's commitment is over it. Must never reorder it: the provider's
order is part of what was committed to.
"""

from dataclasses import dataclass

from sealroom.core.errors import MalformedError
from sealroom.core.wire import strict_json
from sealroom.core.wire.byte_fields import DIGEST_SIZE, check_number, check_size
from sealroom.core.wire.names import MAX_NAME_BYTES, check_file_name
from sealroom.core.wire.strict_json import JsonValue

MAX_INPUT_FILES = 4096
MAX_INPUT_LIST_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFile:
    """One encrypted input: `size` and `sha256` are the ciphertext's."""

    name: str
    size: int
    sha256: bytes

    def __post_init__(self) -> None:
        check_file_name(self.name, field="input name")
        check_number(self.size, field="input size")
        check_size(self.sha256, field="input sha256", size=DIGEST_SIZE)


@dataclass(frozen=True, slots=True, kw_only=True)
class InputList:
    """All files of one Data Provider, in the provider's order, names distinct; empty is a valid list."""

    files: tuple[InputFile, ...]

    def __post_init__(self) -> None:
        if len(self.files) > MAX_INPUT_FILES:
            raise MalformedError(f"input list: got {len(self.files)}, expected at most {MAX_INPUT_FILES}")
        if len({file.name for file in self.files}) != len(self.files):
            raise MalformedError("input list: one name stands twice")

    def to_json(self) -> bytes:
        """Return the list in its one encoding."""
        return strict_json.encode_json({"files": [_file_value(file) for file in self.files]})

    @classmethod
    def from_json(cls, raw: bytes) -> "InputList":
        """Read a list; raises `MalformedError` for anything but its one encoding."""
        value = strict_json.decode_json(raw, field="input list", max_bytes=MAX_INPUT_LIST_BYTES)
        (files,) = strict_json.members(value, ("files",), field="input list")
        items = strict_json.array(files, field="input list", max_items=MAX_INPUT_FILES)
        parsed = cls(files=tuple(_parse_file(item) for item in items))
        strict_json.check_canonical(raw, parsed.to_json(), field="input list")
        return parsed


def _file_value(file: InputFile) -> JsonValue:
    return {"name": file.name, "size": file.size, "sha256": file.sha256.hex()}


def _parse_file(value: JsonValue) -> InputFile:
    name, size, digest = strict_json.members(value, ("name", "size", "sha256"), field="input")
    return InputFile(
        name=strict_json.text(name, field="input name", max_chars=MAX_NAME_BYTES),
        size=strict_json.integer(size, field="input size"),
        sha256=strict_json.hex_bytes(digest, field="input sha256", size=DIGEST_SIZE),
    )
