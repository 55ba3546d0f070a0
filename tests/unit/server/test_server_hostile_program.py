"""What a program that took over its own process can do to the server: it has the run key and the spool."""

import shutil

from server_world import NOW, Puppet, ServerWorld, Study

from sealroom.core.sealing.receipt import sign_closing
from sealroom.core.wire.byte_fields import sha256
from sealroom.core.wire.participants import Role
from sealroom.core.wire.receipt import Closing, Outcome, OutputRecord
from sealroom.core.wire.spool import CLOSING, MAX_RESULT_FILES, result_name


def running(study: Study, world: ServerWorld) -> Puppet:
    puppet = study.launch()
    study.deliver_all(puppet)
    puppet.open()
    world.follow()
    assert study.state == "Running"
    return puppet


def close(puppet: Puppet, outputs: tuple[OutputRecord, ...]) -> None:
    assert puppet.opening is not None
    closing = Closing(
        agreement=puppet.arguments.agreement,
        opening_sha256=sha256(puppet.opening.payload),
        outcome=Outcome.SUCCEEDED,
        exit_code=0,
        host_started=NOW,
        host_ended=NOW,
        bytes_out=1,
        bytes_log=0,
        failure=None,
        outputs=outputs,
        log_sha256=None,
    )
    puppet.spool.write(CLOSING, sign_closing(closing, run_key=puppet.run_key).to_bytes())


def test_a_closing_that_names_more_results_than_there_are_places_still_ends_the_run(
    study: Study, world: ServerWorld
) -> None:
    puppet = running(study, world)
    puppet.spool.write(result_name(0, 0), b"sealed")
    first = OutputRecord(consumer=0, name="first", sha256=sha256(b"sealed"))
    rest = (
        OutputRecord(consumer=0, name=f"r{number}", sha256=bytes(32)) for number in range(MAX_RESULT_FILES)
    )
    close(puppet, (first, *rest))
    world.follow()
    assert study.state == "Succeeded"
    listed = study.owner.get(study.path("/results")).json()["results"]
    assert [row["name"] for row in listed] == ["first"]


def test_results_beyond_the_budget_of_outputs_are_not_copied(study: Study, world: ServerWorld) -> None:
    puppet = running(study, world)
    content = bytes(study.proposal()["max_output_bytes"])
    outputs = []
    for number in range(8):
        puppet.spool.write(result_name(0, number), content)
        outputs.append(OutputRecord(consumer=0, name=f"r{number}", sha256=sha256(content)))
    close(puppet, tuple(outputs))
    world.follow()
    assert study.state == "Succeeded"
    listed = study.owner.get(study.path("/results")).json()["results"]
    assert 1 <= len(listed) <= 2


def test_a_run_whose_program_closed_its_spool_to_the_server_ends_when_it_is_gone(
    study: Study, world: ServerWorld
) -> None:
    puppet = running(study, world)
    folder = world.launcher.folder(study.uuid, 1)
    # As with a folder of mode 0000, for a server that is not root: it is there and cannot be entered.
    (folder / "spool").rename(folder / "elsewhere")
    (folder / "spool").write_bytes(b"")
    puppet.vanish()
    world.follow()
    assert study.state == "Failed"


def test_an_unanswered_delivery_does_not_hide_the_end_of_a_run_whose_inbox_is_no_folder(
    study: Study, world: ServerWorld
) -> None:
    puppet = study.launch()
    delivery = study.delivery(puppet, Role.CODE_PROVIDER, study.coder)
    assert study.coder.post(study.path("/deliveries"), content=delivery).status_code == 200
    inbox = world.launcher.folder(study.uuid, 1) / "spool" / "inbox"
    shutil.rmtree(inbox)
    inbox.write_bytes(b"")
    puppet.open()
    world.follow()
    close(puppet, ())
    world.follow()
    assert study.state == "Succeeded"
