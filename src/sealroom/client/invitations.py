"""Reading an invitation, in either form, into what a client needs: the computation and its server.

Must never: take an invitation, or a server's certificate, from the server itself.
Spec: docs/spec/invitation.md.
"""

from pathlib import Path

from sealroom.client.private_files import read_bounded
from sealroom.client.store import JoinedComputation
from sealroom.client.transport import ServerAddress
from sealroom.core.errors import MalformedError
from sealroom.core.sealing.invitation import (
    MAX_FILE_SIZE,
    SCHEME,
    Invitation,
    parse_invitation,
    parse_invitation_file,
)


def read_invitation(text_or_path: str, *, server: ServerAddress | None = None) -> JoinedComputation:
    """Read an invitation given as its line or as the path of its file.

    The bare line says nothing about the server, so `server` must; with the file, a given `server` takes the
    place of the one in it. Raises `MalformedError`.
    """
    if text_or_path.startswith(f"{SCHEME}:"):
        return _from_line(text_or_path.strip(), server)
    return parse_invitation_text(_read_file(text_or_path), server=server)


def read_terms(text_or_path: str) -> Invitation:
    """Read what an invitation pins, in either form, for somebody who asks no server; `MalformedError`."""
    if text_or_path.startswith(f"{SCHEME}:"):
        return parse_invitation(text_or_path.strip())
    raw = _read_file(text_or_path)
    if raw.count(b"\n") > 1:
        return parse_invitation_file(raw).invitation
    try:
        return parse_invitation(raw.decode("ascii").removesuffix("\n"))
    except UnicodeDecodeError as error:
        raise MalformedError("invitation: not ASCII") from error


def parse_invitation_text(raw: bytes, *, server: ServerAddress | None = None) -> JoinedComputation:
    """Read an invitation's bytes in either form; raises `MalformedError`."""
    if raw.count(b"\n") <= 1:
        try:
            return _from_line(raw.decode("ascii").removesuffix("\n"), server)
        except UnicodeDecodeError as error:
            raise MalformedError("invitation: not ASCII") from error
    file = parse_invitation_file(raw)
    stated = ServerAddress(url=file.server, certificate_sha256=file.server_cert_sha256)
    return JoinedComputation(invitation=file.invitation, server=server or stated)


def _read_file(path: str) -> bytes:
    try:
        return read_bounded(Path(path), max_bytes=MAX_FILE_SIZE, what="invitation file")
    except (FileNotFoundError, ValueError) as error:
        raise MalformedError(f"invitation: neither a line {SCHEME}:... nor a file that is there") from error


def _from_line(line: str, server: ServerAddress | None) -> JoinedComputation:
    invitation = parse_invitation(line)
    if server is None:
        raise MalformedError(
            "invitation: the bare line does not name the server; give --server and --server-cert, "
            "or the invitation file"
        )
    return JoinedComputation(invitation=invitation, server=server)
