"""What one participant knows before any server said anything: invitation, contacts, journal and own keys.

Never filled from the evidence or from a server's answer: whoever does that checks a claim against itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from sealroom.core.errors import MalformedError
from sealroom.core.wire.participants import Role
from sealroom.core.wire.terms import check_computation

TERMS_PREFIX_SIZE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """A key held for an e-mail address; `pinned` where a person compared it, not merely seen before."""

    public_key: bytes
    pinned: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRole:
    """One role of the participant who verifies, and the key it goes by."""

    role: Role
    email: str
    public_key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectations:
    """`computation` and `terms_prefix` are the invitation's, `contacts` by e-mail.

    `code_digest` is the digest of the code list that the participant signed or reviewed before, or `None`
    for whoever takes any code that its provider signed. `own_roles` is empty for an onlooker who delivers
    nothing.
    """

    computation: UUID
    terms_prefix: bytes
    own_roles: tuple[OwnRole, ...]
    contacts: Mapping[str, Contact]
    code_digest: bytes | None

    def __post_init__(self) -> None:
        check_computation(self.computation)
        if len(self.terms_prefix) != TERMS_PREFIX_SIZE:
            raise MalformedError(f"terms: got {len(self.terms_prefix)} bytes, expected {TERMS_PREFIX_SIZE}")
