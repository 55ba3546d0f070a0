"""The invitation: what the owner hands to the participants by another channel, never through the server.

It names the computation, pins its terms, and carries the words. One line, or a small file that holds the
same line with the server's address and certificate digest. The words are secret: they are hidden from
`repr` and from errors. Spec: docs/spec/invitation.md.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field
from uuid import UUID

from sealroom.core.errors import MalformedError
from sealroom.core.sealing.words import parse_words
from sealroom.core.wire.byte_fields import DIGEST_SIZE, check_size, parse_hex
from sealroom.core.wire.terms import check_computation, parse_computation

SCHEME = "sealroom1"
TERMS_PREFIX_SIZE = 16
MAX_LINE_SIZE = 256
MAX_FILE_SIZE = 1024
_CHECK_LABEL = b"sealroom/v1/invitation\x00"
_CHECK_SIZE = 4
_SERVER = re.compile(
    r"https://(?:[A-Za-z0-9][A-Za-z0-9.-]{0,252}|\[[0-9a-fA-F:]{2,39}\])(?::([1-9][0-9]{0,4}))?"
)
_MAX_PORT = 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """The computation, the first 16 octets of its terms' digest, and the words."""

    computation: UUID
    terms_prefix: bytes
    words: tuple[str, ...] = field(repr=False)

    def __post_init__(self) -> None:
        check_computation(self.computation)
        check_size(self.terms_prefix, field="invitation terms", size=TERMS_PREFIX_SIZE)
        parse_words("-".join(self.words))


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationFile:
    """An invitation with where to go: the server's address and the SHA-256 of its certificate (DER)."""

    invitation: Invitation
    server: str
    server_cert_sha256: bytes

    def __post_init__(self) -> None:
        if not _is_server(self.server):
            raise MalformedError("invitation server: expected https://host or https://host:port")
        check_size(self.server_cert_sha256, field="invitation server-cert", size=DIGEST_SIZE)


def format_invitation(invitation: Invitation) -> str:
    """Write the invitation's one line, without a line end."""
    terms = _base32(invitation.terms_prefix)
    line = f"{SCHEME}:{invitation.computation}:{terms}:{'-'.join(invitation.words)}"
    return f"{line}:{_check(line)}"


def parse_invitation(line: str) -> Invitation:
    """Read one line; raises `MalformedError` for anything but the exact form, a wrong checksum included."""
    if len(line) > MAX_LINE_SIZE or not line.isascii():
        raise MalformedError(f"invitation: expected at most {MAX_LINE_SIZE} ASCII characters")
    parts = line.split(":")
    if len(parts) != 5:
        raise MalformedError(f"invitation: expected 5 parts between colons, got {len(parts)}")
    scheme, computation, terms, words, check = parts
    if scheme != SCHEME:
        raise MalformedError(f"invitation: expected it to start with {SCHEME}")
    # The checksum first: a slip of the pen is told as one, before any part is judged by itself.
    if check != _check(line[: line.rindex(":")]):
        raise MalformedError("invitation checksum: does not fit the line, a character was lost or changed")
    return Invitation(
        computation=parse_computation(computation),
        terms_prefix=_parse_base32(terms),
        words=parse_words(words),
    )


def format_invitation_file(file: InvitationFile) -> bytes:
    """Write the file form: three lines, each ended by a line feed."""
    return (
        f"{format_invitation(file.invitation)}\n"
        f"server={file.server}\n"
        f"server-cert={file.server_cert_sha256.hex()}\n"
    ).encode()


def parse_invitation_file(raw: bytes) -> InvitationFile:
    """Read the file form; raises `MalformedError` unless writing it again gives the same octets."""
    if len(raw) > MAX_FILE_SIZE or not raw.isascii():
        raise MalformedError(f"invitation file: expected at most {MAX_FILE_SIZE} octets of ASCII")
    lines = raw.decode("ascii").split("\n")
    if len(lines) != 4 or lines[3]:
        raise MalformedError("invitation file: expected three lines, each ended by a line feed")
    server = _value(lines[1], "server")
    certificate = _value(lines[2], "server-cert")
    return InvitationFile(
        invitation=parse_invitation(lines[0]),
        server=server,
        server_cert_sha256=parse_hex(certificate, field="invitation server-cert", size=DIGEST_SIZE),
    )


def _value(line: str, name: str) -> str:
    found, _, value = line.partition("=")
    if found != name:
        raise MalformedError(f"invitation file: expected {name}= in its place")
    return value


def _is_server(text: str) -> bool:
    match = _SERVER.fullmatch(text)
    return match is not None and int(match[1] or 0) <= _MAX_PORT


def _check(line: str) -> str:
    return _base32(hashlib.sha256(_CHECK_LABEL + line.encode("ascii")).digest())[:_CHECK_SIZE]


def _base32(raw: bytes) -> str:
    return base64.b32encode(raw).decode("ascii").rstrip("=").lower()


def _parse_base32(text: str) -> bytes:
    padded = text.upper() + "=" * (-len(text) % 8)
    try:
        raw = base64.b32decode(padded)
    except binascii.Error:
        raise MalformedError("invitation terms: not base32") from None
    # Upper case, spare bits that are set, and padding all fail here: one spelling alone is right.
    if len(raw) != TERMS_PREFIX_SIZE or _base32(raw) != text:
        raise MalformedError(f"invitation terms: expected {TERMS_PREFIX_SIZE} octets in lower-case base32")
    return raw
