"""The capability report as a person reads it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from receipt_files import NOW, Files, hand_over, launched, w
from transcript import Played, play

from sealroom.cli.amounts import bytes_text, plural, seconds_text
from sealroom.cli.capabilities import print_capabilities
from sealroom.cli.console import Console
from sealroom.core.evidence.capabilities import (
    Capabilities,
    CapabilityReport,
    CodePart,
    InputSource,
    appraise_capabilities,
)
from sealroom.core.measurement.requirements import Requirement
from sealroom.core.wire.input_list import InputFile
from sealroom.core.wire.terms import LogRelease

TOLD = """What this program could do, as measured
  program by     carol@code.example
                 run.py: 33 bytes, 1 line; you can read it: sealroom code show UUID
                 model/secret.py: 32 bytes, encrypted: its provider and the enclave alone read it
  packages       none of its own
  can read       all data of dora@hospital.example: what it is, that person commits to with the delivery, \
and the receipt names it
  results        for rita@registry.example, 976.6 KiB in all at most; nobody else opens them
  prints         up to 4 KiB that all participants read: carol@code.example, dora@hospital.example, \
rita@registry.example
  for all to see how it ended, how long it took, the number, names and sizes of results, and of a failure \
its kind, file and line
  runs           for 1 minute at most, in 256 MiB of memory
  network        none: it is given no way to another machine
  programs       none: it is given no way to start another one
  files          none but its results, and a temporary folder inside the enclave
  but know       a limit bounds how much leaves, not what: results and log can carry any of the data.
                 What holds a program in, and what does not: docs/limits.md.
                 The enclave is simulated: whoever runs it reads all of this, and nothing here holds them off.
""".replace("UUID", str(w.COMPUTATION))


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return hand_over(tmp_path)


def run(files: Files, *words: str) -> Played:
    return play(["evidence", *words, "--at", NOW, "--home", "nobody"], folder=files.folder, environment={})


def lines_of(output: str, label: str) -> str:
    return next(line for line in output.splitlines() if line.startswith(f"  {label}"))


def test_the_report_in_words(files: Files) -> None:
    went = run(files, "capabilities", "evidence.json")
    said = f"{TOLD}\nnext: sealroom evidence verify evidence.json --policy POLICY\n"
    assert (went.output, went.exit_code) == (said, 0)


def test_it_is_part_of_every_verdict(files: Files) -> None:
    went = run(files, "verify", "evidence.json", "--policy", "up-to-date")
    assert TOLD in went.output
    said = json.loads(run(files, "verify", "evidence.json", "--policy", "up-to-date", "--json").output)
    alone = json.loads(run(files, "capabilities", "evidence.json", "--json").output)
    assert said["capabilities"] == alone["capabilities"]
    assert alone["capabilities"]["results"] == {
        "consumers": ["rita@registry.example"],
        "max_bytes": 1_000_000,
    }
    assert alone["capabilities_unknown_because"] is None


def test_what_would_run_is_not_known_where_the_measurement_does_not_hold(files: Files) -> None:
    forged = replace(launched().evidence, shown={"entry_point": b"print('harmless')\n"})
    files.write("forged.json", forged.bundle.to_bytes())
    went = run(files, "capabilities", "forged.json")
    assert went.exit_code == 1
    assert "code.entry-point did not pass, so what would run is not known" in went.output
    assert "harmless" not in went.output


def told(capsys: pytest.CaptureFixture[str], **changes: object) -> str:
    """The words of a report in which something is measured otherwise."""
    found = appraise_capabilities(
        launched().bundle,
        policy=w.policy(),
        expected=None,
        own_inputs={},
        release=launched().evidence.release,
        wheels={},
        roots=w.ROOTS,
        now=w.NOW,
    )
    assert isinstance(found.capabilities, Capabilities)
    report = CapabilityReport(verdict=found.verdict, capabilities=replace(found.capabilities, **changes))
    print_capabilities(report, Console(as_json=False))
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("release", "said"),
    [
        (LogRelease.NONE, "nobody: no log leaves the enclave"),
        (LogRelease.PUBLIC, "up to 4 KiB that everybody can read, the operator too"),
    ],
)
def test_who_reads_what_is_printed(
    capsys: pytest.CaptureFixture[str], release: LogRelease, said: str
) -> None:
    assert said in lines_of(told(capsys, logs=release), "prints")


def test_packages_are_named_with_their_versions(capsys: pytest.CaptureFixture[str]) -> None:
    packages = tuple(
        Requirement(name=name, version=version, sha256=bytes(32))
        for name, version in (("numpy", "2.1.0"), ("scikit-learn", "1.5.2"))
    )
    assert lines_of(told(capsys, packages=packages), "packages").endswith("numpy 2.1.0, scikit-learn 1.5.2")


def test_ones_own_files_are_named_and_nothing_in_a_name_is_obeyed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    own = InputFile(name="re\u202ecords.csv", size=2048, sha256=bytes(32))
    said = told(capsys, inputs=(InputSource(email="dora@hospital.example", files=(own,)),))
    assert lines_of(said, "can read").endswith(
        "dora@hospital.example, which is you: re<U+202E>cords.csv (2 KiB sealed)"
    )


def test_a_path_of_the_program_is_shown_and_never_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    assert "a<U+202E>b.py: 5 bytes" in told(
        capsys, code=(CodePart(path="a\u202eb.py", size=5, is_readable=False),)
    )


def test_of_many_files_the_readable_ones_come_first_and_the_rest_is_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = tuple(CodePart(path=f"a{n:03}.py", size=1024, is_readable=False) for n in range(100))
    said = told(capsys, code=(*code, CodePart(path="run.py", size=9, is_readable=True)))
    assert said.splitlines()[2].lstrip().startswith("run.py")
    assert "and 89 more files, encrypted, 89 KiB in all" in said


def test_without_consumers_or_providers_it_says_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    said = told(capsys, results_for=(), inputs=())
    assert lines_of(said, "results").endswith("nobody: there is no Result Consumer")
    assert "nobody's data" in lines_of(said, "can read")


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (1023, "1,023 bytes"),
        (1024, "1 KiB"),
        (4242, "4,242 bytes"),
        (1_000_000, "976.6 KiB"),
        (1 << 30, "1 GiB"),
        ((1 << 40) - 1, "1024.0 GiB"),
        (2**63 - 1, "8 EiB"),
    ],
)
def test_sizes_in_words(size: int, said: str) -> None:
    assert bytes_text(size) == said


def test_times_and_counts_in_words() -> None:
    assert seconds_text(0) == "0 seconds"
    assert seconds_text(61) == "1 minute 1 second"
    assert seconds_text(90_061) == "1 day 1 hour"
    assert (plural(1, "file"), plural(1200, "file")) == ("1 file", "1,200 files")
