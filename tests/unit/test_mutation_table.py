"""docs/mutation.md has each check of the source, none besides, and a test that misses each."""

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def tool():
    spec = importlib.util.spec_from_file_location(
        "mutate_attestation", ROOT / "tools" / "mutate_attestation.py"
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_table_has_exactly_the_checks_of_the_source():
    mutate = tool()
    rows = mutate.rows_of(mutate.TABLE)
    checks = {check.name for file in mutate.checked_files() for check in mutate.find_checks(file)}
    hint = "run tools/mutate_attestation.py --only-new"
    assert checks - set(rows) == set(), hint
    assert set(rows) - checks == set(), hint


def test_every_check_is_missed_by_a_test():
    mutate = tool()
    rows = mutate.rows_of(mutate.TABLE)
    assert [name for name, test in rows.items() if test == mutate.NOT_MISSED] == []


def test_every_test_of_the_table_is_there():
    mutate = tool()
    for test in {test.strip("`") for test in mutate.rows_of(mutate.TABLE).values()}:
        file, _, name = test.partition("::")
        text = (ROOT / "tests" / file).read_text()
        assert not name or f"def {name}(" in text, test
