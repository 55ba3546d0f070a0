"""Packages in a verification: every file is of a wheel that the verifier listed itself, or it is named."""

import io
from dataclasses import replace

import evidence_world as w
import pytest

from made_wheels import make_wheel, pin
from sealroom.core.errors import MalformedError
from sealroom.core.evidence.verdict import Check, Outcome, Verdict
from sealroom.core.measurement.template import MeasuredFile
from sealroom.core.measurement.wheel import list_wheel


def check(verdict: Verdict, name: str) -> Check:
    return next(check for group in verdict.groups for check in group.parts if check.name == name)


def changed(made: w.World, path: str, digest: bytes | None) -> w.World:
    """Change one measured file of the packages in an enclave that really was started with it."""
    files = {file.path: file.sha256 for file in made.packages} | {path: digest}
    return made.but(packages=tuple(MeasuredFile(path=p, sha256=d) for p, d in files.items() if d is not None))


def refusal_of(made: w.World) -> str:
    verdict = w.appraised(made)
    assert [failed.name for failed in verdict.failures] == ["measurement.manifest"]
    return verdict.failures[0].observed


def test_packages_are_shown_with_their_versions_and_compared_file_by_file() -> None:
    verdict = w.appraised(w.world_with_packages())
    assert verdict.passed_but_simulated
    assert check(verdict, "code.packages").observed == "one 1"
    assert check(verdict, "measurement.manifest").outcome is Outcome.PASSED


def test_code_without_packages_says_none() -> None:
    assert check(w.appraised(w.world()), "code.packages").observed == "none"


def test_without_the_wheel_the_manifest_is_not_reached_and_nothing_deliverable() -> None:
    verdict = w.appraised(w.world_with_packages().but(wheels={}))
    for name in ("measurement.manifest", "code.packages"):
        assert check(verdict, name).outcome is Outcome.NOT_REACHED
        assert check(verdict, name).because == "the wheels of one 1 are not in your store"
    assert not verdict.failures
    assert not verdict.passed_but_simulated
    assert not verdict.accepted


def test_many_missing_wheels_are_counted() -> None:
    pins = tuple(replace(w.PIN, name=f"p{n}", sha256=bytes([n]) * 32) for n in range(5))
    verdict = w.appraised(w.world_with_packages(pins=pins))
    because = check(verdict, "measurement.manifest").because
    assert because == "the wheels of p0 1, p1 1, p2 1 and 2 more are not in your store"


def test_a_file_of_a_wheel_changed_by_one_byte_is_named() -> None:
    made = changed(w.world_with_packages(), "packages/one/__init__.py", bytes(32))
    assert "package file one/__init__.py has sha256 0000" in refusal_of(made)


def test_a_file_of_a_wheel_that_is_missing_is_named() -> None:
    made = changed(w.world_with_packages(), "packages/one/data.bin", None)
    assert "package file one/data.bin is missing" in refusal_of(made)


@pytest.mark.parametrize("path", ["one/evil.py", "evil.pth", "sitecustomize.py"])
def test_an_extra_file_among_the_packages_is_named(path: str) -> None:
    made = changed(w.world_with_packages(), f"packages/{path}", bytes(32))
    assert f"package file {path} is in it, and nobody agreed to it" in refusal_of(made)


def test_a_wheel_swapped_for_another_version_is_named() -> None:
    """The operator unpacked version 2 where requirements.txt, which is measured, names version 1."""
    other = list_wheel(io.BytesIO(make_wheel("one", "2", {"one/__init__.py": b"another"})))
    files = tuple(MeasuredFile(path=f"packages/{file.path}", sha256=file.sha256) for file in other.files)
    named = refusal_of(w.world_with_packages().but(packages=files))
    assert "package file one/__init__.py has sha256" in named
    assert "package file one-2.dist-info/METADATA is in it" in named


def test_another_requirements_file_than_the_measured_one_is_refused() -> None:
    other = make_wheel("one", "2")
    made = w.world_with_packages()
    verdict = w.appraised(made.but(shown={"requirements": w.requirements_of(pin(other, "one", "2"))}))
    assert [failed.name for failed in verdict.failures] == ["code.packages"]
    assert "requirements.txt: sha256" in verdict.failures[0].observed


def test_two_wheels_with_one_path_are_refused_by_both_names() -> None:
    other = make_wheel("other", "3", {"one/__init__.py": b"over it"})
    made = w.world_with_packages(w.WHEEL, other, pins=(w.PIN, pin(other, "other", "3")))
    verdict = w.appraised(made)
    assert [failed.name for failed in verdict.failures] == ["code.packages"]
    assert verdict.failures[0].observed == "packages: one 1 and other 3 both have one/__init__.py"
    assert check(verdict, "measurement.manifest").because == "code.packages failed"


def test_a_wheel_for_another_python_is_refused() -> None:
    other = make_wheel("one", "1", tag="cp312-cp312-manylinux2014_x86_64")
    verdict = w.appraised(w.world_with_packages(other, pins=(pin(other, "one", "1"),)))
    assert "the enclave has CPython 3.11 on x86_64" in verdict.failures[0].observed


def test_a_wheel_with_a_pth_file_has_no_list_to_compare_with() -> None:
    with pytest.raises(MalformedError, match=r"evil\.pth"):
        list_wheel(io.BytesIO(make_wheel("one", "1", {"evil.pth": b"import os"})))
