import pytest
from server_world import Puppet, ServerWorld, Study, code_of
from sqlalchemy import select

from sealroom.core.sealing.enclave_keys import IdentityKey
from sealroom.core.wire.bundle import EvidenceBundle
from sealroom.core.wire.delivery import DeliveryRefusal, RefusalReason
from sealroom.core.wire.participants import Role
from sealroom.core.wire.receipt import Outcome
from sealroom.core.wire.receipt_file import Receipt
from sealroom.core.wire.spool import inbox_name, input_list_name, input_name
from sealroom.server.launchers.base import LaunchState, LaunchStatus
from sealroom.server.launchers.host_files import EndReason
from sealroom.server.schema import Launch

pytestmark = pytest.mark.e2e


def test_a_launch_starts_when_all_keys_and_the_code_are_there(study: Study, world: ServerWorld) -> None:
    study.register(Role.CODE_PROVIDER, Role.DATA_PROVIDER)
    assert study.send_code().status_code == 201
    assert study.state == "Registering"
    study.register(Role.RESULT_CONSUMER)
    assert (study.state, study.view()["epoch"]) == ("Launching", 1)
    assert world.launcher.starts == []
    world.follow()
    assert world.launcher.starts == [(study.uuid, 1)]


def test_the_code_may_be_what_comes_last(study: Study) -> None:
    study.register()
    assert study.state == "Registering"
    assert study.send_code().status_code == 201
    assert study.state == "Launching"


def test_evidence_is_published_once_keys_and_quote_are_shown(study: Study, world: ServerWorld) -> None:
    puppet = study.launch()
    bundle = EvidenceBundle.from_bytes(study.reader.get(study.path("/evidence")).content)
    assert bundle.arguments == puppet.arguments.to_bytes()
    assert bundle.identity_pk == puppet.identity.public_key
    assert bundle.collateral is not None
    assert bundle.entry_point == b"print('run')\n"
    assert study.view()["launches"][0]["protections"][0]["name"] == "no-network"


def test_evidence_whose_quote_names_other_keys_fails_the_launch(study: Study, world: ServerWorld) -> None:
    study.register()
    study.send_code()
    world.follow()
    puppet = Puppet(world, study.uuid, 1)
    puppet.attest()
    puppet.spool.write("public", bytes(64))
    world.follow()
    assert study.state == "Failed"


def test_a_delivery_reaches_the_inbox_after_the_files_of_its_provider(
    study: Study, world: ServerWorld
) -> None:
    puppet = study.launch()
    raw = study.delivery(puppet, Role.DATA_PROVIDER, study.hospital)
    answer = study.hospital.post(study.path("/deliveries"), content=raw)
    assert answer.json() == {"slot": 1, "number": 0, "admitted": None, "refused": None}
    world.follow()
    assert puppet.spool.read(inbox_name(0), max_bytes=402) == raw
    assert puppet.spool.read(input_name(0, 0), max_bytes=100) == b"sealed"
    assert b"a.csv" in (puppet.spool.read(input_list_name(0), max_bytes=1000) or b"")


def test_the_answer_of_the_enclave_is_kept(study: Study, world: ServerWorld) -> None:
    puppet = study.launch()
    raw = study.delivery(puppet, Role.CODE_PROVIDER, study.coder)
    study.coder.post(study.path("/deliveries"), content=raw)
    puppet.answer(0, DeliveryRefusal.SIGNATURE)
    world.follow()
    again = study.coder.post(study.path("/deliveries"), content=raw).json()
    assert again == {"slot": 0, "number": 0, "admitted": False, "refused": "signature"}
    assert study.view()["participants"][0]["delivered_at"] is None


def test_a_run_ends_with_its_results_log_and_receipt(study: Study, world: ServerWorld) -> None:
    puppet = study.launch()
    study.deliver_all(puppet)
    puppet.open()
    world.follow()
    assert study.state == "Running"
    puppet.close(results={"model": b"sealed model", "report": b"sealed report"})
    world.follow()
    assert study.state == "Succeeded"
    listed = study.owner.get(study.path("/results")).json()["results"]
    assert [(row["name"], row["size"]) for row in listed] == [("model", 12), ("report", 13)]
    assert study.reader.get(study.path("/results/0/1")).content == b"sealed report"
    assert study.hospital.get(study.path("/log")).content == b"log"
    receipt = Receipt.from_bytes(study.hospital.get(study.path("/receipt")).content)
    assert receipt.opening is not None
    assert receipt.closing is not None
    assert study.view()["runs"][0]["outcome"] == "succeeded"


def test_a_failed_program_fails_the_run(study: Study, world: ServerWorld) -> None:
    puppet = study.launch()
    puppet.open()
    world.follow()
    puppet.close(outcome=Outcome.FAILED, results={})
    world.follow()
    run = study.view()["runs"][0]
    assert (study.state, run["outcome"], run["exit_code"]) == ("Failed", "failed", 1)


def test_a_result_that_is_not_the_closings_is_named_as_missing(study: Study, world: ServerWorld) -> None:
    puppet = study.launch()
    puppet.open()
    world.follow()
    puppet.close(results={"model": b"sealed"})
    puppet.spool.write("results/0/0", b"other!")
    world.follow()
    assert study.owner.get(study.path("/results")).json()["results"] == []
    events = study.owner.get(study.path("/events")).json()["events"]
    assert events[-1]["details"]["missing"] == ["results/0/model"]


def test_a_result_that_is_a_link_is_not_followed(study: Study, world: ServerWorld) -> None:
    puppet = study.launch()
    puppet.open()
    world.follow()
    puppet.close(results={"model": b"sealed"})
    placed = world.launcher.folder(study.uuid, 1) / "spool" / "results" / "0" / "0"
    secret = world.data / "secret"
    secret.write_bytes(b"sealed")
    placed.unlink()
    placed.symlink_to(secret)
    world.follow()
    assert study.state == "Succeeded"
    assert study.owner.get(study.path("/results")).json()["results"] == []


def test_an_opening_by_another_key_is_not_believed(study: Study, world: ServerWorld) -> None:
    puppet = study.launch()
    puppet.identity = IdentityKey.generate()
    puppet.open()
    world.follow()
    assert study.state == "AwaitingKeys"


@pytest.mark.parametrize("reason", [RefusalReason.WORDS_DIFFER, RefusalReason.INPUTS_DIFFER])
def test_a_signed_refusal_of_the_enclave_ends_in_refused(
    study: Study, world: ServerWorld, reason: RefusalReason
) -> None:
    puppet = study.launch()
    puppet.refuse(reason)
    world.follow()
    assert study.state == "Refused"
    assert study.view()["refusal"] == {"by": "enclave", "reason": reason.value, "epoch": 1}
    assert Receipt.from_bytes(study.reader.get(study.path("/receipt")).content).refusal is not None


def test_a_refusal_by_another_key_is_not_believed(study: Study, world: ServerWorld) -> None:
    puppet = study.launch()
    puppet.refuse(RefusalReason.WORDS_DIFFER, key=IdentityKey.generate())
    world.follow()
    assert study.state == "AwaitingKeys"


def test_an_expired_enclave_ends_in_expired_and_the_owner_may_launch_again(
    study: Study, world: ServerWorld
) -> None:
    study.launch().refuse(RefusalReason.EXPIRED)
    world.follow()
    assert study.state == "Expired"
    assert code_of(study.hospital.post(study.path("/relaunch"))) == "wrong_role"
    assert study.owner.post(study.path("/relaunch")).json()["epoch"] == 2
    assert study.state == "Launching"


def test_an_enclave_that_expired_without_a_word_is_expired_too(study: Study, world: ServerWorld) -> None:
    study.launch().vanish(EndReason.EXPIRED)
    world.follow()
    assert study.state == "Expired"
    assert code_of(study.owner.get(study.path("/receipt"))) == "no_receipt"


def test_a_participant_refuses_and_the_enclave_signs_it(study: Study, world: ServerWorld) -> None:
    puppet = study.launch()
    study.hospital.post(study.path("/refusal"), json={"reason": "run.py prints my data"})
    assert (study.state, study.view()["launches"][0]["ending"]) == ("AwaitingKeys", "participant-refused")
    world.follow()
    assert puppet.asked == b"cancelled"
    puppet.refuse(RefusalReason.CANCELLED)
    world.follow()
    assert study.state == "Refused"
    refusal = {"by": "hospital@example.org", "reason": "run.py prints my data", "epoch": 1}
    assert study.view()["refusal"] == refusal


def test_a_refusal_that_comes_too_late_lets_the_run_go_on(study: Study, world: ServerWorld) -> None:
    puppet = study.launch()
    study.hospital.post(study.path("/refusal"), json={"reason": "no"})
    world.follow()
    puppet.open()
    world.follow()
    assert study.state == "Running"
    assert puppet.asked is None
    puppet.close(results={})
    world.follow()
    assert study.state == "Succeeded"


def test_cancelling_ends_even_a_run_and_leaves_a_receipt_without_closing(
    study: Study, world: ServerWorld
) -> None:
    puppet = study.launch()
    puppet.open()
    world.follow()
    assert code_of(study.coder.post(study.path("/cancel"))) == "wrong_role"
    study.owner.post(study.path("/cancel"), json={"reason": "mistake"})
    world.follow()
    assert puppet.asked == b"cancelled"
    puppet.vanish(EndReason.CANCELLED)
    world.follow()
    assert study.state == "Cancelled"
    receipt = Receipt.from_bytes(study.owner.get(study.path("/receipt")).content)
    assert (receipt.opening is not None, receipt.closing) == (True, None)


def test_withdrawing_removes_the_files_of_who_leaves(study: Study, world: ServerWorld) -> None:
    puppet = study.launch()
    study.hospital.post(study.path("/withdraw"))
    world.follow()
    puppet.refuse(RefusalReason.CANCELLED)
    world.follow()
    assert study.state == "Withdrawn"
    assert study.hospital.get(study.path("/data")).json()["providers"][0]["uploads"] == []
    assert code_of(study.owner.post(study.path("/relaunch"))) == "wrong_state"


def test_new_code_ends_the_waiting_enclave_and_launches_again(study: Study, world: ServerWorld) -> None:
    puppet = study.launch()
    assert study.send_code({"run.py": b"print(2)\n"}).status_code == 201
    world.follow()
    assert puppet.asked == b"cancelled"
    puppet.refuse(RefusalReason.CANCELLED)
    world.follow()
    assert (study.state, study.view()["epoch"]) == ("Launching", 2)
    later = study.attested(2)
    assert later.arguments.code_digest != puppet.arguments.code_digest
    assert later.arguments.launch != puppet.arguments.launch


def test_an_enclave_lost_while_it_waits_is_launched_again_a_few_times(
    study: Study, world: ServerWorld
) -> None:
    puppet = study.launch()
    for epoch in (2, 3, 4):
        puppet.vanish()
        world.follow()
        assert (study.state, study.view()["epoch"]) == ("Launching", epoch)
        puppet = study.attested(epoch)
    puppet.vanish()
    world.follow()
    assert (study.state, study.view()["epoch"]) == ("Failed", 4)
    assert study.kinds()[-1] == "enclave-lost"


def test_an_enclave_lost_in_its_run_fails_and_has_no_closing(study: Study, world: ServerWorld) -> None:
    puppet = study.launch()
    puppet.open()
    world.follow()
    puppet.vanish()
    world.follow()
    assert (study.state, study.view()["runs"][0]["outcome"]) == ("Failed", "lost")
    assert Receipt.from_bytes(study.owner.get(study.path("/receipt")).content).closing is None


def test_what_an_enclave_signed_before_it_ended_counts_although_it_is_gone(
    study: Study, world: ServerWorld
) -> None:
    puppet = study.launch()
    puppet.open()
    puppet.close(results={})
    puppet.vanish(EndReason.EXITED)
    world.follow(2)
    assert study.state == "Succeeded"


def test_a_launch_that_was_asked_to_end_before_it_began_is_never_started(
    study: Study, world: ServerWorld
) -> None:
    study.register()
    study.send_code()
    study.owner.post(study.path("/cancel"))
    world.follow()
    assert (study.state, world.launcher.starts) == ("Cancelled", [])


def test_a_launch_that_cannot_be_made_fails_when_it_is_given_up(study: Study, world: ServerWorld) -> None:
    study.register()
    study.send_code()
    world.follower.give_up(1, "no enclave today")
    assert study.state == "Failed"
    assert study.kinds()[-1] == "launch-failed"


def test_the_folder_of_an_ended_launch_is_removed_when_its_process_is_gone(
    study: Study, world: ServerWorld
) -> None:
    puppet = study.launch()
    puppet.refuse(RefusalReason.WORDS_DIFFER)
    world.follow(2)
    assert world.launcher.watch(study.uuid, 1).state is LaunchState.ALIVE
    world.launcher.states[study.uuid, 1] = LaunchStatus(state=LaunchState.LOST)
    world.follow()
    assert world.launcher.watch(study.uuid, 1).state is LaunchState.ABSENT
    with world.platform.store.read() as session:
        assert session.scalars(select(Launch.cleared_at)).one() is not None


def test_the_operator_reads_which_files_were_refused_before_the_folder_goes(
    study: Study, world: ServerWorld, caplog: pytest.LogCaptureFixture
) -> None:
    puppet = study.launch()
    puppet.refuse(RefusalReason.WORDS_DIFFER)
    world.follow(2)
    host = world.launcher.folder(study.uuid, 1) / "host"
    host.mkdir()
    (host / "supervisor.log").write_text(
        "gramine-direct: x\nrefused: 'a.py', needed by run.py, line 1: list it\n"
    )
    world.launcher.states[study.uuid, 1] = LaunchStatus(state=LaunchState.LOST)
    world.follow()
    (record,) = caplog.records
    assert record.getMessage() == (
        f"computation {study.uuid}, launch 1: refused: 'a.py', needed by run.py, line 1: list it"
    )


def test_a_restart_at_every_step_changes_nothing(study: Study, world: ServerWorld) -> None:
    def step() -> None:
        world.restart()
        world.follow(2)
        world.restart()

    study.register()
    study.send_code()
    study.upload("a.csv", b"sealed")
    study.done(("a.csv", b"sealed"))
    step()
    puppet = Puppet(world, study.uuid, 1)
    puppet.attest()
    step()
    for number, (role, person) in enumerate(study.people):
        person.post(study.path("/deliveries"), content=study.delivery(puppet, role, person))
        step()
        puppet.answer(number)
        step()
    puppet.open()
    step()
    puppet.close(results={"model": b"sealed model"})
    step()
    assert study.state == "Succeeded"
    assert world.launcher.starts == [(study.uuid, 1)]
    assert study.kinds().count("run-started") == 1
    assert study.reader.get(study.path("/results/0/0")).content == b"sealed model"


def test_the_last_answer_may_be_found_after_the_opening(study: Study, world: ServerWorld) -> None:
    puppet = study.launch()
    study.coder.post(
        study.path("/deliveries"), content=study.delivery(puppet, Role.CODE_PROVIDER, study.coder)
    )
    world.follow()
    puppet.open()
    world.follow()
    puppet.answer(0)
    world.follow()
    assert study.kinds()[-2:] == ["run-started", "delivery-answered"]
