"""docs/services.md: the policy that it shows is one, and its Python names what is there."""

import ast
import re
from dataclasses import replace
from pathlib import Path

import sealroom.client
from sealroom.client import load_policy
from sealroom.core.evidence.policy import Policy
from sealroom.core.evidence.service_catalogue import SERVICE
from sealroom.core.wire.terms import LogRelease

PAGE = (Path(__file__).parents[2] / "docs" / "services.md").read_text()


def test_the_policy_for_a_service_with_logs_is_up_to_date_and_one_more_word() -> None:
    (shown,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    ready = load_policy("up-to-date")
    expected = replace(ready, name="up-to-date-with-logs", logs=ready.logs | {LogRelease.PUBLIC})
    assert Policy.from_toml(shown.encode()) == expected


def test_who_is_refused_for_a_services_logs_is_told_of_the_policy_on_this_page() -> None:
    (check,) = [each for each in SERVICE.checks if each.name == "service.logs"]
    assert '"public"' in check.remedy
    assert "docs/services.md" in check.remedy


def test_all_that_callers_import_is_public() -> None:
    shown = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    imported = [
        alias.name
        for each in shown
        for node in ast.walk(ast.parse(each))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sealroom")
        for alias in node.names
    ]
    assert "open_session" in imported
    assert set(imported) <= set(sealroom.client.__all__)
