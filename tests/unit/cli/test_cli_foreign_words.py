"""Words of others on a person's terminal: shown, never obeyed."""

from datetime import UTC, datetime

import pytest

from sealroom.cli.console import Console
from sealroom.cli.verdicts import print_verdict
from sealroom.core.evidence.verdict import Verdict


def test_advisories_of_a_simulated_root_do_not_rewrite_the_verdict(
    capsys: pytest.CaptureFixture[str],
) -> None:
    verdict = Verdict(
        policy_name="any",
        at=datetime(2026, 11, 22, tzinfo=UTC),
        is_simulated=True,
        status="UpToDate",
        advisories=("INTEL-SA-1\x1b[2J\x1b[H ACCEPTED",),
        mrenclave=None,
        groups=(),
    )
    print_verdict(verdict, Console(as_json=False))
    shown = capsys.readouterr().out
    assert "\x1b[2J" not in shown
    assert "INTEL-SA-1<U+001B>[2J" in shown


def test_the_name_of_a_count_does_not_rewrite_what_an_operator_reads(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The counts of a service are JSON of its application's own choice, names included."""
    Console(as_json=False).row("seconds\x1b[2J", "1")
    assert "seconds<U+001B>[2J" in capsys.readouterr().out
