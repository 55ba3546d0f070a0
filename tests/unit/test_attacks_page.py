"""The page of attacks names tests: each of them is there."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "attacks.md").read_text()
NAMED = re.findall(r"`(tests/[a-z0-9_/]+\.py)::(test_[a-z0-9_]+)`", PAGE)


def names_of_tests(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_test_that_the_page_names_is_there() -> None:
    missing = [f"{path}::{name}" for path, name in NAMED if name not in names_of_tests(path)]
    assert not missing


def test_every_attack_has_its_test() -> None:
    rows = [
        line
        for line in PAGE.splitlines()
        if line.startswith("|") and not line.startswith(("|---", "| attack"))
    ]
    assert len(rows) == len(NAMED)
    assert len(rows) == len(set(rows))


def test_every_hostile_test_over_real_processes_stands_on_the_page() -> None:
    named = {name for _, name in NAMED}
    for path in sorted((ROOT / "tests" / "e2e").glob("test_hostile_*.py")):
        below = str(path.relative_to(ROOT))
        found = {name for name in names_of_tests(below) if name.startswith("test_")}
        assert found <= named, below
