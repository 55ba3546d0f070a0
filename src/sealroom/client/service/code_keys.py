"""The file of a code key: 64 hexadecimal digits, readable by its owner alone.

Must never write over a key that exists: what was sealed with it would be lost.
Spec: docs/spec/service-package.md, "The code key, and the application's id".
"""

import re
from pathlib import Path

from sealroom.client.private_files import placing, read_bounded
from sealroom.core.errors import MalformedError, SealroomError
from sealroom.core.sealing.service_key import CodeKey

_FORM = re.compile(rb"[0-9a-f]{64}\n?")


class CodeKeyError(SealroomError):
    """There is no code key where one is needed."""


def create_code_key(path: Path) -> CodeKey:
    """Make a key and store it at `path`; raises `FileExistsError` where something has that name."""
    key = CodeKey.generate()
    with placing(path) as file:
        file.write(key.reveal().hex().encode("ascii") + b"\n")
    return key


def load_code_key(path: Path) -> CodeKey:
    """Read the key at `path`; raises `CodeKeyError` for none, `MalformedError` for another form."""
    try:
        raw = read_bounded(path, max_bytes=256, what="code key")
    except FileNotFoundError as exc:
        raise CodeKeyError(f"code key: {path} is not there") from exc
    if _FORM.fullmatch(raw) is None:
        raise MalformedError("code key: expected 64 hexadecimal digits in lower case and a line feed")
    return CodeKey.from_bytes(bytearray.fromhex(raw.decode("ascii").strip()))
