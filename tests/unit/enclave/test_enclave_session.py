import importlib

import pytest
from enclave_world import MRENCLAVE, QUOTE, World, with_limits

from sealroom.core.wire.byte_fields import sha256
from sealroom.core.wire.delivery import verify_statement_signature
from sealroom.core.wire.participants import Role
from sealroom.core.wire.receipt_closing import Outcome, OutputRecord

# A process of its own in every test.
pytestmark = pytest.mark.e2e

RUN = """
from model import total
from sealroom.enclave import Enclave

def main() -> int:
    with Enclave() as enclave:
        numbers = [int(file.read()) for file in enclave.read()]
        print("numbers:", len(numbers))
        enclave.write(str(total(numbers)).encode(), name="total.txt")
    return 0

if __name__ == "__main__":
    main()
"""
MODEL = "def total(numbers):\n    return sum(numbers)\n"


def summing(world: World) -> World:
    world.code = {"run.py": RUN, "model.py": MODEL}
    world.add_input(0, "a.txt", b"3")
    world.add_input(1, "b.txt", b"4")
    world.add_input(1, "c.txt", b"5")
    return world


def test_runs_the_program_on_everybody_s_data_and_seals_the_result(world: World) -> None:
    assert summing(world).run() == 0, world.stderr()
    assert world.result(0, 0, "total.txt") == b"12"
    closing = world.closing()
    assert closing.outcome is Outcome.SUCCEEDED
    assert closing.failure is None
    assert world.log(world.providers[1]) == "numbers: 3\n"
    assert (world.spool / "quote").read_bytes() == QUOTE
    assert not (world.spool / "refusal").exists()


def test_the_opening_says_what_the_enclave_started_with(world: World) -> None:
    summing(world).run()
    opening = world.opening()
    assert opening.arguments == world.arguments.to_bytes()
    assert opening.mrenclave == MRENCLAVE
    assert [(record.role, record.index) for record in opening.participants] == [
        (Role.CODE_PROVIDER, 0),
        (Role.DATA_PROVIDER, 0),
        (Role.DATA_PROVIDER, 1),
        (Role.RESULT_CONSUMER, 0),
    ]
    for record in opening.participants:
        verify_statement_signature(
            statement=record.statement, box_sha256=record.box_sha256, signature=record.signature
        )
    assert [(file.provider, file.name) for file in opening.inputs] == [
        (0, "a.txt"),
        (1, "b.txt"),
        (1, "c.txt"),
    ]
    assert opening.inputs[2].sha256 == sha256((world.spool / "inputs/1/1").read_bytes())


def test_the_closing_names_what_left(world: World) -> None:
    summing(world).run()
    closing = world.closing()
    digest = sha256((world.spool / "results/0/0").read_bytes())
    assert closing.outputs == (OutputRecord(consumer=0, name="total.txt", sha256=digest),)
    assert closing.log_sha256 == sha256((world.spool / "log").read_bytes())
    assert closing.bytes_out == len("total.txt") + 2
    assert closing.bytes_log == 4096


def test_runs_without_data_providers_and_consumers(tmp_path) -> None:
    world = World(tmp_path, providers=0, consumers=0)
    world.code = {"run.py": RUN, "model.py": MODEL}
    try:
        assert world.run() == 0, world.stderr()
        assert world.closing().outputs == ()
    finally:
        world.stop()


def test_one_person_takes_two_roles_with_one_key(world: World) -> None:
    world.consumers[0].seed = world.providers[0].seed
    world.consumers[0].key = world.providers[0].key
    world.consumers[0].email = world.providers[0].email
    assert summing(world).run() == 0, world.stderr()
    assert world.result(0, 0, "total.txt") == b"12"


def test_a_program_reads_inputs_by_provider_and_place(world: World) -> None:
    world.code = {
        "run.py": """
from sealroom.enclave import Enclave, UserError
with Enclave() as enclave:
    print([(file.provider, file.name, file.size) for file in enclave.inputs])
    print([file.read() for file in enclave.read(1)])
    print(len(list(enclave.read(0))), enclave.inputs[0].size)
    with enclave.inputs[1].open() as reader:
        reader.seek(9_000)
        print(reader.read(3), reader.seek(0), reader.readline())
    for n in (2, -1):
        try:
            enclave.read(n)
        except UserError as error:
            print(error)
"""
    }
    world.add_input(0, "empty", b"")
    world.add_input(1, "long", b"first line\n" + b"x" * 8_989 + b"abc")
    world.add_input(1, "short", b"!")
    assert world.run() == 0, world.log(world.consumers[0])
    lines = world.log(world.consumers[0]).splitlines()
    assert lines[0] == "[(0, 'empty', 0), (1, 'long', 9003), (1, 'short', 1)]"
    assert lines[1].endswith("xabc', b'!']")
    assert lines[2:] == [
        "1 0",
        "b'abc' 0 b'first line\\n'",
        "data provider 2: there are 2, counted from 0",
        "data provider -1: there are 2, counted from 0",
    ]


def test_a_program_writes_to_all_consumers_or_to_one(tmp_path) -> None:
    world = World(tmp_path, providers=0, consumers=2)
    with_limits(world, max_output_bytes=4 << 20)
    world.code = {
        "run.py": """
import io, tempfile
from sealroom.enclave import Enclave, UserError
with Enclave() as enclave:
    enclave.write(b"for all")
    enclave.write(io.BytesIO(b"for one"), 1)
    with tempfile.TemporaryFile() as file:
        file.write(b"0123456789" * 100_000)
        file.seek(10)
        enclave.write(file, name="streamed")
    for arguments in ((b"", 2), (b"", None, "a/b"), (b"", None, "streamed"), ("text",)):
        name = arguments[2] if len(arguments) > 2 else None
        try:
            enclave.write(*arguments[:2], name=name)
        except UserError as error:
            print(error)
"""
    }
    try:
        assert world.run() == 0, world.log(world.consumers[0])
        assert world.result(0, 0, "result") == world.result(1, 0, "result") == b"for all"
        assert world.result(1, 1, "result-2") == b"for one"
        streamed = b"0123456789" * 99_999
        assert world.result(0, 1, "streamed") == world.result(1, 2, "streamed") == streamed
        assert [(r.consumer, r.name) for r in world.closing().outputs] == [
            (0, "result"),
            (0, "streamed"),
            (1, "result"),
            (1, "result-2"),
            (1, "streamed"),
        ]
        assert world.log(world.consumers[1]).splitlines() == [
            "result consumer 2: there are 2, counted from 0",
            "result name: a name holds no slash",
            "result name: used already for this consumer",
            "result: expected bytes or a binary file",
        ]
    finally:
        world.stop()


def test_a_program_of_the_published_service_runs_unmodified(world: World) -> None:
    world.code = {
        "run.py": """
from io import BytesIO

import cosmian_lib_sgx
from cosmian_lib_sgx import Enclave, UserError
from helpers import joined


def main() -> int:
    with Enclave() as enclave:
        parts = [part.read() for part in enclave.read()]
        enclave.write(BytesIO(joined(parts)))
        enclave.write(b"".join(part.getvalue() for part in enclave.read(1)), 0)
        for call in (lambda: list(enclave.read(7)), lambda: enclave.write(b"", 7)):
            try:
                call()
            except UserError:
                print("refused")
    return 0


if __name__ == "__main__":
    main()
""",
        "helpers.py": "def joined(parts):\n    return b'+'.join(parts)\n",
    }
    world.add_input(0, "a", b"one")
    world.add_input(1, "b", b"two")
    world.add_input(1, "c", b"three")
    assert world.run() == 0, world.stderr()
    assert world.result(0, 0, "result") == b"one+two+three"
    assert world.result(0, 1, "result-2") == b"twothree"
    assert world.log(world.consumers[0]) == "refused\nrefused\n"


def test_the_published_name_resolves_inside_an_enclave_alone() -> None:
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("cosmian_lib_sgx")


def test_a_program_streams_named_results(tmp_path) -> None:
    world = World(tmp_path, providers=1, consumers=2)
    world.code = {
        "run.py": """
import csv, io
from sealroom.enclave import Enclave, UserError
with Enclave() as enclave:
    with enclave.output("both.csv") as out, enclave.output("one.bin", 1) as other:
        with io.TextIOWrapper(out, newline="") as lines:
            csv.writer(lines).writerow(["a", "b"])
        other.write(b"x" * 300_000)
        other.write(b"y")
    try:
        with enclave.output("half.bin", 0) as half:
            half.write(b"z" * 300_000)
            raise KeyError
    except KeyError:
        pass
    for name, n in (("both.csv", None), ("a/b", 0), ("more", 2)):
        try:
            enclave.output(name, n)
        except UserError as error:
            print(error)
    left = enclave.output("left.bin", 0)
    left.write(b"never closed")
    enclave.write(enclave.inputs[0].open(), name="copy")
"""
    }
    world.add_input(0, "in", b"input" * 1000)
    try:
        assert world.run() == 0, world.log(world.consumers[0])
        assert [(r.consumer, r.name) for r in world.closing().outputs] == [
            (0, "both.csv"),
            (0, "copy"),
            (1, "both.csv"),
            (1, "one.bin"),
            (1, "copy"),
        ]
        assert world.result(0, 0, "both.csv") == world.result(1, 0, "both.csv") == b"a,b\r\n"
        assert world.result(1, 1, "one.bin") == b"x" * 300_000 + b"y"
        assert world.result(0, 1, "copy") == world.result(1, 2, "copy") == b"input" * 1000
        assert sorted(place.name for place in (world.spool / "results/0").iterdir()) == ["0", "1"]
        # "half.bin" and "left.bin" cost their budget, and are in no number that leaves.
        assert world.closing().bytes_out == 2 * (8 + 5) + 7 + 300_001 + 2 * (4 + 5000)
        assert world.log(world.consumers[0]).splitlines() == [
            "result name: used already for this consumer",
            "result name: a name holds no slash",
            "result consumer 2: there are 2, counted from 0",
            "result 'left.bin': never closed, discarded",
        ]
    finally:
        world.stop()


def test_refuses_arguments_that_are_not_in_their_one_encoding(world: World) -> None:
    world.prepare()
    items = world.arguments.items()
    world.start_with((*items[:-1], items[-1].upper()))
    assert world.wait() == 2
    assert "arguments" in world.stderr()
    assert not (world.spool / "public").exists()


def test_refuses_a_device_of_another_kind(world: World) -> None:
    world.device_kind = b"dcap"
    world.launch()
    assert world.wait() == 2
    assert world.stderr() == "enclave: attestation device: expected one for tee=simulated\n"


def test_ends_without_a_word_of_its_own_when_the_spool_breaks(world: World) -> None:
    with_limits(world, max_seconds=5)
    world.launch()
    public = world.wait_for("public")
    for folder in ("answers", "inbox"):
        (world.spool / folder).rmdir()
        (world.spool / folder).symlink_to(world.base)
    assert world.wait() == 2
    assert world.stderr().startswith("enclave: answers/0: expected a folder")
    assert len(public) == 64
    assert not (world.spool / "refusal").exists()
