"""The participants of a rehearsal and the contract between them: keys made for it, and forgotten after it.

Must never use a key of a home, nor let one of its own open anything else.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from sealroom.core.evidence.expectations import TERMS_PREFIX_SIZE, Contact, Expectations, OwnRole
from sealroom.core.sealing.keys import DataKey, PreSharedKey, SigningKey
from sealroom.core.wire.arguments import LAUNCH_SIZE, Arguments
from sealroom.core.wire.byte_fields import DIGEST_SIZE, KEY_SIZE
from sealroom.core.wire.code_list import REQUIREMENTS, CodeList
from sealroom.core.wire.participants import Participant, Role
from sealroom.core.wire.terms import DeliveryForm, Limits, LogRelease, Tee, Terms

OWNER = "owner@code.test"
CODE_PROVIDER = "code-provider@code.test"
RESULT_CONSUMER = "result-consumer@code.test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What an owner chooses. Data Providers and Result Consumers are e-mail addresses, in their order."""

    data_providers: Sequence[str]
    result_consumers: Sequence[str]
    logs: LogRelease
    limits: Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """One participant in one role."""

    participant: Participant
    signing_key: SigningKey
    data_key: DataKey

    @property
    def public_key(self) -> bytes:
        """The participant's public key."""
        return self.participant.public_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """Everybody, what they agreed on, and the words' key that all of them know."""

    terms: Terms
    actors: tuple[Actor, ...]
    words_key: bytes

    @classmethod
    def gather(cls, choices: Choices) -> "Cast":
        """Make everybody; one person in two roles has one key."""
        terms = Terms(
            tee=Tee.SIMULATED,
            delivery=DeliveryForm.V1,
            computation=uuid4(),
            owner=OWNER,
            code_provider=CODE_PROVIDER,
            data_providers=tuple(choices.data_providers),
            result_consumers=tuple(choices.result_consumers),
            logs=choices.logs,
            limits=choices.limits,
        )
        people = {email: SigningKey.generate() for _, _, email in terms.roles()}
        actors = tuple(
            Actor(
                participant=Participant(
                    role=role, index=index, email=email, public_key=people[email].public_key
                ),
                signing_key=people[email],
                data_key=DataKey.generate(),
            )
            for role, index, email in terms.roles()
        )
        return cls(terms=terms, actors=actors, words_key=secrets.token_bytes(KEY_SIZE))

    @property
    def computation(self) -> UUID:
        """The computation's UUID."""
        return self.terms.computation

    @property
    def code_provider(self) -> Actor:
        """The one who brings the program."""
        return self.actors[0]

    def in_role(self, role: Role) -> tuple[Actor, ...]:
        """Return the participants in a role, in their order."""
        return tuple(actor for actor in self.actors if actor.participant.role is role)

    def preshared_key(self) -> PreSharedKey:
        """Return a fresh copy of what the words give; its user wipes it."""
        return PreSharedKey.from_bytes(self.words_key)

    def agree(self, code: CodeList) -> Arguments:
        """Return the measured arguments of a launch with this code."""
        requirements = code.find(REQUIREMENTS)
        return Arguments(
            terms=self.terms,
            participants=tuple(actor.participant for actor in self.actors),
            code_digest=code.digest,
            packages_digest=requirements.sha256 if requirements else bytes(DIGEST_SIZE),
            launch=secrets.token_bytes(LAUNCH_SIZE),
        )

    def expect(self, code: CodeList) -> Expectations:
        """Return what everybody here knows without the server."""
        people = [actor.participant for actor in self.actors]
        return Expectations(
            computation=self.computation,
            terms_prefix=self.terms.digest[:TERMS_PREFIX_SIZE],
            own_roles=tuple(OwnRole(role=p.role, email=p.email, public_key=p.public_key) for p in people),
            contacts={p.email: Contact(public_key=p.public_key, pinned=True) for p in people},
            code_digest=code.digest,
        )
