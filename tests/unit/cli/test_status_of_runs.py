"""How a run ended, in `sealroom status`: whose word that is."""

import pytest

from sealroom.cli.status import _run_in_words
from sealroom.client.computation import Run


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (None, "not ended yet"),
        ("lost", "the server's claim, its receipt has no closing"),
        ("cancelled", "the server's claim, its receipt has no closing"),
        ("succeeded", "says the server; the receipt has it from the enclave"),
    ],
)
def test_a_run_without_a_closing_is_shown_as_the_servers_claim(outcome, words):
    assert words in _run_in_words(
        Run(epoch=1, started_at=None, ended_at=None, outcome=outcome, exit_code=None)
    )
