"""Names of files and paths of modules, as one spelling everywhere.

Must never repair a name: what is not already in its one form is refused (docs/spec/input-list.md,
docs/spec/code-list.md).
"""

import unicodedata

from sealroom.core.errors import MalformedError

MAX_NAME_BYTES = 255
MAX_PATH_BYTES = 1024


def check_file_name(name: str, *, field: str) -> None:
    """Refuse `name` unless it is 1 to 255 bytes of UTF-8 NFC, without `/` or control characters."""
    encoded = _encode_canonical(name, field=field)
    if not 1 <= len(encoded) <= MAX_NAME_BYTES:
        raise MalformedError(f"{field}: got {len(encoded)} bytes, expected 1 to {MAX_NAME_BYTES}")
    if "/" in name:
        raise MalformedError(f"{field}: a name holds no slash")
    if name in (".", ".."):
        raise MalformedError(f"{field}: a name is neither one dot nor two")


def check_path(path: str, *, field: str) -> None:
    """Refuse `path` unless it is relative, `/`-separated, and every part is a valid file name."""
    encoded = _encode_canonical(path, field=field)
    if not 1 <= len(encoded) <= MAX_PATH_BYTES:
        raise MalformedError(f"{field}: got {len(encoded)} bytes, expected 1 to {MAX_PATH_BYTES}")
    for part in path.split("/"):
        check_file_name(part, field=field)


def _encode_canonical(text: str, *, field: str) -> bytes:
    # Longer text is refused by its callers; the cut keeps normalisation cheap on hostile input.
    if len(text) > MAX_PATH_BYTES:
        raise MalformedError(f"{field}: longer than {MAX_PATH_BYTES} characters")
    try:
        encoded = text.encode("utf-8")
    except UnicodeEncodeError as exc:
        raise MalformedError(f"{field}: not Unicode text") from exc
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise MalformedError(f"{field}: a name holds no control character")
    if not unicodedata.is_normalized("NFC", text):
        raise MalformedError(f"{field}: not in Unicode normalisation form C")
    return encoded
