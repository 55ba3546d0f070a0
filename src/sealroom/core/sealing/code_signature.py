"""The Code Provider's signature over its code list; core.wire verifies it. Spec: docs/spec/code-list.md."""

from __future__ import annotations

from uuid import UUID

from sealroom.core.sealing.keys import SigningKey
from sealroom.core.wire.code_list import CodeList, code_signature_message


def sign_code(code: CodeList, *, computation: UUID, signing_key: SigningKey) -> bytes:
    """Sign the whole code list for one computation, giving 64 octets."""
    return signing_key.sign(code_signature_message(computation, code.digest))
