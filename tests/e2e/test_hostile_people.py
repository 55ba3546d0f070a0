"""A hostile operator who changes who takes part, or under which choices: each client finds it by itself."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hostile_proxy import HostileProxy
from platform_world import POLICY, SUM, Person, Scene, World, accept, deliver

from sealroom.client import Consent, DeliveryBlockedError, State
from sealroom.client.member import KeyHolder
from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.evidence.verdict import RefusedEvidenceError
from sealroom.core.wire.bundle import EvidenceBundle
from sealroom.core.wire.participants import Role
from sealroom.core.wire.terms import LogRelease

pytestmark = pytest.mark.e2e

THE_CONSUMER = "contract.participants.result-consumer.0"
PINNED = replace(POLICY, require_pinned=frozenset({Role.RESULT_CONSUMER}))


def refused_by(holder: KeyHolder, check: str) -> None:
    """The participant's own verification names `check`, and nothing was delivered."""
    with pytest.raises(RefusedEvidenceError) as refused:
        deliver(holder, policy=POLICY)
    assert check in [failed.name for failed in refused.value.verdict.failures]
    assert not holder.client.deliveries.deliveries(holder.computation)


def change_proposal(operator: HostileProxy, **changes: object) -> None:
    """Let the server hear of other choices than the owner's."""
    operator.replace_request(
        "POST", "/v1/computations", lambda body: json.dumps(json.loads(body) | changes).encode()
    )


def test_a_consumer_that_the_server_added_is_found_in_the_terms(world: World) -> None:
    owner, code, data, reader, mallory = (
        world.person(name) for name in ("owner", "code", "data", "reader", "mallory")
    )
    change_proposal(world.operator, result_consumers=[reader.email, mallory.email])
    scene = world.propose(owner=owner, code=code, data=[data], readers=[reader])
    world.operator.be_honest()
    accept(mallory, scene.owner.invitation_line)
    role = {"role": Role.RESULT_CONSUMER.value, "public_key": mallory.public_key.hex()}
    mallory.client.transport.post_json(f"/computations/{scene.uuid}/keys", role)
    scene.prepare()
    for holder in scene.holders:
        refused_by(holder, "contract.terms")


@pytest.mark.slow
def test_a_log_choice_that_the_server_changed_is_found_in_the_terms(world: World) -> None:
    change_proposal(world.operator, logs=LogRelease.PUBLIC.value)
    scene = world.scene(logs=LogRelease.NONE)
    scene.prepare()
    for holder in scene.holders:
        refused_by(holder, "contract.terms")


def test_a_replaced_key_is_found_by_its_owner_and_by_who_pinned_it(world: World) -> None:
    scene = world.scene()
    mallory, reader = world.person("mallory"), scene.readers[0].client
    changed = {"role": Role.RESULT_CONSUMER.value, "public_key": mallory.public_key.hex()}
    scene.data[0].client.contacts.pin(reader.account.email, reader.identity.public_key, now=datetime.now(UTC))
    for holder in (scene.code, scene.data[0]):
        holder.register()
    world.operator.replace_request("POST", "/keys", lambda _: json.dumps(changed).encode())
    scene.readers[0].register()
    world.operator.be_honest()
    scene.prepare(registered=True)
    refused_by(scene.readers[0], "contract.own-roles")
    refused_by(scene.data[0], THE_CONSUMER)


@pytest.fixture(scope="module")
def substituted(shared: World) -> tuple[Scene, Person]:
    """A computation whose consumer is played by somebody else, who knows the words; and the true consumer."""
    owner, code, data = (shared.person(name) for name in ("owner", "code", "data"))
    victim = shared.person("victim", account=False)
    scene = shared.propose(owner=owner, code=code, data=[data], readers=[victim])
    mallory = shared.person("mallory", email=victim.email)
    accept(mallory, scene.owner.invitation_line)
    played = replace(scene, readers=(type(scene.readers[0])(mallory.client, scene.uuid),))
    return played.prepare(), victim


def test_a_word_holder_in_the_consumers_place_is_refused_where_the_consumer_must_be_pinned(
    substituted: tuple[Scene, Person],
) -> None:
    scene, victim = substituted
    with pytest.raises(RefusedEvidenceError) as refused:
        deliver(scene.data[0], policy=PINNED)
    assert [failed.name for failed in refused.value.verdict.failures] == [THE_CONSUMER]
    # A pin counts under every policy.
    contacts = scene.code.client.contacts
    contacts.pin(victim.email, victim.public_key, now=datetime.now(UTC))
    refused_by(scene.code, THE_CONSUMER)
    contacts.remove(victim.email)


def test_a_word_holder_in_the_consumers_place_is_shown_where_nobody_must_be_pinned(
    substituted: tuple[Scene, Person],
) -> None:
    scene, _ = substituted
    verdict = scene.data[0].appraise(POLICY).verdict
    shown = next(check for check in verdict.checks if check.name == THE_CONSUMER)
    assert "vouched for by the words only" in shown.observed
    # What the words alone do not prevent, and what the page on limits says: it runs, for the wrong person.
    scene.deliver_all()
    scene.wait_for(State.SUCCEEDED)
    (result,) = scene.readers[0].results()
    assert result.path.read_bytes() == b"data 0"


@pytest.mark.slow
def test_a_guess_at_the_words_ends_in_a_signed_refusal_and_is_a_persons_decision_ever_after(
    world: World,
) -> None:
    scene = world.scene()
    right = scene.owner.invitation_line
    other = world.scene().owner.folder.load().invitation.words
    reader = scene.readers[0]
    joined = reader.folder.load()
    reader.folder.save(replace(joined, invitation=replace(joined.invitation, words=other)))
    assert right.split(":")[3] != "-".join(other)
    scene.prepare()
    scene.deliver_all()
    found = scene.wait_for(State.REFUSED)
    assert found.refusal is not None
    assert (found.refusal.by, found.refusal.reason) == ("enclave", "words-differ")
    scene.owner.relaunch()
    scene.wait_for(State.AWAITING_KEYS)
    with pytest.raises(DeliveryBlockedError) as blocked:
        deliver(scene.data[0])
    assert blocked.value.code == "words-differ"
    assert deliver(scene.data[0], consent=Consent(attended=True)).refused is None


@pytest.fixture(scope="module")
def waiting(shared: World) -> tuple[Scene, Scene]:
    """Two computations whose enclaves wait; nobody delivers to them."""
    return shared.scene().prepare(), shared.scene().prepare()


def test_evidence_of_another_computation_is_refused(waiting: tuple[Scene, Scene]) -> None:
    scene, other = waiting
    scene.world.operator.serve_old(f"/{scene.uuid}/evidence", other.owner.fetch_evidence())
    refused_by(scene.data[0], "contract.computation")


def test_evidence_with_another_enclaves_keys_is_refused(waiting: tuple[Scene, Scene]) -> None:
    scene, other = waiting
    foreign = EvidenceBundle.from_bytes(other.owner.fetch_evidence())

    def exchange(raw: bytes) -> bytes:
        own = EvidenceBundle.from_bytes(raw)
        return replace(own, identity_pk=foreign.identity_pk).to_bytes()

    scene.world.operator.replace_answer("GET", f"/{scene.uuid}/evidence", exchange)
    refused_by(scene.data[0], "keys.report-data")


def test_evidence_with_one_changed_byte_is_refused(waiting: tuple[Scene, Scene]) -> None:
    scene, _ = waiting
    bundle = EvidenceBundle.from_bytes(scene.owner.fetch_evidence())
    for name in ("quote", "manifest", "entry_point", "pal", "code_signature"):
        value = bytearray(getattr(bundle, name))
        value[len(value) // 2] ^= 1
        changed = replace(bundle, **{name: bytes(value)}).to_bytes()
        with pytest.raises((VerificationError, MalformedError)):
            scene.data[0].insecure_verify_simulated(POLICY, bundle=changed)


@pytest.mark.slow
def test_old_evidence_leads_to_no_key_in_the_new_enclave(world: World) -> None:
    scene = world.scene().prepare()
    old = scene.owner.fetch_evidence()
    scene.send_code(SUM | {"more.py": "x = 1\n"})
    scene.owner.wait(
        lambda now: now.epoch == 2 and now.state is State.AWAITING_KEYS, timeout_seconds=60, poll_seconds=0.05
    )
    world.operator.serve_old("/evidence", old)
    # The code's own provider sent newer code, and sees that this is not it.
    refused_by(scene.code, "code.expected")
    # The Data Provider cannot know. It seals to the old enclave, which is gone, and its answer is a refusal.
    with pytest.raises(Exception, match="another enclave") as answer:
        deliver(scene.data[0])
    assert getattr(answer.value, "code", None) in ("delivery_agreement", "delivery_mrenclave")
    new = {launch.epoch: launch.mrenclave for launch in scene.owner.status().launches}[2]
    noted = scene.data[0].client.deliveries.deliveries(scene.uuid)
    assert [delivery.key.mrenclave == new for delivery in noted] == [False]


@pytest.mark.slow
def test_code_changed_after_it_was_reviewed_is_found_in_the_next_verdict(world: World) -> None:
    scene = world.scene().prepare()
    provider = scene.data[0]
    enclave = provider.insecure_verify_simulated(POLICY)
    provider.note_reviewed(provider.code(enclave=enclave))
    # The Code Provider and the operator together: other code, well signed, in a new enclave.
    scene.send_code(SUM | {"secret.py": SUM["secret.py"] + "# and more\n"})
    scene.owner.wait(
        lambda now: now.epoch == 2 and now.state is State.AWAITING_KEYS, timeout_seconds=60, poll_seconds=0.05
    )
    refused_by(provider, "code.expected")
    with pytest.raises(VerificationError, match="not the list that the enclave measured"):
        provider.code(enclave=enclave)
