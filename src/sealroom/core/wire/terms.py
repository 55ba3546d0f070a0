"""What the owner decides alone: people, roles and policy choices, before any key or code is known.

The digest is what an invitation carries (docs/spec/arguments.md). Must never depend on keys, code or launch.
"""

import re
from dataclasses import dataclass
from enum import Enum
from uuid import UUID

from sealroom.core.errors import MalformedError
from sealroom.core.wire.argument_items import item_bytes
from sealroom.core.wire.byte_fields import check_number, labelled_digest
from sealroom.core.wire.participants import MAX_PARTICIPANTS, Role, check_email

TERMS_LABEL = "sealroom/v1/terms"
FORMAT_ITEM = "format=1"
ENTRY = "run.py"

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Tee(Enum):
    """The kind of enclave that runs the computation."""

    SGX = "sgx"
    SIMULATED = "simulated"


class DeliveryForm(Enum):
    """How keys reach the enclave: the form of this protocol, or the published client's."""

    V1 = "1"
    LEGACY = "legacy"


class LogRelease(Enum):
    """Who reads what the program prints."""

    NONE = "none"
    PARTICIPANTS = "participants"
    PUBLIC = "public"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Budgets of one run, in bytes and seconds."""

    max_output_bytes: int
    max_log_bytes: int
    max_seconds: int
    max_memory: int

    def __post_init__(self) -> None:
        check_number(self.max_output_bytes, field="max-output-bytes")
        check_number(self.max_log_bytes, field="max-log-bytes")
        check_number(self.max_seconds, field="max-seconds", minimum=1)
        check_number(self.max_memory, field="max-memory", minimum=1)

    def items(self) -> tuple[str, ...]:
        """Return the four items of the measured arguments."""
        return (
            f"max-output-bytes={self.max_output_bytes}",
            f"max-log-bytes={self.max_log_bytes}",
            f"max-seconds={self.max_seconds}",
            f"max-memory={self.max_memory}",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The owner's choices for one computation.

    The order of `data_providers` and `result_consumers` is their index. Within a role nobody appears twice;
    one person may hold several roles.
    """

    tee: Tee
    delivery: DeliveryForm
    computation: UUID
    owner: str
    code_provider: str
    data_providers: tuple[str, ...]
    result_consumers: tuple[str, ...]
    logs: LogRelease
    limits: Limits

    def __post_init__(self) -> None:
        check_computation(self.computation)
        check_email(self.owner, field="owner")
        check_email(self.code_provider, field="code-provider")
        _check_emails(self.data_providers, field="data-provider")
        _check_emails(self.result_consumers, field="result-consumer")

    def roles(self) -> tuple[tuple[Role, int, str], ...]:
        """Return (role, index, e-mail) of every slot, in the order of the items."""
        return (
            (Role.CODE_PROVIDER, 0, self.code_provider),
            *((Role.DATA_PROVIDER, i, email) for i, email in enumerate(self.data_providers)),
            *((Role.RESULT_CONSUMER, i, email) for i, email in enumerate(self.result_consumers)),
        )

    def items(self) -> tuple[str, ...]:
        """Return the items that the terms' digest covers, in order."""
        slots = tuple(f"{role.value}={email}" for role, _, email in self.roles())
        return (*self.head_items(), *slots, *self.tail_items())

    def head_items(self) -> tuple[str, ...]:
        """Return the items before the participants."""
        return (
            FORMAT_ITEM,
            f"tee={self.tee.value}",
            f"delivery={self.delivery.value}",
            f"computation={self.computation}",
            f"owner={self.owner}",
        )

    def tail_items(self) -> tuple[str, ...]:
        """Return the items after the participants."""
        return (f"logs={self.logs.value}", *self.limits.items(), f"entry={ENTRY}")

    @property
    def digest(self) -> bytes:
        """The 32 bytes of which an invitation carries the first half."""
        return labelled_digest(TERMS_LABEL, item_bytes(self.items()))


def check_computation(computation: UUID) -> None:
    """Refuse a UUID that is not random, of version 4."""
    if computation.version != 4:
        raise MalformedError("computation: expected a UUID of version 4")


def parse_computation(text: str) -> UUID:
    """Read the one spelling of a computation's identifier: a version 4 UUID in lower case with dashes."""
    if _UUID.fullmatch(text) is None:
        raise MalformedError("computation: expected a UUID in lower case")
    computation = UUID(text)
    check_computation(computation)
    return computation


def _check_emails(emails: tuple[str, ...], *, field: str) -> None:
    if len(emails) > MAX_PARTICIPANTS:
        raise MalformedError(f"{field}: got {len(emails)}, expected at most {MAX_PARTICIPANTS}")
    for email in emails:
        check_email(email, field=field)
    if len(set(emails)) != len(emails):
        raise MalformedError(f"{field}: one e-mail stands twice")
