"""A hostile operator after the delivery: enclaves killed and launched again, receipts and results changed."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from platform_processes import kill_process, wait_until
from platform_world import POLICY, WAIT, Scene, World, deliver

from sealroom.client import Consent, DeliveryBlockedError, State
from sealroom.client.delivery_journal import DeliveryKey
from sealroom.core.errors import TransportError, VerificationError
from sealroom.core.sealing.enclave_keys import IdentityKey
from sealroom.core.sealing.receipt import sign_refusal
from sealroom.core.wire.bundle import EvidenceBundle
from sealroom.core.wire.delivery import Delivery, RefusalReason
from sealroom.core.wire.receipt import Refusal
from sealroom.core.wire.receipt_file import Receipt

pytestmark = pytest.mark.e2e


# After a run that was killed


@pytest.fixture(scope="module")
def killed(shared: World) -> Scene:
    """A run that its operator killed, and the launch that its owner asked for after it."""
    scene = shared.scene().prepare(WAIT)
    scene.deliver_all()
    scene.wait_for(State.RUNNING)
    wait_until((scene.launch_folder / "spool/opening").exists, "the opening is signed")
    kill_process(scene.processes.enclave)
    scene.wait_for(State.FAILED)
    record = scene.readers[0].receipt()
    assert record.opening is not None
    assert record.closing is None
    scene.owner.relaunch()
    scene.wait_for(State.AWAITING_KEYS)
    return scene


def blocked(scene: Scene, consent: Consent | None = None) -> DeliveryBlockedError:
    """Every participant's client keeps its key; returns what the Data Provider is told."""
    for holder in scene.holders:
        with pytest.raises(DeliveryBlockedError) as stopped:
            deliver(holder, consent=consent)
        assert len(holder.client.deliveries.deliveries(scene.uuid)) == 1
    return stopped.value


def test_after_a_killed_run_an_unattended_client_does_not_deliver_again(killed: Scene) -> None:
    stopped = blocked(killed)
    assert (stopped.code, stopped.enclaves) == ("too-many-enclaves", 2)


def test_even_a_policy_that_allows_more_leaves_it_to_a_person(killed: Scene) -> None:
    stopped = blocked(killed, Consent(max_deliveries=2))
    assert (stopped.code, stopped.enclaves) == ("attendance-needed", 2)


def test_a_forged_refusal_frees_no_enclave(killed: Scene) -> None:
    provider = killed.data[0]
    (noted,) = provider.client.deliveries.deliveries(killed.uuid)
    own = IdentityKey.generate()
    statement = Delivery.from_bytes(noted.wire).statement
    forged = Refusal(
        agreement=statement.agreement,
        mrenclave=statement.mrenclave,
        identity_pk=own.public_key,
        reason=RefusalReason.CANCELLED,
    )
    receipt = Receipt(opening=None, closing=None, refusal=sign_refusal(forged, identity_key=own))
    killed.world.operator.serve_old("/receipt", receipt.to_bytes())
    assert provider.collect_refusals() == ()
    assert blocked(killed).enclaves == 2
    with pytest.raises(VerificationError, match="not signed by an enclave"):
        provider.receipt(epoch=1)


def test_an_enclave_killed_while_it_waited_is_a_question_with_the_number(world: World) -> None:
    scene = world.scene().prepare()
    early, late = scene.data[0], scene.readers[0]
    deliver(early)
    kill_process(scene.processes.enclave)
    scene.owner.wait(
        lambda now: now.epoch == 2 and now.state is State.AWAITING_KEYS, timeout_seconds=60, poll_seconds=0.05
    )
    with pytest.raises(DeliveryBlockedError) as stopped:
        deliver(early)
    assert (stopped.value.code, stopped.value.enclaves) == ("too-many-enclaves", 2)
    # Who had delivered nothing is asked nothing; who decides to go on is heard.
    for holder in (late, scene.code):
        deliver(holder)
    deliver(early, consent=Consent(max_deliveries=2, attended=True))
    scene.wait_for(State.SUCCEEDED)


# After a run that succeeded

# Makes the simulated TEE quote a key that the program holds, and gives quote and key to the consumer.
QUOTES_ITS_OWN_KEY = {
    "run.py": (
        "import ctypes, gc, hashlib, os\n"
        "from pathlib import Path\n"
        "import nacl.public, nacl.signing\n"
        "import sealroom.enclave\n"
        "from sealroom.enclave.host_writer import HostWriter\n"
        "device = Path(sealroom.enclave.__file__).parents[3] / 'attestation'\n"
        "identity, box = nacl.signing.SigningKey.generate(), nacl.public.PrivateKey.generate()\n"
        "bound = hashlib.sha256(bytes(identity.verify_key)).digest() + bytes(box.public_key)\n"
        # The hook closes the device to Python, Landlock to C; the thread that may write is found in memory.
        "def reach(name, mode):\n"
        "    return ctypes.CDLL(None).open(str(device / name).encode(), mode)\n"
        "def bind():\n"
        "    opened = reach('user_report_data', os.O_WRONLY)\n"
        "    os.write(opened, bound)\n"
        "    os.close(opened)\n"
        "next(each for each in gc.get_objects() if isinstance(each, HostWriter)).do(bind)\n"
        "with os.fdopen(reach('quote', os.O_RDONLY), 'rb') as file:\n"
        "    quote = file.read()\n"
        "enclave = sealroom.enclave.Enclave()\n"
        "enclave.write(quote, name='quote')\n"
        "enclave.write(bytes(identity.verify_key), name='identity')\n"
        "enclave.write(bytes(box), name='box')\n"
    )
}


@pytest.fixture(scope="module")
def finished(shared: World) -> Scene:
    """A computation whose program stole a quote, and whose consumer is the operator's friend."""
    scene = shared.scene().prepare(QUOTES_ITS_OWN_KEY)
    scene.deliver_all()
    scene.wait_for(State.SUCCEEDED)
    return scene


def test_no_client_delivers_to_a_key_that_the_program_had_quoted(finished: Scene, tmp_path: Path) -> None:
    stolen = {r.name: r.path.read_bytes() for r in finished.readers[0].results(tmp_path / "stolen")}
    bundle = EvidenceBundle.from_bytes(finished.owner.fetch_evidence())
    forged = replace(bundle, quote=stolen["quote"], identity_pk=stolen["identity"])
    operator = finished.world.operator
    operator.serve_old("/evidence", forged.to_bytes())
    operator.drop("POST", "/deliveries", {"slot": 0, "admitted": True, "refused": None})
    before = len(operator.recorded)
    for holder in finished.holders:
        enclave = holder.insecure_verify_simulated(POLICY)
        # The quote is good: MRENCLAVE and the contract are the agreed ones. The key is the program's.
        assert enclave.identity_pk == stolen["identity"]
        key = DeliveryKey(computation=finished.uuid, mrenclave=enclave.mrenclave, role=holder.role)
        noted = holder.client.deliveries.delivery(key)
        assert noted is not None
        deliver(holder)
        sent = operator.last("POST", "/deliveries")[0].body
        assert sent == noted.wire
        assert Delivery.from_bytes(sent).statement.identity_pk != stolen["identity"]
    assert len(operator.recorded) > before


def test_a_result_changed_on_the_line_is_refused(finished: Scene, tmp_path: Path) -> None:
    finished.world.operator.replace_answer("GET", "/results/0/0", lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]))
    with pytest.raises(VerificationError, match="not the one that the receipt names"):
        finished.readers[0].results(tmp_path)


def test_a_result_in_another_ones_place_is_refused(finished: Scene, tmp_path: Path) -> None:
    consumer = finished.readers[0].client.transport
    sealed = (tmp_path / "sealed").open("w+b")
    with sealed:
        consumer.download(f"/computations/{finished.uuid}/results/0/1", sealed, max_bytes=1 << 20)
        sealed.seek(0)
        finished.world.operator.serve_old("/results/0/0", sealed.read())
    with pytest.raises(VerificationError, match="not the one that the receipt names"):
        finished.readers[0].results(tmp_path / "opened")


def test_a_result_withheld_is_named(finished: Scene, tmp_path: Path) -> None:
    def withhold(raw: bytes) -> bytes:
        listed = json.loads(raw)
        listed["results"] = listed["results"][1:]
        return json.dumps(listed).encode()

    finished.world.operator.replace_answer("GET", "/results", withhold)
    with pytest.raises(VerificationError, match="withholds"):
        finished.readers[0].results(tmp_path)


def test_a_closing_kept_back_leaves_no_result_that_anything_vouches_for(
    finished: Scene, tmp_path: Path
) -> None:
    def without_closing(raw: bytes) -> bytes:
        return replace(Receipt.from_bytes(raw), closing=None).to_bytes()

    finished.world.operator.replace_answer("GET", "/receipt", without_closing)
    assert finished.data[0].receipt().closing is None
    with pytest.raises(VerificationError, match="no closing"):
        finished.readers[0].results(tmp_path)


def test_the_receipt_of_another_run_is_refused(finished: Scene, killed: Scene) -> None:
    foreign = killed.readers[0].receipt(epoch=1).raw
    finished.world.operator.serve_old("/receipt", foreign)
    with pytest.raises(VerificationError, match="not signed by an enclave"):
        finished.readers[0].receipt()


def test_a_log_that_the_operator_wrote_is_refused(finished: Scene) -> None:
    finished.world.operator.replace_answer("GET", "/log", lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]))
    with pytest.raises(VerificationError, match="not the one that the receipt names"):
        finished.data[0].logs()


def test_another_server_under_the_same_address_is_sent_nothing(finished: Scene, world: World) -> None:
    person = world.person("guest", account=False)
    address = replace(person.client.server, certificate_sha256=bytes(32))
    client = type(person.client)(home=person.home, server=address)
    before = len(world.operator.recorded)
    with client, pytest.raises(VerificationError, match="another server answers"):
        client.create_account(person.email)
    assert len(world.operator.recorded) == before


def test_a_stranger_learns_nothing_of_a_computation(finished: Scene, world: World) -> None:
    stranger = world.person("stranger").client
    for what in ("", "/evidence", "/receipt", "/log", "/log-keys", "/results", "/code", "/data", "/events"):
        with pytest.raises(TransportError) as refused:
            stranger.transport.get_json(f"/computations/{finished.uuid}{what}")
        assert refused.value.code == "unknown_computation"
