"""Run the vectors of tests/vectors/wire; tools/make_wire_vectors.py makes them."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.wire.arguments import parse_arguments
from sealroom.core.wire.bundle import EvidenceBundle
from sealroom.core.wire.code_list import CodeList, verify_code_signature
from sealroom.core.wire.delivery import Delivery, verify_delivery_signature
from sealroom.core.wire.dsse_verification import parse_envelope, verify_envelope
from sealroom.core.wire.input_list import InputList
from sealroom.core.wire.receipt_file import Receipt
from sealroom.core.wire.receipt_parsing import parse_closing, parse_opening, parse_refusal
from sealroom.core.wire.report_data import check_report_data
from sealroom.core.wire.spool import Answer, PublicKeys

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).parent / "wire"
CASES = sorted(path.name for path in FOLDER.iterdir())


def read_hex(case: Path, name: str) -> bytes:
    return bytes.fromhex((case / name).read_text())


def run_arguments(case: Path, raw: bytes) -> None:
    arguments = parse_arguments(raw)
    assert arguments.to_bytes() == raw
    assert arguments.agreement == read_hex(case, "agreement")
    assert arguments.terms_digest == read_hex(case, "terms")


def run_code_list(case: Path, raw: bytes) -> None:
    assert CodeList.from_json(raw).digest == read_hex(case, "digest")


def run_code_signature(case: Path, raw: bytes) -> None:
    verify_code_signature(
        public_key=read_hex(case, "public_key"),
        computation=UUID((case / "computation").read_text().strip()),
        digest=CodeList.from_json(raw).digest,
        signature=read_hex(case, "signature"),
    )


def run_delivery(case: Path, raw: bytes) -> None:
    delivery = Delivery.from_bytes(raw)
    verify_delivery_signature(delivery)
    assert delivery.to_bytes() == raw


def run_report_data(case: Path, raw: bytes) -> None:
    check_report_data(raw, identity_pk=read_hex(case, "identity_pk"), box_pk=read_hex(case, "box_pk"))


def run_envelope(case: Path, raw: bytes) -> None:
    verify_envelope(parse_envelope(raw), public_key=read_hex(case, "public_key"))


def parse_alone(parse: Callable[[bytes], object], write: str) -> Callable[[Path, bytes], None]:
    def run(case: Path, raw: bytes) -> None:
        assert getattr(parse(raw), write)() == raw

    return run


RUNNERS = {
    "arguments": run_arguments,
    "input-list": parse_alone(InputList.from_json, "to_json"),
    "code-list": run_code_list,
    "code-signature": run_code_signature,
    "delivery": run_delivery,
    "report-data": run_report_data,
    "envelope": run_envelope,
    "opening": parse_alone(parse_opening, "to_statement"),
    "closing": parse_alone(parse_closing, "to_statement"),
    "refusal": parse_alone(parse_refusal, "to_statement"),
    "receipt": parse_alone(Receipt.from_bytes, "to_bytes"),
    "bundle": parse_alone(EvidenceBundle.from_bytes, "to_bytes"),
    "answer": parse_alone(Answer.from_bytes, "to_bytes"),
    "public-keys": parse_alone(PublicKeys.from_bytes, "to_bytes"),
}


@pytest.mark.parametrize("name", CASES)
def test_the_named_layer_decides(name: str) -> None:
    case = FOLDER / name
    lines = (case / "expect").read_text(encoding="utf-8").splitlines()
    expect = dict(line.split(": ", 1) for line in lines)
    assert list(expect) == ["format", "layer", "why"]
    reached = "accept"
    try:
        RUNNERS[expect["format"]](case, (case / "input").read_bytes())
    except MalformedError:
        reached = "parse"
    except VerificationError:
        reached = "verify"
    assert reached == expect["layer"], expect["why"]


def test_the_files_are_what_the_program_beside_them_makes() -> None:
    program = ROOT / "tools" / "make_wire_vectors.py"
    done = subprocess.run(
        [sys.executable, str(program), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_format_has_a_vector_that_is_accepted_and_one_that_is_not() -> None:
    layers: dict[str, set[str]] = {}
    for name in CASES:
        format_line, layer_line, _ = (FOLDER / name / "expect").read_text(encoding="utf-8").splitlines()
        layers.setdefault(format_line.partition(": ")[2], set()).add(layer_line.partition(": ")[2])
    assert layers.keys() == RUNNERS.keys()
    for kinds in layers.values():
        assert "accept" in kinds
        assert len(kinds) > 1
