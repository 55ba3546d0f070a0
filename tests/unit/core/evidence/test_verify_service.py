"""Evidence of services: every check has a case that only it refuses, and nobody else makes the types."""

import ast
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from uuid import UUID

import evidence_world as w
import pytest
import service_evidence_world as s

from sealroom.core.attestation.tcb_status import TcbStatus
from sealroom.core.errors import MalformedError
from sealroom.core.evidence.policy import SignerRule, Word
from sealroom.core.evidence.service import insecure_verify_simulated_service, verify_service
from sealroom.core.evidence.service_catalogue import SERVICE_GROUPS
from sealroom.core.evidence.verdict import Blame, Outcome, RefusedEvidenceError, Verdict
from sealroom.core.measurement.service_config import ServiceConfig
from sealroom.core.wire.code_list import ServiceCode
from sealroom.core.wire.service_arguments import CertificateMode, Connections, Interface, ServiceLogs
from sealroom.core.wire.terms import LogRelease, Tee
from sealroom.core.wire.verified_service import SimulatedService, VerifiedService

ROOT = Path(__file__).parents[4]
NAMES = [check.name for group in SERVICE_GROUPS for check in group.checks]
OTHER_CODE = ServiceCode.from_files((w.code_file("src/app.py", b"another application"),))
SGX_PAL = replace(w.PAL, tee=Tee.SGX)
MRENCLAVE = s.ServiceWorld().mrenclave


def shown(**parts: object) -> Verdict:
    return s.judged(s.ServiceWorld(shown=parts))


def with_config(old: str, new: str) -> Verdict:
    text = (
        'name = "scores"\npython_application = "app:app"\nhealthcheck_endpoint = "/health"\n'
        'interface = "asgi"\nconnect = "none"\n'
    )
    return s.judged(
        s.ServiceWorld(),
        expected=s.expectations(config=ServiceConfig.from_toml(text.replace(old, new).encode())),
    )


def expecting(**wanted: object) -> Verdict:
    return s.judged(s.ServiceWorld(), expected=s.expectations(**wanted))


def reported(**fields: object) -> Verdict:
    return s.judged(s.ServiceWorld(report=fields))


def of_a_manifest_with_one_more_file() -> Verdict:
    manifest = s.ServiceWorld().built_manifest
    line = b'"file:spool/"'
    assert line in manifest
    return s.judged(s.ServiceWorld(manifest=manifest.replace(line, line + b',"file:door/"', 1)))


def of_other_arguments_shown() -> Verdict:
    """The operator shows friendlier arguments than those that were measured."""
    return shown(arguments=replace(s.ARGUMENTS, spawn=b"x" * 16).to_bytes())


# (check, who is to blame, the case that only it refuses)
CASES: list[tuple[str, Blame, Callable[[], Verdict]]] = [
    ("certificate.form", Blame.MALFORMED, lambda: shown(certificate=s.pem(b"\x30\x00"))),
    ("certificate.form", Blame.MALFORMED, lambda: shown(certificate=s.pem(s.ServiceWorld().certificate) * 2)),
    ("certificate.signature", Blame.EVIDENCE, lambda: s.judged(s.ServiceWorld(signing_key=1))),
    ("certificate.dates", Blame.EVIDENCE, lambda: s.judged(s.ServiceWorld(not_after_days=-1))),
    ("quote.root", Blame.EVIDENCE, lambda: s.judged(s.ServiceWorld(), roots=(b"\x04" + bytes(64),))),
    ("platform.collateral", Blame.COLLATERAL, lambda: shown(collateral=None)),
    (
        "platform.status",
        Blame.POLICY,
        lambda: s.judged(s.ServiceWorld(), given=s.collateral(status=TcbStatus.OUT_OF_DATE)),
    ),
    ("enclave.debug", Blame.EVIDENCE, lambda: reported(flags=0x7)),
    ("enclave.config", Blame.EVIDENCE, lambda: reported(config_svn=1)),
    (
        "measurement.pal",
        Blame.EVIDENCE,
        lambda: s.judged(s.ServiceWorld(), release=replace(w.RELEASE, pals=())),
    ),
    (
        "measurement.mrenclave",
        Blame.EVIDENCE,
        lambda: reported(mrenclave=bytes(32)),
    ),
    ("measurement.mrenclave", Blame.EVIDENCE, lambda: shown(manifest=w.world().built_manifest)),
    (
        "measurement.policy",
        Blame.POLICY,
        lambda: s.judged(s.ServiceWorld(), by=w.policy(measurement=frozenset({bytes(32)}))),
    ),
    ("measurement.arguments", Blame.EVIDENCE, of_other_arguments_shown),
    ("measurement.code-list", Blame.EVIDENCE, lambda: shown(code_list=OTHER_CODE)),
    ("measurement.release", Blame.EVIDENCE, lambda: shown(release="0.0.9")),
    ("code.packages", Blame.EVIDENCE, lambda: s.judged(s.spawned(packages_digest=b"p" * 32))),
    ("measurement.manifest", Blame.EVIDENCE, of_a_manifest_with_one_more_file),
    (
        "service.tee",
        Blame.EVIDENCE,
        lambda: s.judged(
            s.ServiceWorld(arguments=replace(s.ARGUMENTS, tee=Tee.SGX), pal=SGX_PAL),
            release=replace(w.RELEASE, pals=(SGX_PAL,), sgx_runtime=w.bill(w.RUNTIME)),
        ),
    ),
    (
        "service.id",
        Blame.EVIDENCE,
        lambda: s.judged(s.ServiceWorld(), expected=s.expectations(service=UUID(int=1, version=4))),
    ),
    (
        "service.code",
        Blame.EVIDENCE,
        lambda: expecting(code=OTHER_CODE),
    ),
    ("service.configuration", Blame.EVIDENCE, lambda: with_config("scores", "scorer")),
    ("service.configuration", Blame.EVIDENCE, lambda: with_config("app:app", "app:debug")),
    ("service.configuration", Blame.EVIDENCE, lambda: with_config("asgi", "wsgi")),
    ("service.configuration", Blame.EVIDENCE, lambda: with_config("/health", "/other")),
    ("service.configuration", Blame.EVIDENCE, lambda: s.judged(s.spawned(connect=Connections.ANY))),
    (
        "service.host",
        Blame.EVIDENCE,
        lambda: expecting(host="other.example"),
    ),
    ("service.logs", Blame.POLICY, lambda: s.judged(s.spawned(logs=ServiceLogs.OPERATOR))),
    ("service.certificate", Blame.POLICY, lambda: s.judged(s.spawned(certificate=CertificateMode.PLAIN))),
    ("key.binding", Blame.EVIDENCE, lambda: s.judged(s.ServiceWorld(quoted_key=1))),
]


def test_a_simulated_service_passes_everything_but_intels_root_and_the_runtime() -> None:
    verdict = s.judged(s.ServiceWorld())
    assert verdict.passed_but_simulated, [check for check in verdict.failures]
    assert [check.name for check in verdict.checks] == NAMES
    left = [check.name for check in verdict.checks if check.outcome is not Outcome.PASSED]
    assert left == ["quote.root", "measurement.runtime"]


@pytest.mark.parametrize(("name", "blame", "case"), CASES)
def test_one_wrong_thing_fails_its_own_check(name: str, blame: Blame, case: Callable[[], Verdict]) -> None:
    verdict = case()
    assert not verdict.passed_but_simulated
    assert [(check.name, check.blame) for check in verdict.failures] == [(name, blame)]


def test_evidence_is_never_verified_but_by_its_simulated_name() -> None:
    made = s.ServiceWorld()
    asked = {
        "collateral": None,
        "policy": w.policy(),
        "expected": s.expectations(),
        "release": w.RELEASE,
        "wheels": {},
        "roots": w.ROOTS,
        "now": w.NOW,
    }
    raw = made.evidence.to_bytes()
    with pytest.raises(RefusedEvidenceError, match="simulated"):
        verify_service(raw, **asked)
    found = insecure_verify_simulated_service(raw, **asked)
    assert (found.arguments, found.mrenclave, found.box_pk) == (s.ARGUMENTS, made.mrenclave, s.BOX_PK)
    assert found.evidence_sha256 == s.sha256(raw)
    assert not isinstance(found, VerifiedService)
    with pytest.raises(RefusedEvidenceError):
        insecure_verify_simulated_service(raw, **{**asked, "expected": s.expectations(code=OTHER_CODE)})
    with pytest.raises(MalformedError):
        insecure_verify_simulated_service(raw[:-1], **asked)


def test_own_collateral_is_judged_in_place_of_the_operators() -> None:
    old = s.ServiceWorld(shown={"collateral": s.collateral(status=TcbStatus.OUT_OF_DATE)})
    assert [check.name for check in s.judged(old).failures] == ["platform.status"]
    assert s.judged(old, given=s.collateral()).passed_but_simulated


def test_without_an_id_or_a_host_any_is_taken_and_the_verdict_says_so() -> None:
    verdict = s.judged(s.ServiceWorld(), expected=s.expectations(service=None, host=None))
    assert verdict.passed_but_simulated
    assert next(c for c in verdict.checks if c.name == "service.id").observed.endswith("and you named none")


def test_what_a_policy_or_a_wish_accepts_by_name_is_accepted() -> None:
    public = w.policy(logs=frozenset({LogRelease.PUBLIC}))
    assert s.judged(s.spawned(logs=ServiceLogs.OPERATOR), by=public).passed_but_simulated
    anybody = w.policy(logs=Word.ANY)
    assert s.judged(s.spawned(logs=ServiceLogs.OPERATOR), by=anybody).passed_but_simulated
    plain = s.expectations(insecure_accept_plain=True)
    verdict = s.judged(s.spawned(certificate=CertificateMode.PLAIN), expected=plain)
    assert verdict.passed_but_simulated
    assert "a proxy" in next(c for c in verdict.checks if c.name == "service.certificate").observed


def test_a_signers_rule_is_compared_with_the_quote_and_recomputing_goes_on() -> None:
    signer = b"s" * 32
    rule = SignerRule(mrsigner=signer, product=3, min_svn=2)
    signed = {"mrsigner": signer, "isv_prod_id": 3, "isv_svn": 2}
    by = w.policy(measurement=rule)
    assert s.judged(s.ServiceWorld(report=signed), by=by).passed_but_simulated
    for change in ({"mrsigner": bytes(32)}, {"isv_prod_id": 4}, {"isv_svn": 1}):
        failures = s.judged(s.ServiceWorld(report={**signed, **change}), by=by).failures
        assert [check.name for check in failures] == ["measurement.policy"]
    other = s.judged(s.ServiceWorld(report={**signed, "mrenclave": bytes(32)}), by=by)
    assert [check.name for check in other.failures] == ["measurement.mrenclave"]


def test_a_listed_enclave_is_one_that_was_recomputed() -> None:
    by = w.policy(measurement=frozenset({MRENCLAVE}))
    assert s.judged(s.ServiceWorld(), by=by).passed_but_simulated


def test_the_interface_must_be_in_the_package_to_be_compared() -> None:
    config = replace(s.CONFIG, interface=None)
    verdict = s.judged(s.ServiceWorld(), expected=s.expectations(config=config))
    assert [check.name for check in verdict.failures] == ["service.configuration"]
    assert s.ARGUMENTS.interface is Interface.ASGI


def test_the_two_types_share_no_base_and_have_the_same_members() -> None:
    assert [f.name for f in fields(VerifiedService)] == [f.name for f in fields(SimulatedService)]
    assert VerifiedService.__mro__[1:] == SimulatedService.__mro__[1:] == (object,)


def test_only_the_verification_makes_a_verified_service() -> None:
    makers = set()
    for file in sorted((ROOT / "src").rglob("*.py")):
        source = file.read_text()
        # Most files name neither, and parsing them all takes seconds.
        tree = ast.parse(source if "Service(" in source else "")
        for node in ast.walk(tree):
            called = node.func if isinstance(node, ast.Call) else None
            if isinstance(called, ast.Name) and called.id in ("VerifiedService", "SimulatedService"):
                makers.add(file.relative_to(ROOT / "src").as_posix())
    assert makers == {"sealroom/core/evidence/service.py"}


def test_every_check_stands_on_the_page_under_its_number() -> None:
    page = (ROOT / "docs/spec/services.md").read_text()
    for chapter, group in enumerate(SERVICE_GROUPS, 1):
        assert f"### {chapter}. {group.title}\n" in page
        for section, check in enumerate(group.checks, 1):
            assert f"| {chapter}.{section} | {check.title} (`{check.name}`) | {check.required} |" in page
