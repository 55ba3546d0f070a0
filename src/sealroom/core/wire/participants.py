"""Who takes part: roles, e-mail addresses and keys (docs/spec/arguments.md).

Must never hold a secret: public keys only.
"""

import re
from dataclasses import dataclass
from enum import Enum

from sealroom.core.errors import MalformedError
from sealroom.core.wire.byte_fields import check_number
from sealroom.core.wire.signatures import check_public_key

MAX_EMAIL_CHARS = 254
# For each role; an index is below it.
MAX_PARTICIPANTS = 256

# ASCII alone: a look-alike of another alphabet cannot be written at all.
_EMAIL = re.compile(r"[a-z0-9._+-]+@[a-z0-9.-]+")


class Role(Enum):
    """What a participant does in a computation; the value is the name in the measured arguments."""

    CODE_PROVIDER = "code-provider"
    DATA_PROVIDER = "data-provider"
    RESULT_CONSUMER = "result-consumer"

    @property
    def code(self) -> int:
        """The role's byte in a delivery's statement."""
        return _CODES[self]

    @classmethod
    def from_code(cls, code: int) -> "Role":
        """Return the role with this byte in a delivery's statement."""
        for role, known in _CODES.items():
            if known == code:
                return role
        raise MalformedError(f"role: got {code}, expected 1, 2 or 3")


_CODES = {Role.CODE_PROVIDER: 1, Role.DATA_PROVIDER: 2, Role.RESULT_CONSUMER: 3}


def check_email(email: str, *, field: str = "e-mail") -> None:
    """Refuse an address that is not lower-case ASCII of the form name@host."""
    if len(email) > MAX_EMAIL_CHARS:
        raise MalformedError(f"{field}: got {len(email)} characters, expected at most {MAX_EMAIL_CHARS}")
    if _EMAIL.fullmatch(email) is None:
        raise MalformedError(f"{field}: expected lower-case letters, digits and ._+- around one @")


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """One participant item of the measured arguments, and so one delivery slot.

    `index` counts from 0 within the role, in the order of the items.
    """

    role: Role
    index: int
    email: str
    public_key: bytes

    def __post_init__(self) -> None:
        check_number(self.index, field="participant index", maximum=MAX_PARTICIPANTS - 1)
        check_email(self.email)
        check_public_key(self.public_key)
