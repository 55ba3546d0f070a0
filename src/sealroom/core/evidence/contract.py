"""Fifth question of a verification: is it what the owner proposed, with the people one knows.

Compares the measured arguments with what the participant knows from invitation, contacts and own keys. The
server says nothing here.

Spec: docs/spec/verification.md, 5.
"""

import hmac

from sealroom.core.attestation.roots import Provenance
from sealroom.core.errors import PolicyError, VerificationError
from sealroom.core.evidence.expectations import TERMS_PREFIX_SIZE, Expectations
from sealroom.core.evidence.policy import Policy
from sealroom.core.evidence.record import Record
from sealroom.core.evidence.verdict import Blame, Check, Outcome
from sealroom.core.wire.arguments import Arguments
from sealroom.core.wire.participants import Participant
from sealroom.core.wire.terms import DeliveryForm, LogRelease, Tee

_NO_INVITATION = "no invitation was given to compare it with"


def appraise_contract(
    record: Record,
    arguments: Arguments,
    *,
    provenance: Provenance,
    policy: Policy,
    expected: Expectations | None,
) -> None:
    """Record the checks 5.1 to 5.7.

    1. Real or simulated, as it says. 2. The invitation's computation, 3. and terms. 4. The policy's form of
    delivery, 5. and log choice. 6. One's own keys. 7. Everybody else's.
    """
    terms = arguments.terms
    record.rule("contract.tee", lambda: _tee(arguments, provenance), terms.tee.value)
    if expected is None:
        for name in ("contract.computation", "contract.terms", "contract.own-roles", "contract.participants"):
            record.not_reached(name, _NO_INVITATION)
    else:
        record.rule("contract.computation", lambda: _computation(arguments, expected), str(terms.computation))
        record.rule("contract.terms", lambda: _terms(arguments, expected), arguments.terms_digest.hex())
        record.rule("contract.own-roles", lambda: _own_roles(arguments, expected), _own(expected))
        _appraise_participants(record, arguments, policy=policy, expected=expected)
    record.rule("contract.delivery", lambda: _delivery(arguments, policy), _delivery_form(arguments))
    record.rule("contract.logs", lambda: _logs(arguments, policy), _log_readers(arguments))


def _tee(arguments: Arguments, provenance: Provenance) -> None:
    proved = Tee.SGX if provenance is Provenance.INTEL else Tee.SIMULATED
    if arguments.terms.tee is not proved:
        raise VerificationError(
            f"tee: the arguments say {arguments.terms.tee.value}, the quote proves {proved.value}"
        )


def _computation(arguments: Arguments, expected: Expectations) -> None:
    if arguments.computation != expected.computation:
        raise VerificationError(
            f"computation: {arguments.computation}, the invitation is for {expected.computation}"
        )


def _terms(arguments: Arguments, expected: Expectations) -> None:
    prefix = arguments.terms_digest[:TERMS_PREFIX_SIZE]
    if not hmac.compare_digest(prefix, expected.terms_prefix):
        raise VerificationError(
            f"terms: {prefix.hex()}, the invitation pins {expected.terms_prefix.hex()}: "
            f"people, roles, log choice or limits are not the owner's"
        )


def _delivery(arguments: Arguments, policy: Policy) -> None:
    if arguments.terms.delivery is DeliveryForm.LEGACY and not policy.allow_legacy_delivery:
        raise PolicyError(f"delivery: legacy, which policy {policy.name} does not allow")


def _delivery_form(arguments: Arguments) -> str:
    if arguments.terms.delivery is DeliveryForm.V1:
        return str(DeliveryForm.V1.value)
    return (
        "legacy, the published client's: the box names neither sender nor role, nobody committed to the "
        "inputs or signed the code, and each consumer's data key stays in the enclave while the program runs"
    )


def _logs(arguments: Arguments, policy: Policy) -> None:
    if isinstance(policy.logs, frozenset) and arguments.terms.logs not in policy.logs:
        raise PolicyError(f"logs: {arguments.terms.logs.value}, which policy {policy.name} does not accept")


def _log_readers(arguments: Arguments) -> str:
    most = arguments.terms.limits.max_log_bytes
    return {
        LogRelease.NONE: "nothing that the program prints leaves the enclave",
        LogRelease.PARTICIPANTS: f"all participants can read all that the program prints, up to {most} bytes",
        LogRelease.PUBLIC: f"everybody can read all that the program prints, up to {most} bytes",
    }[arguments.terms.logs]


def _own_roles(arguments: Arguments, expected: Expectations) -> None:
    """Refuse a role of one's own that is missing, and another's key under one's own address in any role."""
    for own in expected.own_roles:
        if not any(p.email == own.email for p in arguments.in_role(own.role)):
            raise VerificationError(f"{own.role.value}: {own.email} does not stand there")
    for person in arguments.participants:
        same_address = [own for own in expected.own_roles if own.email == person.email]
        keys = [own.public_key for own in same_address if own.role is person.role]
        keys = keys or [own.public_key for own in same_address] or [person.public_key]
        if person.public_key not in keys:
            raise VerificationError(
                f"{person.role.value}: {person.email} stands there with the key {person.public_key.hex()}, "
                f"yours is {keys[0].hex()}"
            )


def _own(expected: Expectations) -> str:
    roles = ", ".join(own.role.value for own in expected.own_roles)
    return f"yours as {roles}" if roles else "none: an onlooker"


def _appraise_participants(
    record: Record, arguments: Arguments, *, policy: Policy, expected: Expectations
) -> None:
    parts = tuple(_participant(record, person, policy, expected) for person in arguments.participants)
    words_only = sum(part.observed == _WORDS_ONLY for part in parts)
    observed = f"{len(parts)} keys"
    if words_only:
        observed += f", {words_only} of them vouched for by the words only"
    record.parts("contract.participants", parts, observed)


_OWN = "your own"
_PINNED = "pinned"
_SEEN_BEFORE = "seen before"
_WORDS_ONLY = "vouched for by the words only"


def _participant(record: Record, person: Participant, policy: Policy, expected: Expectations) -> Check:
    """How well one key is known; fails where it contradicts a contact, or should be pinned and is not."""
    known, standing = expected.contacts.get(person.email), _standing(person, expected)
    somebody_else = _pinned_as(person, expected)
    contradicted = somebody_else is not None or (standing is None and known is not None)
    wanted = isinstance(policy.require_pinned, frozenset) and person.role in policy.require_pinned
    unpinned = wanted and standing not in (_OWN, _PINNED)
    observed = standing or f"the key {person.public_key.hex()}"
    required = "no other key than a known one"
    if somebody_else is not None:
        observed = f"the key that is pinned for {somebody_else}"
    elif contradicted and known is not None:
        required = f"the key that is known, {known.public_key.hex()}"
    elif wanted:
        required = f"pinned, by policy {policy.name}"
    return record.part(
        "contract.participants",
        name=f"{person.role.value}.{person.index}",
        title=f"{person.role.value} {person.email}",
        outcome=Outcome.FAILED if contradicted or unpinned else Outcome.PASSED,
        observed=observed,
        required=required,
        blame=Blame.EVIDENCE if contradicted else Blame.POLICY if unpinned else None,
    )


def _standing(person: Participant, expected: Expectations) -> str | None:
    """Return how a key is known, or `None` where another one is known for that address."""
    if any(own.public_key == person.public_key and own.email == person.email for own in expected.own_roles):
        return _OWN
    contact = expected.contacts.get(person.email)
    if contact is None:
        return _WORDS_ONLY
    if contact.public_key != person.public_key:
        return None
    return _PINNED if contact.pinned else _SEEN_BEFORE


def _pinned_as(person: Participant, expected: Expectations) -> str | None:
    """Return the other address that this key is pinned for: somebody known would stand in for another."""
    for email, contact in expected.contacts.items():
        if contact.pinned and contact.public_key == person.public_key and email != person.email:
            return email
    return None
