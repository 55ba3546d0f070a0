"""Receipts in files, verified by somebody who has nothing else: no home, no account, no network."""

import json
import socket
from pathlib import Path

import pytest
from receipt_files import OFF_LINE, Files, hand_over, launched, w
from transcript import Played, play

from sealroom.core.evidence.catalogue import GROUPS
from sealroom.core.evidence.receipt_catalogue import RUN_GROUPS
from sealroom.core.wire.receipt_closing import Failure, Outcome, OutputRecord

SIMULATED = "--insecure-accept-simulated"


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return hand_over(tmp_path)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise AssertionError("a receipt in a file is verified without a network")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)


def run(files: Files, *words: str) -> Played:
    return play([*words], folder=files.folder, environment={})


def verify(files: Files, *more: str, receipt: str = "receipt.json", bundle: str = "evidence.json") -> Played:
    return run(files, "receipt", "verify", receipt, "--bundle", bundle, *OFF_LINE, *more)


def test_two_files_are_enough_and_no_home_is_left_behind(files: Files) -> None:
    went = verify(files, SIMULATED)
    assert went.exit_code == 0, went.output
    assert "no invitation was given" in went.output
    assert "What the enclave signed" in went.output
    assert "dora@hospital.example, 1 file" in went.output
    assert "records.csv, 4,242 bytes sealed" in went.output
    assert "2026-03-01 12:00:00 to 2026-03-01 12:01:00 UTC, by the host's clock" in went.output
    assert sorted(path.name for path in files.folder.iterdir()) == [
        "evidence.json",
        "invitation.txt",
        "receipt.json",
    ]


def test_json_is_the_same_verdict_and_what_was_signed(files: Files) -> None:
    said = json.loads(verify(files, SIMULATED, "--json").output)
    assert (said["of"], said["verdict"], said["accepted"]) == ("receipt", "SIMULATED", False)
    assert said["passed_but_simulated"] is True
    assert [group["name"] for group in said["checks"]] == [g.name for g in (*GROUPS, *RUN_GROUPS)]
    check = said["checks"][0]["checks"][0]
    assert set(check) >= {"observed", "required", "meaning", "remedy", "source", "because", "blame"}
    assert said["receipt"]["ending"]["outcome"] == "succeeded"
    assert said["receipt"]["inputs"][0]["name"] == "records.csv"


def test_a_simulated_enclave_is_never_accepted_unasked(files: Files) -> None:
    went = verify(files)
    assert went.exit_code == 1
    assert "next: --insecure-accept-simulated" in went.output


def test_with_the_invitation_people_and_terms_are_compared(files: Files) -> None:
    went = verify(files, SIMULATED, "--invitation", "invitation.txt")
    assert went.exit_code == 0, went.output
    assert "those of the invitation" in went.output
    assert "vouched for by the words only" in went.output
    line = (files.folder / "invitation.txt").read_text().strip()
    assert verify(files, SIMULATED, "--invitation", line).exit_code == 0


def test_another_invitation_is_refused(files: Files) -> None:
    line = (files.folder / "invitation.txt").read_text()
    other = line.replace(str(w.COMPUTATION), "5f1c8a34-6f0b-4f0e-9d2c-1d6b1f8e7a55")
    files.write("other.txt", other)
    went = verify(files, SIMULATED, "--invitation", "other.txt")
    # Its check digits are of another line.
    assert went.exit_code == 2
    assert "invitation" in went.output


def test_years_later_the_bundles_own_documents_decide(files: Files) -> None:
    late = ("receipt", "verify", "receipt.json", "--bundle", "evidence.json", "--policy", "up-to-date")
    went = run(files, *late, "--at", "2028-03-01T12:00:00Z", SIMULATED, "--home", "nobody")
    assert went.exit_code == 3, went.output
    assert "Without it nothing can be said of the receipt" in went.output
    assert verify(files, SIMULATED).exit_code == 0


def test_a_changed_receipt_is_refused_and_says_by_which_check(files: Files) -> None:
    files.write("forged.json", launched().run(key=w.CODE))
    went = verify(files, SIMULATED, receipt="forged.json")
    assert went.exit_code == 1
    assert "SIMULATED, AND REFUSED: 1 check failed" in went.output
    assert "docs/spec/receipt.md, a run, 2.1" in went.output
    assert "What the enclave signed" not in went.output


def test_without_a_closing_the_view_says_whose_claim_the_end_is_and_not_why(files: Files) -> None:
    files.write("died.json", launched().run(closed=False))
    went = verify(files, SIMULATED, receipt="died.json")
    assert went.exit_code == 0
    assert went.output.count("the server's claim") >= 2
    assert "not signed: its process died, or somebody keeps the end back" in went.output
    said = json.loads(verify(files, SIMULATED, "--json", receipt="died.json").output)
    assert said["receipt"]["ending"] is None


def test_a_refusal_is_told_with_its_reason_in_words(files: Files) -> None:
    files.write("refused.json", launched().refusal())
    went = verify(files, SIMULATED, receipt="refused.json")
    assert went.exit_code == 0
    assert "words-differ: not everybody had the same words of the invitation" in went.output
    said = json.loads(verify(files, SIMULATED, "--json", receipt="refused.json").output)
    assert said["receipt"] == {"kind": "refusal", "reason": "words-differ"}


def test_names_of_results_and_files_are_shown_and_never_obeyed(files: Files) -> None:
    changed = launched().run(
        outcome=Outcome.SUCCEEDED,
        outputs=(OutputRecord(consumer=0, name="a\u202etxt.exe", sha256=bytes(32)),),
    )
    files.write("named.json", changed)
    output = verify(files, SIMULATED, receipt="named.json").output
    assert "\u202e" not in output
    assert "a<U+202E>txt.exe" in output


def test_a_failed_run_says_kind_and_place_and_no_more(files: Files) -> None:
    failed = launched().run(
        outcome=Outcome.FAILED,
        exit_code=1,
        outputs=(),
        bytes_out=0,
        failure=Failure(type="ValueError", file="model/secret.py", line=7),
    )
    files.write("failed.json", failed)
    output = verify(files, SIMULATED, receipt="failed.json").output
    assert "failed: ValueError at model/secret.py, line 7" in output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("receipt.json",), "needs --bundle"),
        (
            ("receipt.json", "--bundle", "evidence.json", "--epoch", "1"),
            "--epoch is for a computation's UUID",
        ),
        ((str(w.COMPUTATION), "--bundle", "evidence.json"), "are for a receipt in a file"),
        (("receipt.json", "--bundle", "evidence.json", "--to", "here"), "--sealed and --to go with --open"),
        (("receipt.json", "--bundle", "evidence.json", "--open"), "--open off line needs --sealed"),
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(
    files: Files, words: tuple[str, ...], said: str
) -> None:
    went = run(files, "receipt", "verify", *words, "--policy", "strict", "--home", "nobody")
    assert went.exit_code == 64
    assert said in went.output


def test_what_is_no_receipt_is_malformed(files: Files) -> None:
    assert verify(files, receipt="evidence.json").exit_code == 2
    assert verify(files, bundle="receipt.json").exit_code == 2
