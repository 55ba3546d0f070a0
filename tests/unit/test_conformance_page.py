"""The page of rules names code, tests and vectors: each of them is there."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "protocol-conformance.md").read_text()
ROWS = [
    line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith(("| rule", "| guar"))
]
TESTS = {path.name: path for path in (ROOT / "tests").rglob("test_*.py")}


@cache
def names_in(path: Path) -> frozenset[str]:
    """Return the functions, classes, methods and constants of a module, methods behind their class."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            members = {member.name for member in node.body if isinstance(member, ast.FunctionDef)}
            found |= {f"{node.name}.{name}" for name in members} | {m for m in members if m[:5] == "test_"}
        if isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return frozenset(found)


def missing(reference: str) -> bool:
    place, _, name = reference.partition("::")
    if place.startswith("vectors/"):
        return not (ROOT / "tests" / place / "expect").is_file()
    path = TESTS.get(place, ROOT / "src" / "sealroom" / place)
    return not path.is_file() or (bool(name) and name not in names_in(path))


def test_every_name_on_the_page_is_there() -> None:
    named = [found for row in ROWS for cell in row.split("|")[2:] for found in re.findall(r"`([^`]+)`", cell)]
    assert [reference for reference in named if missing(reference)] == []


def test_every_rule_has_code_and_a_test() -> None:
    for row in ROWS:
        _, rule, where, test, _ = row.split("|")
        assert rule.strip()
        assert "`" in where, row
        assert "`test_" in test or "`vectors/" in test, row


def test_every_guarantee_stands_on_the_page() -> None:
    assert re.findall(r"^\| (G[0-9]):", PAGE, re.MULTILINE) == [f"G{number}" for number in range(1, 10)]
