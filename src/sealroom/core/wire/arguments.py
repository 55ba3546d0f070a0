"""The measured arguments: the contract that every participant checks (docs/spec/arguments.md).

One parser and one serialiser, used by client, server and enclave. Must never accept a second spelling of one
contract: what was read is written again and compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sealroom.core.errors import MalformedError
from sealroom.core.wire.argument_items import Items, item_bytes, read_items, write_items
from sealroom.core.wire.byte_fields import (
    DIGEST_SIZE,
    KEY_SIZE,
    check_size,
    labelled_digest,
    parse_choice,
    parse_hex,
)
from sealroom.core.wire.participants import MAX_PARTICIPANTS, Participant, Role
from sealroom.core.wire.terms import (
    ENTRY,
    FORMAT_ITEM,
    DeliveryForm,
    Limits,
    LogRelease,
    Tee,
    Terms,
    parse_computation,
)

AGREEMENT_LABEL = "sealroom/v1/agreement"
LAUNCH_SIZE = 16
MAX_ARGUMENTS_BYTES = 256 * 1024

_FIXED_ITEMS = 14
_MAX_ITEMS = _FIXED_ITEMS + 1 + 2 * MAX_PARTICIPANTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """Everything a computation agrees on: the owner's terms, every key, the code, and one launch.

    `participants` are the delivery slots, in item order. `packages_digest` is the SHA-256 of
    requirements.txt, or 32 zero bytes when the code has none. The value is always consistent: it cannot be
    built with a slot missing, one key under two e-mails, or one key twice in a role.
    """

    terms: Terms
    participants: tuple[Participant, ...]
    code_digest: bytes
    packages_digest: bytes
    launch: bytes
    entry: str = ENTRY

    def __post_init__(self) -> None:
        check_size(self.code_digest, field="code", size=DIGEST_SIZE)
        check_size(self.packages_digest, field="packages", size=DIGEST_SIZE)
        check_size(self.launch, field="launch", size=LAUNCH_SIZE)
        if self.entry != ENTRY:
            raise MalformedError(f"entry: expected {ENTRY}")
        slots = tuple((p.role, p.index, p.email) for p in self.participants)
        if slots != self.terms.roles():
            raise MalformedError("participants: not the roles and e-mails of the terms, in their order")
        _check_keys(self.participants)

    def items(self) -> tuple[str, ...]:
        """Return the items after the interpreter's arguments, in their one order."""
        return (
            *self.terms.head_items(),
            *(f"{p.role.value}={p.email}={p.public_key.hex()}" for p in self.participants),
            *self.terms.tail_items(),
            f"code={self.code_digest.hex()}",
            f"packages={self.packages_digest.hex()}",
            f"launch={self.launch.hex()}",
        )

    def to_bytes(self) -> bytes:
        """Return the whole measured file: the interpreter's arguments, then the items."""
        return write_items(self.items())

    @property
    def agreement(self) -> bytes:
        """The 32 bytes that name this contract in deliveries and receipts."""
        return labelled_digest(AGREEMENT_LABEL, item_bytes(self.items()))

    @property
    def terms_digest(self) -> bytes:
        """The 32 bytes of which the owner's invitation carries the first half."""
        return self.terms.digest

    @property
    def computation(self) -> UUID:
        """The computation's identifier."""
        return self.terms.computation

    def in_role(self, role: Role) -> tuple[Participant, ...]:
        """Return the participants of `role`, ordered by index."""
        return tuple(p for p in self.participants if p.role is role)

    def find(self, role: Role, public_key: bytes) -> Participant | None:
        """Return the slot of (`role`, `public_key`), or `None` when nobody is listed so."""
        for participant in self.participants:
            if participant.role is role and participant.public_key == public_key:
                return participant
        return None


def parse_arguments(raw: bytes) -> Arguments:
    """Read a whole measured arguments file; raises `MalformedError` for anything but its one encoding."""
    return arguments_from_items(read_items(raw, max_bytes=MAX_ARGUMENTS_BYTES))


def arguments_from_items(items: Sequence[str]) -> Arguments:
    """Read the items that follow the interpreter's arguments, as an enclave finds them in `sys.argv[1:]`.

    Raises `MalformedError` for a missing, repeated, reordered, abbreviated or unknown item.
    """
    reader = Items(items, most=_MAX_ITEMS)
    reader.literal(FORMAT_ITEM)
    tee = parse_choice(Tee, reader.value("tee"), field="tee")
    delivery = parse_choice(DeliveryForm, reader.value("delivery"), field="delivery")
    computation = parse_computation(reader.value("computation"))
    owner = reader.value("owner")
    people = tuple(person for role in Role for person in _people(reader, role))
    terms = Terms(
        tee=tee,
        delivery=delivery,
        computation=computation,
        owner=owner,
        code_provider=_only_code_provider(people),
        data_providers=_emails(people, Role.DATA_PROVIDER),
        result_consumers=_emails(people, Role.RESULT_CONSUMER),
        logs=parse_choice(LogRelease, reader.value("logs"), field="logs"),
        limits=_read_limits(reader),
    )
    reader.literal(f"entry={ENTRY}")
    arguments = Arguments(
        terms=terms,
        participants=people,
        code_digest=parse_hex(reader.value("code"), field="code", size=DIGEST_SIZE),
        packages_digest=parse_hex(reader.value("packages"), field="packages", size=DIGEST_SIZE),
        launch=parse_hex(reader.value("launch"), field="launch", size=LAUNCH_SIZE),
    )
    reader.compare(arguments.items())
    return arguments


def _people(reader: Items, role: Role) -> tuple[Participant, ...]:
    found: list[Participant] = []
    for value in reader.values(role.value):
        email, _, key = value.rpartition("=")
        public_key = parse_hex(key, field=f"{role.value} key", size=KEY_SIZE)
        found.append(Participant(role=role, index=len(found), email=email, public_key=public_key))
    return tuple(found)


def _only_code_provider(people: tuple[Participant, ...]) -> str:
    emails = _emails(people, Role.CODE_PROVIDER)
    if len(emails) != 1:
        raise MalformedError(f"code-provider: got {len(emails)}, expected exactly one")
    return emails[0]


def _emails(people: tuple[Participant, ...], role: Role) -> tuple[str, ...]:
    return tuple(person.email for person in people if person.role is role)


def _read_limits(reader: Items) -> Limits:
    return Limits(
        max_output_bytes=reader.number("max-output-bytes"),
        max_log_bytes=reader.number("max-log-bytes"),
        max_seconds=reader.number("max-seconds"),
        max_memory=reader.number("max-memory"),
    )


def _check_keys(participants: tuple[Participant, ...]) -> None:
    # This refuses one key twice in a role too: there it would stand under two e-mails, since the terms
    # refuse one e-mail twice in a role.
    email_of: dict[bytes, str] = {}
    for person in participants:
        if email_of.setdefault(person.public_key, person.email) != person.email:
            raise MalformedError("participants: one key stands under two e-mails")
