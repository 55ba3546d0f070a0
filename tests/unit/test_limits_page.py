"""The table of docs/limits.md says of both sandboxes what their tests expect, for each attempt that fails."""

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXPECTED = runpy.run_path(str(ROOT / "tests/e2e/enclaves/escapes.py"))
ROWS = [
    tuple(cell.strip() for cell in line.strip("|").split("|"))
    for line in (ROOT / "docs/limits.md").read_text().splitlines()
    if line.startswith("| ") and line.count("|") == 6
]


def test_the_table_has_every_attempt_that_fails_and_how() -> None:
    heading, *rows = ROWS
    assert heading[2:4] == ("sandbox with bubblewrap", "sandbox without")
    with_bubblewrap, without = EXPECTED["IN_BUBBLEWRAP"], EXPECTED["WITHOUT_BUBBLEWRAP"]
    refused = {
        name: (outcome, without[name]) for name, outcome in with_bubblewrap.items() if outcome != "done"
    }
    assert {row[0]: row[2:4] for row in rows} == refused


def test_what_is_refused_with_bubblewrap_is_refused_without() -> None:
    with_bubblewrap, without = EXPECTED["IN_BUBBLEWRAP"], EXPECTED["WITHOUT_BUBBLEWRAP"]
    assert {name for name in without if without[name] == "done"} == {
        name for name in with_bubblewrap if with_bubblewrap[name] == "done"
    }
