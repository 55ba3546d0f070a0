"""A whole session in the published client's form: what it does, and what it refuses."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from enclave_world import World, with_limits
from legacy_world import LegacyWorld
from test_enclave_memory import DUMP, HELD

from sealroom.core.compat.whole_file import seal_whole_file
from sealroom.core.sealing.enclave_keys import box_form
from sealroom.core.wire.byte_fields import sha256
from sealroom.core.wire.delivery import NO_COMMITMENT, DeliveryRefusal, RefusalReason
from sealroom.core.wire.participants import Role
from sealroom.core.wire.receipt_closing import Failure, Outcome
from sealroom.core.wire.terms import DeliveryForm, LogRelease

# A process of its own in every test.
pytestmark = pytest.mark.e2e

RUN = """
from cosmian_lib_sgx import Enclave
from model import total


def main() -> int:
    with Enclave() as enclave:
        numbers = [int(file.read()) for file in enclave.read()]
        print("numbers:", len(numbers))
        enclave.write(str(total(numbers)).encode())
    return 0


if __name__ == "__main__":
    main()
"""
MODEL = "def total(numbers):\n    return sum(numbers)\n"


@pytest.fixture
def legacy(tmp_path: Path) -> Iterator[LegacyWorld]:
    made = LegacyWorld(tmp_path)
    made.code = {"run.py": RUN, "model.py.enc": MODEL, "pkg/notes.txt": "clear"}
    made.add_input(0, "a.txt.enc", b"3")
    made.add_input(1, "b.txt.enc", b"4")
    made.add_input(1, "c.txt.enc", b"5")
    yield made
    made.stop()


def test_an_unmodified_program_runs_on_whole_files(legacy: LegacyWorld) -> None:
    assert legacy.run() == 0, legacy.stderr()
    assert legacy.result(0, 0, "result") == b"12"
    assert legacy.closing().outcome is Outcome.SUCCEEDED
    assert legacy.log() == "numbers: 3\n"
    (output,) = legacy.closing().outputs
    assert output.sha256 == sha256((legacy.spool / "results/0/0").read_bytes())


def test_the_receipt_says_which_form_and_has_statements_without_commitments(legacy: LegacyWorld) -> None:
    legacy.launch()
    legacy.deliver_all()
    legacy.wait()
    opening = legacy.opening()
    assert opening.delivery is DeliveryForm.LEGACY
    assert [(record.role, record.index) for record in opening.participants] == [
        (Role.CODE_PROVIDER, 0),
        (Role.DATA_PROVIDER, 0),
        (Role.DATA_PROVIDER, 1),
        (Role.RESULT_CONSUMER, 0),
    ]
    for number, (record, party) in enumerate(zip(opening.participants, legacy.parties, strict=True)):
        assert record.statement.commitment == NO_COMMITMENT
        assert record.statement.sender_pk == party.public_key
        sent = (legacy.spool / f"inbox/{number}").read_bytes()
        assert (record.signature, record.box_sha256) == (sent[34:98], sha256(sent[98:]))
    assert [(file.provider, file.name) for file in opening.inputs] == [
        (0, "a.txt.enc"),
        (1, "b.txt.enc"),
        (1, "c.txt.enc"),
    ]


def test_the_box_key_is_the_identity_keys_other_form(legacy: LegacyWorld) -> None:
    legacy.launch()
    legacy.wait_for("public")
    assert legacy.public.box_pk == box_form(legacy.public.identity_pk)


def test_a_program_reads_inputs_at_any_place_and_clear_files_of_its_code(legacy: LegacyWorld) -> None:
    legacy.code["run.py"] = (
        "import pkgutil\nfrom sealroom.enclave import Enclave\nimport model\n"
        "with Enclave() as enclave:\n"
        "    print([(f.provider, f.name, f.size, f.chunks_read) for f in enclave.inputs])\n"
        "    with enclave.inputs[1].open() as reader:\n"
        "        print(reader.seek(0, 2), reader.seek(0), reader.read())\n"
        "    print(model.__file__.rsplit('/', 1)[1], enclave.open_code_file('pkg/notes.txt').read())\n"
    )
    assert legacy.run() == 0, legacy.stderr()
    assert legacy.log().splitlines() == [
        "[(0, 'a.txt.enc', 1, 0), (1, 'b.txt.enc', 1, 0), (1, 'c.txt.enc', 1, 0)]",
        "1 0 b'4'",
        "model.py b'clear'",
    ]


def test_no_source_of_a_sealed_file_shows_in_the_public_log(legacy: LegacyWorld) -> None:
    legacy.code["model.py.enc"] = "def total(numbers):\n    raise ValueError  # canary-7c1f\n"
    assert legacy.run() == 1
    assert "model.py" in legacy.log()
    assert "canary" not in legacy.log()
    assert legacy.closing().failure == Failure(type="ValueError", file="model.py", line=2)
    assert list((legacy.spool / "results").rglob("*")) == []


def test_only_the_consumers_data_key_is_left_while_the_program_runs(legacy: LegacyWorld) -> None:
    with_limits(legacy, max_output_bytes=1 << 29)
    legacy.code["run.py"] = DUMP.format(held=HELD)
    assert legacy.run() == 0, legacy.stderr()
    memory = legacy.result(0, 0, "memory")
    assert HELD in memory
    consumer, *others = reversed(legacy.parties)
    # As docs/limits.md says.
    assert consumer.data_key_bytes in memory
    for party in others:
        assert party.data_key_bytes not in memory
    for party in legacy.parties:
        assert party.preshared_bytes not in memory
        assert party.seed not in memory


def test_logs_that_are_not_public_are_refused_before_a_key_is_made(legacy: LegacyWorld) -> None:
    legacy.logs = LogRelease.PARTICIPANTS
    legacy.launch()
    assert legacy.wait() == 2
    assert legacy.stderr() == "enclave: arguments: delivery=legacy goes with logs=public alone\n"
    assert not (legacy.spool / "public").exists()


def test_a_version_1_enclave_takes_no_older_delivery_and_loads_none_of_its_code(world: World) -> None:
    world.code = {"run.py": "import sys\nprint([n for n in sys.modules if 'legacy' in n or 'compat' in n])\n"}
    world.launch()
    enclave, party = world.enclave, world.providers[0]
    older = bytes((0, party.role.code)) + party.public_key + bytes(176)
    assert world.ask(older).refused is DeliveryRefusal.MALFORMED
    for each in world.parties:
        world.send(world.delivery(each, to=enclave))
    assert world.wait() == 0
    assert world.log(party) == "[]\n"


def test_a_legacy_enclave_takes_no_delivery_of_version_1(legacy: LegacyWorld) -> None:
    legacy.launch()
    legacy.wait_for("public")
    assert legacy.ask(b"\x01" + bytes(401)).refused is DeliveryRefusal.MALFORMED


def refused(world: LegacyWorld) -> RefusalReason:
    assert world.wait() == 1, world.stderr()
    assert not (world.spool / "opening").exists()
    return world.refusal().reason


def test_a_box_copied_by_another_provider_ends_the_enclave(legacy: LegacyWorld) -> None:
    """The second hospital, with the operator, signs the first one's box as its own."""
    legacy.launch()
    first, second = legacy.providers
    box = legacy.delivery(first)[98:]
    signature = second.key.sign(legacy.computation.bytes + box)
    for party in legacy.parties:
        raw = legacy.delivery(party)
        legacy.send(raw[:34] + signature + box if party is second else raw)
    assert refused(legacy) is RefusalReason.DATA_KEYS_EQUAL


def test_an_input_under_another_providers_key_ends_the_enclave(legacy: LegacyWorld) -> None:
    raw = bytes(seal_whole_file(b"6", key=legacy.providers[1].data_key))
    legacy.providers[0].files[0] = ("a.txt.enc", raw)
    legacy.run()
    assert refused(legacy) is RefusalReason.INPUTS_DIFFER


def test_code_that_does_not_open_ends_the_enclave(legacy: LegacyWorld) -> None:
    legacy.prepare()
    legacy.code_provider.data_key_bytes = bytes(32)
    legacy.start()
    legacy.deliver_all()
    assert refused(legacy) is RefusalReason.CODE_UNREADABLE


@pytest.mark.parametrize("path", ["model.py", ".enc", "pkg/.enc"])
def test_code_whose_paths_without_suffix_are_none_or_the_same_ends_the_enclave(
    legacy: LegacyWorld, path: str
) -> None:
    legacy.code[path] = "def total(numbers): return 0\n"
    legacy.run()
    assert refused(legacy) is RefusalReason.CODE_UNREADABLE
