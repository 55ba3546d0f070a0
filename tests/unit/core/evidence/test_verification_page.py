"""The page that the verdicts point at has the sections that they name."""

from pathlib import Path

from sealroom.core.evidence.catalogue import GROUPS

_PAGE = Path(__file__).parents[4] / "docs" / "spec" / "verification.md"


def test_every_check_stands_on_the_page_under_its_number() -> None:
    page = _PAGE.read_text()
    for chapter, group in enumerate(GROUPS, 1):
        assert f"## {chapter}. {group.title}\n" in page
        for section, check in enumerate(group.checks, 1):
            row = f"| {chapter}.{section} | {check.title} (`{check.name}`) | {check.required} |"
            assert row in page
