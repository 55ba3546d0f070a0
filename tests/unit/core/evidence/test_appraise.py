"""Every check of a verification has a case that only it refuses."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import evidence_world as w
import pytest
from nacl.signing import SigningKey

from sealroom.core.attestation.quote import TeeType
from sealroom.core.attestation.quote_checks import AttributeRule
from sealroom.core.attestation.roots import INTEL_QE_VENDOR_ID
from sealroom.core.attestation.tcb_status import TcbStatus
from sealroom.core.evidence.catalogue import GROUPS
from sealroom.core.evidence.expectations import Contact, OwnRole
from sealroom.core.evidence.policy import SignerRule
from sealroom.core.evidence.verdict import Blame, Decision, Outcome, Verdict
from sealroom.core.measurement.template import MeasuredFile
from sealroom.core.wire.bundle import RawCollateral
from sealroom.core.wire.code_list import CodeList
from sealroom.core.wire.participants import Role
from sealroom.core.wire.terms import DeliveryForm, LogRelease, Tee
from sealroom.insecure.collateral import Wish, make_collateral
from sealroom.insecure.pck_extension import PlatformTcb
from sealroom.insecure.pki import SimulationPki
from sealroom.insecure.quoting import QE_BODY, QuotingEnclave, ReportBody

_ALL = {check.name for group in GROUPS for check in group.checks}
_NEVER_PASSED_SIMULATED = {"quote.root", "measurement.runtime"}
_OTHER = SigningKey(b"somebody else's seed of 32 bytes")


def _flipped(raw: bytes, offset: int) -> bytes:
    changed = bytearray(raw)
    changed[offset] ^= 1
    return bytes(changed)


def _quote_section(quote: bytes, offset: int) -> int:
    """The offset of a field of the signature section, which starts after header, body and its length."""
    return 48 + 384 + 4 + offset


def _with_quote(change: Callable[[bytes], bytes]) -> Verdict:
    made = w.world()
    return w.appraised(made.but(shown={"quote": change(made.quote)}))


def _with_terms(**changes: object) -> Verdict:
    """Other terms in an enclave that was launched with them; the invitation knows them, too."""
    terms = replace(w.TERMS, **changes)
    made = w.world(terms=terms)
    return w.appraised(made, expected=w.expectations(terms_prefix=terms.digest[:16]))


def _with_collateral(**members: str) -> Verdict:
    collateral = make_collateral(w.pki(), now=w.NOW) | members
    return w.appraised(w.world(shown={"collateral": RawCollateral(**collateral)}))


def _of_another_issuer(**wanted: str) -> Verdict:
    other = make_collateral(SimulationPki.generate(now=w.NOW), now=w.NOW)
    return _with_collateral(**{name: other[name] for name in wanted})


def _with_wish(**wanted: object) -> Verdict:
    return w.appraised(w.world(wish=Wish(**wanted)))


def _with_report(**fields: object) -> Verdict:
    return w.appraised(w.world(report=fields))


def _with_packages(requirements: bytes) -> Verdict:
    files = (*w.world().code_list.files, w.code_file("requirements.txt", requirements))
    made = w.world(
        code_list=CodeList.from_files(files),
        packages_digest=hashlib.sha256(requirements).digest(),
        shown={"requirements": requirements},
    )
    return w.appraised(made)


def _with_manifest(old: bytes, new: bytes) -> Verdict:
    """A manifest that somebody edited, in an enclave that really was started with it."""
    made = w.world()
    assert old in made.built_manifest
    return w.appraised(made.but(manifest=made.built_manifest.replace(old, new, 1)))


def _of_another_qe() -> Verdict:
    made = w.world()
    body = ReportBody(
        mrenclave=w.appraised(made).mrenclave or b"",
        report_data=hashlib.sha256(w.IDENTITY_PK).digest() + w.BOX_PK,
    )
    enclave = QuotingEnclave(w.pki(), qe_body=replace(QE_BODY, mrsigner=bytes(32)))
    return w.appraised(made.but(shown={"quote": enclave.quote(body)}))


def _of_an_old_platform() -> Verdict:
    """A platform whose certified level lies below every level of the documents."""
    low = SimulationPki.generate(now=w.NOW, tcb=PlatformTcb(pce_svn=0, components=bytes(16)))
    high = replace(low, tcb=PlatformTcb())
    collateral = make_collateral(high, now=w.NOW, wish=Wish())
    raised = collateral["tcb_info"].replace('"pcesvn":0', '"pcesvn":1')
    collateral |= {"tcb_info": raised, "tcb_info_signature": low.tcb_signing.sign_raw(raised.encode()).hex()}
    return w.appraised(w.world(pki=low, shown={"collateral": RawCollateral(**collateral)}))


def _of_another_kind_of_platform() -> Verdict:
    other = replace(w.pki(), tcb=replace(w.pki().tcb, fmspc=bytes(6)))
    return w.appraised(w.world(shown={"collateral": RawCollateral(**make_collateral(other, now=w.NOW))}))


def _expecting(**changes: object) -> Verdict:
    return w.appraised(w.world(), expected=w.expectations(**changes))


def _by(**changes: object) -> Verdict:
    return w.appraised(w.world(), by=w.policy(**changes))


_RULE = AttributeRule(flags=0, flags_mask=0, xfrm=0x7, xfrm_mask=0x7, miscselect=0, miscselect_mask=0)
_OTHER_CONTACT = {"rita@registry.example": Contact(public_key=bytes(_OTHER.verify_key), pinned=True)}
_OTHER_OWN = (
    OwnRole(role=Role.DATA_PROVIDER, email="dora@hospital.example", public_key=bytes(_OTHER.verify_key)),
)

# (check, who is to blame, the case that only it refuses)
CASES: list[tuple[str, Blame, Callable[[], Verdict]]] = [
    ("quote.form", Blame.MALFORMED, lambda: _with_quote(lambda quote: quote[:-1])),
    ("quote.trailing", Blame.EVIDENCE, lambda: _with_quote(lambda quote: quote + b"\0")),
    ("quote.chain", Blame.EVIDENCE, lambda: w.appraised(w.world(), now=w.NOW + timedelta(days=9 * 365))),
    ("quote.root", Blame.EVIDENCE, lambda: w.appraised(w.world(), roots=(b"\x04" + bytes(64),))),
    (
        "quote.qe-signature",
        Blame.EVIDENCE,
        lambda: _with_quote(lambda quote: _flipped(quote, _quote_section(quote, 512 + 5))),
    ),
    (
        "quote.attestation-key",
        Blame.EVIDENCE,
        lambda: _with_quote(lambda quote: _flipped(quote, _quote_section(quote, 578 + 5))),
    ),
    ("quote.signature", Blame.EVIDENCE, lambda: _with_quote(lambda quote: _flipped(quote, 432 + 4 + 5))),
    ("platform.collateral", Blame.COLLATERAL, lambda: w.appraised(w.world(shown={"collateral": None}))),
    ("platform.collateral", Blame.MALFORMED, lambda: _with_collateral(pck_crl="zz")),
    ("platform.root-crl", Blame.EVIDENCE, lambda: _of_another_issuer(root_ca_crl="")),
    ("platform.pck-crl", Blame.EVIDENCE, lambda: _of_another_issuer(pck_crl="")),
    ("platform.tcb-info", Blame.EVIDENCE, lambda: _of_another_issuer(tcb_info_signature="")),
    ("platform.qe-identity", Blame.EVIDENCE, lambda: _of_another_issuer(qe_identity_signature="")),
    (
        "platform.revocation",
        Blame.EVIDENCE,
        lambda: _with_wish(revoked=(w.pki().pck.certificate,)),
    ),
    ("platform.match", Blame.EVIDENCE, _of_another_kind_of_platform),
    ("platform.quoting-enclave", Blame.EVIDENCE, _of_another_qe),
    ("platform.tcb", Blame.EVIDENCE, _of_an_old_platform),
    ("platform.status", Blame.POLICY, lambda: _with_wish(status=TcbStatus.OUT_OF_DATE)),
    ("platform.status", Blame.EVIDENCE, lambda: _with_wish(status=TcbStatus.REVOKED)),
    (
        "platform.advisories",
        Blame.POLICY,
        lambda: w.appraised(
            w.world(wish=Wish(status=TcbStatus.SW_HARDENING_NEEDED)),
            by=w.policy(advisories=frozenset({"INTEL-SA-00001"})),
        ),
    ),
    ("platform.evaluation-number", Blame.POLICY, lambda: _by(min_evaluation_number=2)),
    (
        "platform.collateral-age",
        Blame.POLICY,
        lambda: w.appraised(
            w.world(), by=w.policy(max_collateral_age=timedelta(days=7)), now=w.NOW + timedelta(days=8)
        ),
    ),
    ("platform.known", Blame.POLICY, lambda: _by(platforms=frozenset({bytes(16)}))),
    ("enclave.tee", Blame.POLICY, lambda: _by(tee=frozenset({TeeType.TDX}))),
    ("enclave.debug", Blame.EVIDENCE, lambda: _with_report(flags=0x7)),
    ("enclave.attributes", Blame.POLICY, lambda: _with_report(xfrm=0x3 | 0x200)),
    ("enclave.attributes", Blame.POLICY, lambda: _by(attributes=_RULE)),
    ("enclave.config", Blame.EVIDENCE, lambda: _with_report(config_svn=1)),
    ("enclave.config", Blame.EVIDENCE, lambda: _with_report(isv_family_id=bytes([1]) * 16)),
    (
        "measurement.pal",
        Blame.EVIDENCE,
        lambda: w.appraised(w.world(pal_bytes=_flipped(w.world().pal_bytes, 0x140))),
    ),
    ("measurement.mrenclave", Blame.EVIDENCE, lambda: _with_report(mrenclave=bytes(32))),
    ("measurement.mrenclave", Blame.MALFORMED, lambda: w.appraised(w.world(shown={"manifest": b"]"}))),
    ("measurement.policy", Blame.POLICY, lambda: _by(measurement=frozenset({bytes(32)}))),
    (
        "measurement.policy",
        Blame.POLICY,
        lambda: _by(measurement=SignerRule(mrsigner=bytes(32), product=0, min_svn=0)),
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
    ("measurement.manifest", Blame.EVIDENCE, lambda: _with_manifest(b'LANG = "C.UTF-8"', b'LANG = "C"')),
    (
        "contract.computation",
        Blame.EVIDENCE,
        lambda: _expecting(computation=UUID("1b0e7d3c-6a4f-4d55-9c1e-2f8f3c1d9a10")),
    ),
    ("contract.terms", Blame.EVIDENCE, lambda: _expecting(terms_prefix=bytes(16))),
    ("contract.delivery", Blame.POLICY, lambda: _with_terms(delivery=DeliveryForm.LEGACY)),
    ("contract.logs", Blame.POLICY, lambda: _with_terms(logs=LogRelease.PUBLIC)),
    ("contract.own-roles", Blame.EVIDENCE, lambda: _expecting(own_roles=_OTHER_OWN)),
    (
        "contract.own-roles",
        Blame.EVIDENCE,
        lambda: _expecting(own_roles=(replace(_OTHER_OWN[0], role=Role.RESULT_CONSUMER),)),
    ),
    ("contract.participants", Blame.EVIDENCE, lambda: _expecting(contacts=_OTHER_CONTACT)),
    (
        "contract.participants",
        Blame.POLICY,
        lambda: _by(require_pinned=frozenset({Role.RESULT_CONSUMER})),
    ),
    ("code.signature", Blame.EVIDENCE, lambda: w.appraised(w.world(signer=_OTHER))),
    ("code.signature", Blame.EVIDENCE, lambda: w.appraised(w.world(shown={"code_signature": None}))),
    ("code.entry-point", Blame.EVIDENCE, lambda: w.appraised(w.world(shown={"entry_point": b"pass\n"}))),
    ("code.packages", Blame.EVIDENCE, lambda: _with_packages(b"numpy==2.4.0 --hash=sha256:00\n")),
    ("code.packages", Blame.EVIDENCE, lambda: w.appraised(w.world(packages_digest=bytes([1]) * 32))),
    ("code.expected", Blame.EVIDENCE, lambda: _expecting(code_digest=bytes(32))),
    ("keys.report-data", Blame.EVIDENCE, lambda: _with_report(report_data=bytes(64))),
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


def test_every_check_but_two_has_a_case() -> None:
    # The vendor and the kind of enclave follow from the root: both are tested with a pinned root below.
    covered = {name for name, _, _ in CASES}
    assert _ALL - covered == {"quote.vendor", "contract.tee", "measurement.runtime"}


def test_honest_evidence_passes_everything_and_is_simulated() -> None:
    verdict = w.appraised(w.world())
    assert verdict.decision is Decision.SIMULATED
    assert verdict.passed_but_simulated
    assert not verdict.accepted
    outcomes = {check.name: check.outcome for check in verdict.checks}
    assert {
        name for name, outcome in outcomes.items() if outcome is Outcome.SIMULATED
    } == _NEVER_PASSED_SIMULATED
    assert set(outcomes.values()) == {Outcome.PASSED, Outcome.SIMULATED}
    assert set(outcomes) >= _ALL


def test_runtime_line_says_not_compared() -> None:
    (line,) = [check for check in w.appraised(w.world()).checks if check.name == "measurement.runtime"]
    assert line.observed == "not compared: simulated"


def test_another_runtime_under_its_folder_is_taken() -> None:
    runtime = (MeasuredFile(path="runtime/bin/python3", sha256=bytes([9]) * 32),)
    assert w.appraised(w.world(runtime=runtime)).passed_but_simulated


def test_vendor_of_intel_under_another_root_is_refused() -> None:
    # The header is signed, so only the vendor check stands between this quote and a simulated one.
    verdict = _with_quote(lambda quote: quote[:12] + INTEL_QE_VENDOR_ID + quote[28:])
    assert [check.name for check in verdict.failures] == ["quote.vendor", "quote.signature"]


def test_enclave_that_calls_itself_real_under_another_root_is_refused() -> None:
    verdict = _with_terms(tee=Tee.SGX)
    assert [check.name for check in verdict.failures] == ["measurement.manifest", "contract.tee"]


def test_without_an_invitation_nothing_is_deliverable() -> None:
    verdict = w.appraise(
        w.world().bundle.to_bytes(),
        policy=w.policy(),
        expected=None,
        release=w.RELEASE,
        roots=w.ROOTS,
        now=w.NOW,
    )
    assert not verdict.failures
    assert not verdict.passed_but_simulated
    unreached = {check.name for check in verdict.checks if check.outcome is Outcome.NOT_REACHED}
    assert unreached == {
        "contract.computation",
        "contract.terms",
        "contract.own-roles",
        "contract.participants",
        "code.expected",
    }


def test_forged_quote_reaches_nothing_and_says_why() -> None:
    verdict = _with_quote(lambda quote: _flipped(quote, 432 + 4 + 5))
    later = [check for group in verdict.groups[1:] for check in group.parts]
    assert {check.outcome for check in later} == {Outcome.NOT_REACHED}
    assert {check.because for check in later} == {"quote.signature failed"}
    assert verdict.status is None


def test_status_and_advisories_are_known_in_a_refusal_too() -> None:
    verdict = _with_wish(status=TcbStatus.OUT_OF_DATE)
    assert (verdict.status, verdict.advisories) == ("OutOfDate", ("SIMULATION-SA-00001",))


def test_stale_documents_are_the_collaterals_fault() -> None:
    verdict = w.appraised(w.world(), now=w.NOW + timedelta(days=40))
    assert {check.blame for check in verdict.failures} == {Blame.COLLATERAL}


def test_how_well_each_key_is_known_stands_in_the_verdict() -> None:
    contacts = {
        "carol@code.example": Contact(public_key=bytes(w.CODE.verify_key), pinned=True),
        "rita@registry.example": Contact(public_key=bytes(w.RESULT.verify_key), pinned=False),
    }
    verdict = w.appraised(w.world(), expected=w.expectations(contacts=contacts))
    parts = next(check for check in verdict.checks if check.name == "contract.participants").parts
    assert [part.observed for part in parts] == ["pinned", "your own", "seen before"]


def test_consumer_put_in_by_a_word_holder_is_refused_with_require_pinned_and_shown_without() -> None:
    people = tuple(
        replace(person, public_key=bytes(_OTHER.verify_key))
        if person.role is Role.RESULT_CONSUMER
        else person
        for person in w.participants()
    )
    made = w.world(people=people)
    shown = w.appraised(made)
    refused = w.appraised(made, by=w.policy(require_pinned=frozenset({Role.RESULT_CONSUMER})))
    assert shown.passed_but_simulated
    assert shown.checks[-1] is not None
    consumer = next(c for c in shown.checks if c.name == "contract.participants.result-consumer.0")
    assert consumer.observed == "vouched for by the words only"
    assert [check.name for check in refused.failures] == ["contract.participants.result-consumer.0"]


def test_own_address_in_a_role_that_was_never_registered_needs_the_own_key_too() -> None:
    terms = replace(w.TERMS, result_consumers=("dora@hospital.example",))
    people = (*w.participants()[:2], replace(w.participants()[2], email="dora@hospital.example"))
    verdict = w.appraised(
        w.world(terms=terms, people=people), expected=w.expectations(terms_prefix=terms.digest[:16])
    )
    assert [check.name for check in verdict.failures] == ["contract.own-roles"]


def test_one_person_in_two_roles_passes() -> None:
    terms = replace(w.TERMS, result_consumers=("dora@hospital.example",))
    own = bytes(w.DATA.verify_key)
    people = (
        *w.participants()[:2],
        replace(w.participants()[2], email="dora@hospital.example", public_key=own),
    )
    roles = tuple(
        OwnRole(role=role, email="dora@hospital.example", public_key=own)
        for role in (Role.DATA_PROVIDER, Role.RESULT_CONSUMER)
    )
    verdict = w.appraised(
        w.world(terms=terms, people=people),
        expected=w.expectations(terms_prefix=terms.digest[:16], own_roles=roles),
    )
    assert verdict.passed_but_simulated


def test_foreign_text_is_shown_and_not_obeyed() -> None:
    verdict = _with_manifest(
        b"[[sgx.trusted_files]]",
        '[[sgx.trusted_files]]\nuri = "file:\u202egnp"\nsha256 = "'.encode()
        + b"0" * 64
        + b'"\n\n[[sgx.trusted_files]]',
    )
    assert "\u202e" not in verdict.failures[0].observed
    assert "<U+202E>" in verdict.failures[0].observed


def test_verdict_as_json_has_what_programs_read() -> None:
    value = w.appraised(w.world()).to_value()
    assert isinstance(value, dict)
    assert {"accepted", "verdict", "status", "advisories", "checks"} <= set(value)
    assert (value["accepted"], value["verdict"], value["status"]) == (False, "SIMULATED", "UpToDate")
