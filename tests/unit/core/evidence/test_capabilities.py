"""What a program could do: each value follows what is measured, and nothing else."""

import hashlib
from dataclasses import replace

import evidence_world as w
import pytest

from sealroom.core.evidence.capabilities import (
    NEEDED_CHECKS,
    Capabilities,
    CapabilityReport,
    CodePart,
    InputSource,
    appraise_capabilities,
)
from sealroom.core.evidence.expectations import Expectations
from sealroom.core.wire.code_list import CodeList
from sealroom.core.wire.input_list import InputFile, InputList
from sealroom.core.wire.terms import LogRelease

OWN = InputList(files=(InputFile(name="records.csv", size=4242, sha256=bytes(32)),))
DORA = bytes(w.DATA.verify_key)


def report(
    made: w.World,
    *,
    own_inputs: dict[bytes, InputList] | None = None,
    expected: Expectations | None = None,
    **policy: object,
) -> CapabilityReport:
    return appraise_capabilities(
        made.bundle.to_bytes(),
        policy=w.policy(**policy),
        expected=expected,
        own_inputs=own_inputs or {},
        release=w.RELEASE,
        wheels=made.wheels,
        roots=w.ROOTS,
        now=w.NOW,
    )


def capabilities(made: w.World, **how: object) -> Capabilities:
    found = report(made, **how).capabilities
    assert found is not None
    return found


def with_terms(**changes: object) -> w.World:
    return w.world(terms=replace(w.TERMS, **changes))


def with_limits(**changes: int) -> w.World:
    return with_terms(limits=replace(w.TERMS.limits, **changes))


PLAIN = w.world()
TOLD = capabilities(PLAIN)


def test_everything_that_is_measured_is_told() -> None:
    assert (
        Capabilities(
            computation=w.COMPUTATION,
            tee=w.TERMS.tee,
            code_by="carol@code.example",
            code=(
                CodePart(path="model/secret.py", size=len(w.SECRET), is_readable=False),
                CodePart(path="run.py", size=len(w.ENTRY), is_readable=True),
            ),
            entry_lines=1,
            packages=(),
            inputs=(InputSource(email="dora@hospital.example", files=None),),
            results_for=("rita@registry.example",),
            logs=LogRelease.PARTICIPANTS,
            log_readers=("carol@code.example", "dora@hospital.example", "rita@registry.example"),
            limits=w.TERMS.limits,
        )
        == TOLD
    )


@pytest.mark.parametrize(
    ("made", "changed"),
    [
        (with_terms(logs=LogRelease.NONE), {"logs", "log_readers"}),
        (with_terms(logs=LogRelease.PUBLIC), {"logs"}),
        (with_limits(max_output_bytes=7), {"limits"}),
        (with_limits(max_log_bytes=7), {"limits"}),
        (with_limits(max_seconds=7), {"limits"}),
        (with_limits(max_memory=1 << 20), {"limits"}),
        (
            w.world(code_list=CodeList.from_files((w.code_file("run.py", w.ENTRY),))),
            {"code"},
        ),
    ],
)
def test_what_is_measured_otherwise_is_told_otherwise(made: w.World, changed: set[str]) -> None:
    found = capabilities(made)
    differing = {name for name in Capabilities.__slots__ if getattr(found, name) != getattr(TOLD, name)}
    assert differing == changed
    value, plain = found.to_value(), TOLD.to_value()
    assert value != plain


def test_without_a_consumer_or_a_provider_nobody_is_named() -> None:
    terms = replace(w.TERMS, data_providers=(), result_consumers=())
    found = capabilities(w.world(terms=terms, people=w.participants()[:1]))
    assert (found.inputs, found.results_for) == ((), ())
    assert found.log_readers == ("carol@code.example",)


def test_another_entry_point_has_another_length() -> None:
    entry = b"one = 1\ntwo = 2\nprint(one)"
    files = CodeList.from_files((w.code_file("run.py", entry),))
    found = capabilities(w.world(code_list=files, shown={"entry_point": entry}))
    assert found.entry_lines == 3


def test_ones_own_inputs_come_from_ones_own_journal() -> None:
    found = capabilities(PLAIN, own_inputs={DORA: OWN})
    assert found.inputs == (InputSource(email="dora@hospital.example", files=OWN.files),)
    # Of somebody with another key nothing is taken.
    assert capabilities(PLAIN, own_inputs={bytes(32): OWN}).inputs == TOLD.inputs


@pytest.mark.parametrize(
    ("shown", "because"),
    [
        # What a server can say beside what was measured, budgets and names among it.
        ({"arguments": with_limits(max_output_bytes=1).arguments.to_bytes()}, "measurement.arguments"),
        (
            {"code_list": CodeList.from_files((w.code_file("run.py", w.ENTRY),))},
            "measurement.code-list",
        ),
        ({"entry_point": b"print('harmless')\n"}, "code.entry-point"),
        ({"requirements": b"numpy==2.0.0 --hash=sha256:" + b"0" * 64 + b"\n"}, "code.packages"),
        ({"manifest": PLAIN.built_manifest + b"\n"}, "measurement.mrenclave"),
    ],
)
def test_a_server_that_says_otherwise_changes_nothing_and_gets_no_report(
    shown: dict[str, object], because: str
) -> None:
    found = report(w.world(shown=shown))
    assert found.capabilities is None
    assert found.because == because


def test_a_manifest_that_allows_more_than_the_releases_has_no_report() -> None:
    manifest = PLAIN.built_manifest.replace(b'"file:spool/"', b'"file:spool/", "file:/"')
    assert manifest != PLAIN.built_manifest
    found = report(w.world(manifest=manifest))
    assert (found.capabilities, found.because) == (None, "measurement.manifest")


def test_each_needed_check_is_one_of_the_verdicts() -> None:
    names = {check.name for check in report(PLAIN).verdict.checks}
    assert set(NEEDED_CHECKS) <= names


def test_a_refusal_for_another_reason_still_tells_what_was_measured() -> None:
    found = report(PLAIN, logs=frozenset({LogRelease.NONE}))
    assert [check.name for check in found.verdict.failures] == ["contract.logs"]
    assert found.capabilities == TOLD


def test_the_digests_of_the_code_are_not_what_is_told_but_its_files() -> None:
    assert hashlib.sha256(w.ENTRY).hexdigest() not in str(TOLD.to_value())


def test_packages_are_reported_by_name_version_and_wheel() -> None:
    assert capabilities(w.world_with_packages()).packages == (w.PIN,)


def test_packages_whose_files_nobody_here_listed_leave_open_what_would_run() -> None:
    found = report(w.world_with_packages().but(wheels={}))
    assert (found.capabilities, found.because) == (None, "code.packages")
