"""Delivering a key: once to one enclave for each role, recorded before it is sent.

Must never: seal to anything but a verified enclave of this very computation, seal twice for one enclave and
role, or send bytes that the journal does not hold.
Spec: docs/spec/key-delivery.md, docs/spec/journal.md.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sealroom.client.delivery_journal import Consent, DeliveryKey, NotedDelivery
from sealroom.client.json_values import JsonObject
from sealroom.client.session import Client
from sealroom.client.store import ComputationFolder
from sealroom.client.transport import Request
from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.sealing.commitment import NO_COMMITMENT
from sealroom.core.sealing.delivery_sealing import seal_delivery
from sealroom.core.sealing.words import derive_preshared_key
from sealroom.core.wire.delivery import DeliveryRefusal
from sealroom.core.wire.enclave import SimulatedEnclave, VerifiedEnclave
from sealroom.core.wire.participants import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryAnswer:
    """What came back: `admitted` is `None` while the enclave has not answered.

    The server's word. What proves that a delivery counted is the receipt.
    """

    admitted: bool | None
    refused: DeliveryRefusal | None

    @property
    def text(self) -> str:
        """The answer in a word, as the journal notes it."""
        if self.refused is not None:
            return f"refused: {self.refused.value}"
        return {True: "admitted", False: "refused", None: "waiting"}[self.admitted]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRequest:
    """One delivery as a participant asks for it."""

    enclave: VerifiedEnclave | SimulatedEnclave
    role: Role
    consent: Consent
    insecure_accept_simulated: UUID | None = None


def deliver(client: Client, folder: ComputationFolder, request: DeliveryRequest) -> DeliveryAnswer:
    """Deliver this participant's key to an enclave that was verified less than ten minutes ago.

    1. The enclave is one of this computation, under the invitation's terms.
    2. A delivery that was recorded is sent again, to the byte.
    3. The journal allows one more enclave.
    4. The delivery is sealed, recorded, and then sent.
    5. The answer is noted.

    Raises `DeliveryBlockedError`, `PolicyError`, `VerificationError` or `TransportError`.
    """
    _check_computation(client, folder, request)
    key = DeliveryKey(computation=folder.computation, mrenclave=request.enclave.mrenclave, role=request.role)
    noted = client.deliveries.delivery(key)
    if noted is None:
        client.deliveries.check_delivery(key, request.consent)
        noted = _seal(client, folder, key, request)
    wire = client.deliveries.note_delivery(noted, request.consent)
    return send_delivery(client, key, wire)


def send_delivery(client: Client, key: DeliveryKey, wire: bytes) -> DeliveryAnswer:
    """Send recorded bytes and note the answer."""
    raw = client.transport.send(
        Request(method="POST", path=f"/computations/{key.computation}/deliveries", content=wire)
    )
    answer = _parse_answer(JsonObject.from_bytes(raw, what="answer to a delivery"))
    client.deliveries.note_answer(key, answer.text)
    return answer


def _check_computation(client: Client, folder: ComputationFolder, request: DeliveryRequest) -> None:
    arguments = request.enclave.arguments
    terms_prefix = client.journal.terms_prefix(folder.computation)
    if arguments.computation != folder.computation:
        raise VerificationError("delivery: the enclave is of another computation")
    if terms_prefix is None or arguments.terms_digest[: len(terms_prefix)] != terms_prefix:
        raise VerificationError("delivery: the enclave's terms are not those of the invitation")


def _seal(
    client: Client, folder: ComputationFolder, key: DeliveryKey, request: DeliveryRequest
) -> NotedDelivery:
    now = datetime.now(UTC)
    invitation = folder.load().invitation
    preshared_key = derive_preshared_key(invitation.words, computation=folder.computation)
    data_key = folder.data_key(key.role)
    try:
        wire = seal_delivery(
            to=request.enclave,
            role=key.role,
            signing_key=client.identity,
            commitment=_commitment(client, key),
            preshared_key=preshared_key,
            data_key=data_key,
            now=now,
            insecure_accept_simulated=request.insecure_accept_simulated,
        )
    finally:
        preshared_key.wipe()
        data_key.wipe()
    return NotedDelivery(
        key=key,
        agreement=request.enclave.arguments.agreement,
        identity_pk=request.enclave.identity_pk,
        wire=wire,
        bundle_sha256=request.enclave.bundle_sha256,
        noted_at=now,
    )


def _commitment(client: Client, key: DeliveryKey) -> bytes:
    if key.role is not Role.DATA_PROVIDER:
        return NO_COMMITMENT
    fixed = client.journal.commitment(key.computation)
    if fixed is None:
        raise VerificationError("delivery: say that your data is done first; the delivery commits to it")
    return fixed[0]


def _parse_answer(value: JsonObject) -> DeliveryAnswer:
    refused = value.optional("refused", value.text)
    try:
        return DeliveryAnswer(
            admitted=value.optional("admitted", value.flag),
            refused=None if refused is None else DeliveryRefusal(refused),
        )
    except ValueError as error:
        raise MalformedError("answer to a delivery: unknown reason") from error
