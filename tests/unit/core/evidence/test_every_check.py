"""Every check of a verification has a case that only it refuses."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import evidence_world as w
import pytest
from evidence_changes import (
    AVX_RULE,
    OTHER,
    OTHER_CONTACT,
    OTHER_OWN,
    by,
    expecting,
    flipped,
    of_an_old_platform,
    of_another_issuer,
    of_another_kind_of_platform,
    of_another_qe,
    quote_section,
    with_a_wheel_of_another_version,
    with_collateral,
    with_hidden_requirements,
    with_manifest,
    with_quote,
    with_report,
    with_requirements,
    with_terms,
    with_the_older_form,
    with_wish,
)

from sealroom.core.attestation.quote import TeeType
from sealroom.core.attestation.tcb_status import TcbStatus
from sealroom.core.evidence.catalogue import GROUPS
from sealroom.core.evidence.expectations import OwnRole
from sealroom.core.evidence.policy import SignerRule
from sealroom.core.evidence.verdict import Blame, Verdict
from sealroom.core.wire.code_list import CodeList
from sealroom.core.wire.participants import Role
from sealroom.core.wire.terms import LogRelease
from sealroom.insecure.collateral import Wish

# (check, who is to blame, the case that only it refuses)
CASES: list[tuple[str, Blame, Callable[[], Verdict]]] = [
    ("quote.form", Blame.MALFORMED, lambda: with_quote(lambda quote: quote[:-1])),
    ("quote.trailing", Blame.EVIDENCE, lambda: with_quote(lambda quote: quote + b"\0")),
    ("quote.chain", Blame.EVIDENCE, lambda: w.appraised(w.world(), now=w.NOW + timedelta(days=9 * 365))),
    ("quote.root", Blame.EVIDENCE, lambda: w.appraised(w.world(), roots=(b"\x04" + bytes(64),))),
    (
        "quote.qe-signature",
        Blame.EVIDENCE,
        lambda: with_quote(lambda quote: flipped(quote, quote_section(quote, 512 + 5))),
    ),
    (
        "quote.attestation-key",
        Blame.EVIDENCE,
        lambda: with_quote(lambda quote: flipped(quote, quote_section(quote, 578 + 5))),
    ),
    ("quote.signature", Blame.EVIDENCE, lambda: with_quote(lambda quote: flipped(quote, 432 + 4 + 5))),
    ("platform.collateral", Blame.COLLATERAL, lambda: w.appraised(w.world(shown={"collateral": None}))),
    ("platform.collateral", Blame.MALFORMED, lambda: with_collateral(pck_crl="zz")),
    ("platform.root-crl", Blame.EVIDENCE, lambda: of_another_issuer(root_ca_crl="")),
    ("platform.pck-crl", Blame.EVIDENCE, lambda: of_another_issuer(pck_crl="")),
    ("platform.tcb-info", Blame.EVIDENCE, lambda: of_another_issuer(tcb_info_signature="")),
    ("platform.qe-identity", Blame.EVIDENCE, lambda: of_another_issuer(qe_identity_signature="")),
    (
        "platform.revocation",
        Blame.EVIDENCE,
        lambda: with_wish(revoked=(w.pki().pck.certificate,)),
    ),
    ("platform.match", Blame.EVIDENCE, of_another_kind_of_platform),
    ("platform.quoting-enclave", Blame.EVIDENCE, of_another_qe),
    ("platform.tcb", Blame.EVIDENCE, of_an_old_platform),
    ("platform.status", Blame.POLICY, lambda: with_wish(status=TcbStatus.OUT_OF_DATE)),
    ("platform.status", Blame.EVIDENCE, lambda: with_wish(status=TcbStatus.REVOKED)),
    (
        "platform.advisories",
        Blame.POLICY,
        lambda: w.appraised(
            w.world(wish=Wish(status=TcbStatus.SW_HARDENING_NEEDED)),
            by=w.policy(advisories=frozenset({"INTEL-SA-00001"})),
        ),
    ),
    ("platform.evaluation-number", Blame.POLICY, lambda: by(min_evaluation_number=2)),
    (
        "platform.collateral-age",
        Blame.POLICY,
        lambda: w.appraised(
            w.world(), by=w.policy(max_collateral_age=timedelta(days=7)), now=w.NOW + timedelta(days=8)
        ),
    ),
    ("platform.known", Blame.POLICY, lambda: by(platforms=frozenset({bytes(16)}))),
    ("enclave.tee", Blame.POLICY, lambda: by(tee=frozenset({TeeType.TDX}))),
    ("enclave.debug", Blame.EVIDENCE, lambda: with_report(flags=0x7)),
    ("enclave.attributes", Blame.POLICY, lambda: with_report(xfrm=0x3 | 0x200)),
    ("enclave.attributes", Blame.POLICY, lambda: by(attributes=AVX_RULE)),
    ("enclave.config", Blame.EVIDENCE, lambda: with_report(config_svn=1)),
    ("enclave.config", Blame.EVIDENCE, lambda: with_report(isv_family_id=bytes([1]) * 16)),
    (
        "measurement.pal",
        Blame.EVIDENCE,
        lambda: w.appraised(w.world(pal_bytes=flipped(w.world().pal_bytes, 0x140))),
    ),
    ("measurement.mrenclave", Blame.EVIDENCE, lambda: with_report(mrenclave=bytes(32))),
    ("measurement.mrenclave", Blame.MALFORMED, lambda: w.appraised(w.world(shown={"manifest": b"]"}))),
    (
        "measurement.mrenclave",
        Blame.EVIDENCE,
        lambda: with_manifest(b"max_threads = 16", b"max_threads = 17"),
    ),
    ("measurement.policy", Blame.POLICY, lambda: by(measurement=frozenset({bytes(32)}))),
    (
        "measurement.policy",
        Blame.POLICY,
        lambda: by(measurement=SignerRule(mrsigner=bytes(32), product=0, min_svn=0)),
    ),
    (
        "measurement.arguments",
        Blame.EVIDENCE,
        lambda: w.appraised(
            w.world(shown={"arguments": replace(w.world().arguments, launch=bytes([1]) * 16).to_bytes()})
        ),
    ),
    (
        "measurement.code-list",
        Blame.EVIDENCE,
        lambda: w.appraised(
            w.world(shown={"code_list": CodeList.from_files((w.code_file("run.py", w.ENTRY),))})
        ),
    ),
    ("measurement.release", Blame.EVIDENCE, lambda: w.appraised(w.world(shown={"release": "0.2.0"}))),
    ("measurement.manifest", Blame.EVIDENCE, lambda: with_manifest(b'LANG = "C.UTF-8"', b'LANG = "C"')),
    (
        "contract.computation",
        Blame.EVIDENCE,
        lambda: expecting(computation=UUID("1b0e7d3c-6a4f-4d55-9c1e-2f8f3c1d9a10")),
    ),
    ("contract.terms", Blame.EVIDENCE, lambda: expecting(terms_prefix=bytes(16))),
    ("contract.delivery", Blame.POLICY, with_the_older_form),
    ("contract.logs", Blame.POLICY, lambda: with_terms(logs=LogRelease.PUBLIC)),
    ("contract.own-roles", Blame.EVIDENCE, lambda: expecting(own_roles=OTHER_OWN)),
    (
        "contract.own-roles",
        Blame.EVIDENCE,
        lambda: expecting(own_roles=(replace(OTHER_OWN[0], role=Role.RESULT_CONSUMER),)),
    ),
    (
        "contract.own-roles",
        Blame.EVIDENCE,
        lambda: expecting(
            own_roles=(
                OwnRole(
                    role=Role.RESULT_CONSUMER,
                    email="dora@hospital.example",
                    public_key=bytes(w.DATA.verify_key),
                ),
            )
        ),
    ),
    ("contract.participants", Blame.EVIDENCE, lambda: expecting(contacts=OTHER_CONTACT)),
    (
        "contract.participants",
        Blame.POLICY,
        lambda: by(require_pinned=frozenset({Role.RESULT_CONSUMER})),
    ),
    ("code.signature", Blame.EVIDENCE, lambda: w.appraised(w.world(signer=OTHER))),
    ("code.signature", Blame.EVIDENCE, lambda: w.appraised(w.world(shown={"code_signature": None}))),
    ("code.entry-point", Blame.EVIDENCE, lambda: w.appraised(w.world(shown={"entry_point": b"pass\n"}))),
    ("code.packages", Blame.MALFORMED, lambda: with_requirements(b"numpy==2.4.0 --hash=sha256:00\n")),
    ("code.packages", Blame.EVIDENCE, with_a_wheel_of_another_version),
    ("code.packages", Blame.EVIDENCE, lambda: w.appraised(w.world(shown={"requirements": b""}))),
    ("code.packages", Blame.EVIDENCE, with_hidden_requirements),
    ("code.packages", Blame.EVIDENCE, lambda: w.appraised(w.world(packages_digest=bytes([1]) * 32))),
    ("code.expected", Blame.EVIDENCE, lambda: expecting(code_digest=bytes(32))),
    ("keys.report-data", Blame.EVIDENCE, lambda: with_report(report_data=bytes(64))),
    ("keys.report-data", Blame.EVIDENCE, lambda: w.appraised(w.world(shown={"identity_pk": bytes(32)}))),
]


@pytest.mark.parametrize(
    ("name", "blame", "case"), CASES, ids=[f"{n}-{i}" for i, (n, _, _) in enumerate(CASES)]
)
def test_refused_by_this_check_alone(name: str, blame: Blame, case: Callable[[], Verdict]) -> None:
    verdict = case()
    failed = [check.name for check in verdict.failures]
    whole = [failure for failure in failed if failure == name or failure.startswith(f"{name}.")]
    assert whole, f"{name} did not fail; failed: {failed}"
    assert failed == whole
    assert verdict.failures[0].blame is blame
    assert not verdict.accepted
    assert not verdict.passed_but_simulated


def test_every_check_has_a_case() -> None:
    # These three follow from the root: their cases need a pinned one, see test_verify_evidence.
    every = {check.name for group in GROUPS for check in group.checks}
    assert every - {name for name, _, _ in CASES} == {"quote.vendor", "contract.tee", "measurement.runtime"}
