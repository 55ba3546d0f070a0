"""Who gets which type, and who gets an error."""

import ast
import hashlib
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path

import evidence_world as w
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealroom.core.attestation import roots
from sealroom.core.errors import CollateralError, MalformedError, VerificationError
from sealroom.core.evidence.verdict import Outcome, RefusedEvidenceError, UnusableCollateralError
from sealroom.core.evidence.verify import (
    appraise,
    insecure_verify_simulated_evidence,
    verify_evidence,
)
from sealroom.core.measurement.mrenclave import measure
from sealroom.core.measurement.release import Release
from sealroom.core.measurement.template import MeasuredFile
from sealroom.core.wire.enclave import SimulatedEnclave, VerifiedEnclave
from sealroom.core.wire.terms import Tee
from sealroom.insecure import quoting

_SOURCES = Path(__file__).parents[4] / "src"


def _verify(function, made: w.World, **changes):
    arguments = {
        "policy": w.policy(),
        "expected": w.expectations(),
        "release": w.RELEASE,
        "wheels": {},
        "roots": w.ROOTS,
        "now": w.NOW,
    }
    return function(made.bundle.to_bytes(), **(arguments | changes))


def test_simulated_evidence_gives_a_simulated_enclave() -> None:
    made = w.world()
    raw = made.bundle.to_bytes()
    enclave = insecure_verify_simulated_evidence(
        raw,
        policy=w.policy(),
        expected=w.expectations(),
        release=w.RELEASE,
        wheels={},
        roots=w.ROOTS,
        now=w.NOW,
    )
    assert type(enclave) is SimulatedEnclave
    assert enclave == SimulatedEnclave(
        arguments=made.arguments,
        mrenclave=measure(made.built_manifest, made.pal_bytes).mrenclave,
        identity_pk=w.IDENTITY_PK,
        box_pk=w.BOX_PK,
        verified_at=w.NOW,
        policy_name="up-to-date",
        tcb_status="UpToDate",
        advisories=(),
        bundle_sha256=hashlib.sha256(raw).digest(),
    )


def test_verify_evidence_refuses_a_simulated_enclave_that_is_otherwise_fine() -> None:
    with pytest.raises(RefusedEvidenceError, match="simulated") as caught:
        _verify(verify_evidence, w.world())
    assert caught.value.verdict.passed_but_simulated


def test_simulated_enclave_with_any_fault_is_refused_with_its_verdict() -> None:
    with pytest.raises(RefusedEvidenceError, match=r"contract\.terms") as caught:
        _verify(
            insecure_verify_simulated_evidence,
            w.world(),
            expected=w.expectations(terms_prefix=bytes(16)),
        )
    assert isinstance(caught.value, VerificationError)
    assert caught.value.verdict.failures


def test_stale_collateral_is_a_collateral_error() -> None:
    with pytest.raises(UnusableCollateralError) as caught:
        _verify(insecure_verify_simulated_evidence, w.world(), now=w.NOW + timedelta(days=40))
    assert isinstance(caught.value, CollateralError)


def test_stale_collateral_and_a_forged_contract_is_a_refusal() -> None:
    with pytest.raises(RefusedEvidenceError):
        _verify(
            insecure_verify_simulated_evidence,
            w.world(),
            now=w.NOW + timedelta(days=40),
            expected=w.expectations(terms_prefix=bytes(16)),
        )


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch) -> w.World:
    """A platform that is real in every respect: its root stands where Intel's key is pinned."""
    pinned = w.pki().root.point
    monkeypatch.setattr(roots, "INTEL_SGX_ROOT_KEY", pinned)
    monkeypatch.setattr(quoting, "SIMULATION_QE_VENDOR_ID", roots.INTEL_QE_VENDOR_ID)
    pal = replace(w.PAL, tee=Tee.SGX)
    release = replace(w.RELEASE, pals=(pal,), sgx_runtime=w.bill(w.RUNTIME))
    return w.world(terms=replace(w.TERMS, tee=Tee.SGX), release=release, pal=pal)


def _real(made: w.World, function, **changes):
    arguments = {
        "expected": w.expectations(terms_prefix=made.terms.digest[:16]),
        "release": made.release,
        "wheels": made.wheels,
        "roots": (roots.INTEL_SGX_ROOT_KEY,),
    }
    return _verify(function, made, **(arguments | changes))


def test_evidence_under_the_pinned_root_gives_a_verified_enclave(real: w.World) -> None:
    enclave = _real(real, verify_evidence)
    assert type(enclave) is VerifiedEnclave
    assert (enclave.identity_pk, enclave.box_pk) == (w.IDENTITY_PK, w.BOX_PK)
    assert enclave.arguments == real.arguments
    assert not isinstance(enclave, SimulatedEnclave)


def test_real_enclave_is_not_taken_for_a_simulated_one(real: w.World) -> None:
    with pytest.raises(RefusedEvidenceError):
        _real(real, insecure_verify_simulated_evidence)


def test_real_enclave_is_refused_where_its_root_is_not_among_the_accepted(real: w.World) -> None:
    with pytest.raises(RefusedEvidenceError, match=r"quote\.root"):
        _real(real, verify_evidence, roots=())


def test_real_enclave_that_calls_itself_simulated_is_refused_for_that(real: w.World) -> None:
    terms = replace(real.terms, tee=Tee.SIMULATED)
    made = real.but(terms=terms, pal=w.PAL, release=w.RELEASE)
    with pytest.raises(RefusedEvidenceError) as caught:
        _real(made, verify_evidence)
    assert [check.name for check in caught.value.verdict.failures] == ["contract.tee"]


def test_simulated_vendor_under_the_pinned_root_is_refused_for_that(
    real: w.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quoting, "SIMULATION_QE_VENDOR_ID", roots.SIMULATION_QE_VENDOR_ID)
    with pytest.raises(RefusedEvidenceError) as caught:
        _real(real, verify_evidence)
    assert [check.name for check in caught.value.verdict.failures] == ["quote.vendor"]


def test_another_runtime_in_a_real_enclave_is_refused_for_that(real: w.World) -> None:
    made = real.but(runtime=w.RUNTIME[::2])
    said = r"runtime/lib/python3\.11/os\.py of python3\.11 3\.11\.2 is missing"
    with pytest.raises(RefusedEvidenceError, match=said) as caught:
        _real(made, verify_evidence)
    assert [check.name for check in caught.value.verdict.failures] == ["measurement.runtime"]


def test_a_library_of_gramine_that_the_bill_lacks_is_refused_for_that(real: w.World) -> None:
    library = MeasuredFile(path="gramine/lib/libc.so.6", sha256=bytes(32))
    made = real.but(runtime=(*w.RUNTIME, library))
    with pytest.raises(RefusedEvidenceError, match=r"gramine/lib/libc\.so\.6 is in it") as caught:
        _real(made, verify_evidence)
    assert [check.name for check in caught.value.verdict.failures] == ["measurement.runtime"]
    known = replace(real.release, sgx_runtime=w.bill((library, *w.RUNTIME)))
    assert type(_real(made, verify_evidence, release=known)) is VerifiedEnclave


def test_a_simulated_enclave_has_no_libraries_of_gramine() -> None:
    library = MeasuredFile(path="gramine/lib/libc.so.6", sha256=bytes(32))
    verdict = w.appraised(w.world(runtime=(*w.RUNTIME, library)))
    assert [check.name for check in verdict.failures] == ["measurement.manifest"]


def test_without_a_known_pal_nothing_about_the_runtime_is_said(real: w.World) -> None:
    with pytest.raises(RefusedEvidenceError) as caught:
        _real(real, verify_evidence, release=replace(real.release, pals=()))
    checks = {check.name: check for check in caught.value.verdict.checks}
    for name in ("measurement.manifest", "measurement.runtime"):
        assert (checks[name].outcome, checks[name].because) == (Outcome.NOT_REACHED, "measurement.pal failed")


def test_without_a_bill_of_materials_a_real_enclave_is_not_accepted(real: w.World) -> None:
    release: Release = replace(real.release, sgx_runtime=None)
    with pytest.raises(RefusedEvidenceError, match=r"measurement\.runtime: not reached"):
        _real(real, verify_evidence, release=release)


def test_enclaves_are_made_in_one_place_only() -> None:
    names = {"VerifiedEnclave", "SimulatedEnclave"}
    places = {
        path.relative_to(_SOURCES).as_posix()
        for path in _SOURCES.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and names & {getattr(node.func, "id", ""), getattr(node.func, "attr", "")}
    }
    assert places == {"sealroom/core/evidence/verify.py"}


def test_moment_without_a_time_zone_is_our_own_misuse() -> None:
    with pytest.raises(ValueError, match="time zone"):
        _verify(verify_evidence, w.world(), now=w.NOW.replace(tzinfo=None))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_changed_bundle_is_malformed_or_gets_a_verdict(data: st.DataObject) -> None:
    raw = bytearray(_honest())
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(32, 126))
    # Hexadecimal of either case is one value in collateral as published.
    if raw.lower() == _honest().lower():
        return
    try:
        verdict = appraise(
            bytes(raw),
            policy=w.policy(),
            expected=w.expectations(),
            release=w.RELEASE,
            wheels={},
            roots=w.ROOTS,
            now=w.NOW,
        )
    except MalformedError:
        return
    assert not verdict.accepted
    assert not verdict.passed_but_simulated


@cache
def _honest() -> bytes:
    return w.world().bundle.to_bytes()
