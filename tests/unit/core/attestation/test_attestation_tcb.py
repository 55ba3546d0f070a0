"""TCB rules: signed documents, levels, convergence, TDX modules and relaunch."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealroom.core.attestation.collateral import parse_collateral, verify_collateral
from sealroom.core.attestation.document import Issued, IsvLevel, Judgement, SignedDocument, open_document
from sealroom.core.attestation.pck import parse_pck_certificates, parse_pck_chain, verify_pck_chain
from sealroom.core.attestation.qe_identity import read_qe_identity
from sealroom.core.attestation.quote import TeeType, parse_quote
from sealroom.core.attestation.quote_checks import VerifiedQuote, verify_quote_signatures
from sealroom.core.attestation.reports import parse_td_report
from sealroom.core.attestation.tcb import match_tcb
from sealroom.core.attestation.tcb_info import (
    TcbInfo,
    TcbLevel,
    TdxModuleIdentity,
    TdxModuleRule,
    read_tcb_info,
)
from sealroom.core.attestation.tcb_status import TcbStatus, converge
from sealroom.core.errors import CollateralError, MalformedError, SealroomError, VerificationError
from sealroom.core.wire.bundle import RawCollateral
from sealroom.insecure.collateral import make_collateral
from sealroom.insecure.pki import SimulationPki, pem
from sealroom.insecure.quoting import QuotingEnclave, ReportBody

NOW = datetime(2026, 1, 15, tzinfo=UTC)
PKI = SimulationPki.generate(now=NOW)
RAW = make_collateral(PKI, now=NOW)
QUOTE = parse_quote(QuotingEnclave(PKI).quote(ReportBody(mrenclave=bytes(32), report_data=bytes(64))))
PLATFORM = verify_pck_chain(parse_pck_certificates(QUOTE.certification), now=NOW)
VERIFIED = verify_quote_signatures(QUOTE, PLATFORM)
DOCUMENTS = verify_collateral(parse_collateral(RawCollateral(**RAW)), root_key=PLATFORM.root_key, now=NOW)

UP, OUT = TcbStatus.UP_TO_DATE, TcbStatus.OUT_OF_DATE
HARDENING, CONFIGURATION = TcbStatus.SW_HARDENING_NEEDED, TcbStatus.CONFIGURATION_NEEDED
BOTH, OUT_CONFIGURATION = (
    TcbStatus.CONFIGURATION_AND_SW_HARDENING_NEEDED,
    TcbStatus.OUT_OF_DATE_CONFIGURATION_NEEDED,
)
REVOKED = TcbStatus.REVOKED
RELAUNCH = TcbStatus.TD_RELAUNCH_ADVISED
RELAUNCH_CONFIGURATION = TcbStatus.TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED


@pytest.mark.parametrize(
    ("platform", "part", "result"),
    [
        (UP, UP, UP),
        (BOTH, UP, BOTH),
        (UP, OUT, OUT),
        (HARDENING, OUT, OUT),
        (CONFIGURATION, OUT, OUT_CONFIGURATION),
        (BOTH, OUT, OUT_CONFIGURATION),
        (OUT, OUT, OUT),
        (OUT_CONFIGURATION, OUT, OUT_CONFIGURATION),
        (REVOKED, OUT, REVOKED),
        (REVOKED, UP, REVOKED),
        (UP, REVOKED, REVOKED),
    ],
)
def test_a_part_never_makes_a_platform_better(platform, part, result):
    assert converge(platform, part, name="qe") is result


@pytest.mark.parametrize("part", [HARDENING, CONFIGURATION, BOTH, OUT_CONFIGURATION, RELAUNCH])
def test_refuses_a_status_that_a_part_cannot_have(part):
    with pytest.raises(VerificationError, match="not one that qe can have"):
        converge(UP, part, name="qe")


def judgement(status: TcbStatus, *advisories: str) -> Judgement:
    return Judgement(status=status, tcb_date=NOW, advisories=advisories)


ISSUED = Issued(issue_date=NOW, next_update=NOW + timedelta(days=30), evaluation_number=17)
INTEL_MODULE = TdxModuleRule(mrsigner=bytes(48), attributes=bytes(8), attributes_mask=b"\xff" * 8)


def td_level(status: TcbStatus, *, sgx: int = 5, tdx: tuple[int, ...] = (5, 0, 7), advisory: str) -> TcbLevel:
    return TcbLevel(
        sgx_components=bytes([sgx] * 16),
        pce_svn=13,
        tdx_components=bytes(tdx) + bytes(16 - len(tdx)),
        judgement=judgement(status, advisory),
    )


def module(
    *levels: tuple[int, TcbStatus], name: str = "TDX_01", rule: TdxModuleRule = INTEL_MODULE
) -> TdxModuleIdentity:
    return TdxModuleIdentity(
        id=name,
        rule=rule,
        levels=tuple(
            IsvLevel(isv_svn=svn, judgement=judgement(status, f"M-{svn}")) for svn, status in levels
        ),
    )


def td_info(
    *levels: TcbLevel, modules: tuple[TdxModuleIdentity, ...] = (), rule: TdxModuleRule | None = INTEL_MODULE
) -> TcbInfo:
    return TcbInfo(
        version=3,
        tee=TeeType.TDX,
        issued=ISSUED,
        fmspc=b"SIMTCB",
        pce_id=bytes(2),
        levels=levels,
        tdx_module=rule,
        tdx_module_identities=modules,
    )


def td_quote(
    svn: tuple[int, ...], svn2: tuple[int, ...] | None = None, *, signer: int = 0, attributes: int = 0
) -> VerifiedQuote:
    raw = bytearray(584 if svn2 is None else 648)
    raw[: len(svn)] = bytes(svn)
    raw[64] = signer
    raw[112] = attributes
    if svn2 is not None:
        raw[584 : 584 + len(svn2)] = bytes(svn2)
    body = parse_td_report(bytes(raw), name="td")
    quote = replace(QUOTE, header=replace(QUOTE.header, version=5, tee=TeeType.TDX), body=body)
    return VerifiedQuote(quote=quote, pck=PLATFORM)


TD_QE = replace(DOCUMENTS.qe_identity, tee=TeeType.TDX)


def match(quote: VerifiedQuote, info: TcbInfo, qe=TD_QE):
    return match_tcb(quote, tcb_info=info, qe_identity=qe)


NEWEST = td_level(UP, tdx=(5, 0, 7), advisory="A-newest")
OLDER = td_level(OUT, tdx=(3, 0, 4), advisory="A-older")


def test_a_module_of_major_version_0_is_matched_from_the_first_tdx_component():
    info = td_info(NEWEST, OLDER)
    assert match(td_quote((5, 0, 7)), info).status is UP
    older = match(td_quote((4, 0, 7)), info)
    assert (older.status, older.advisories, older.module) == (OUT, ("A-older",), None)
    with pytest.raises(VerificationError, match="no TDX level"):
        match(td_quote((2, 0, 7)), info)


def test_a_module_with_a_major_version_is_matched_from_the_third_component_and_by_its_own_level():
    info = td_info(NEWEST, OLDER, modules=(module((6, UP), (2, OUT)),))
    verdict = match(td_quote((6, 1, 7)), info)
    assert (verdict.status, verdict.advisories) == (UP, ("A-newest", "M-6"))
    behind = match(td_quote((2, 1, 7)), info)
    assert (behind.status, behind.advisories) == (OUT, ("A-newest", "M-2"))
    with pytest.raises(VerificationError, match="svn 1 reaches no level"):
        match(td_quote((1, 1, 7)), info)
    with pytest.raises(VerificationError, match="no identity for major version 2"):
        match(td_quote((6, 2, 7)), info)


def test_the_identity_of_a_module_is_named_by_its_version_in_hexadecimal():
    info = td_info(NEWEST, modules=(module((1, UP), name="TDX_0A"),))
    assert match(td_quote((1, 10, 7)), info).status is UP
    with pytest.raises(VerificationError, match="no identity"):
        match(td_quote((1, 16, 7)), info)


def test_tdx_levels_are_searched_from_the_level_that_the_platform_reaches():
    # The first level fits the TD and is out of reach of the platform: it must not count.
    ahead = td_level(UP, sgx=6, tdx=(0, 0, 0), advisory="A-ahead")
    assert match(td_quote((4, 0, 7)), td_info(ahead, NEWEST, OLDER)).status is OUT


@pytest.mark.parametrize("major", [0, 1])
@pytest.mark.parametrize(
    ("signer", "attributes", "message"), [(1, 0, "mrsignerseam"), (0, 1, "seam attributes")]
)
def test_refuses_a_module_that_intel_did_not_sign(major, signer, attributes, message):
    info = td_info(NEWEST, modules=(module((0, UP)),))
    with pytest.raises(VerificationError, match=message):
        match(td_quote((9, major, 9), signer=signer, attributes=attributes), info)


def test_refuses_module_attributes_even_where_an_identity_would_allow_them():
    lenient = replace(INTEL_MODULE, attributes_mask=bytes(8))
    demanding = replace(INTEL_MODULE, attributes=b"\1" + bytes(7))
    for rule in (lenient, demanding):
        info = td_info(NEWEST, modules=(module((0, UP), rule=rule),))
        with pytest.raises(VerificationError, match="seam attributes are not zero"):
            match(td_quote((9, 1, 9), attributes=1), info)


def test_refuses_a_document_that_says_nothing_of_the_module():
    with pytest.raises(VerificationError, match="says nothing of it"):
        match(td_quote((9, 0, 9)), td_info(NEWEST, rule=None))


MODULES = (module((6, UP), (2, OUT)), module((1, UP), name="TDX_03"))


@pytest.mark.parametrize(
    ("svn2", "platform", "result"),
    [
        ((6, 1, 7), UP, RELAUNCH),
        ((5, 1, 7), UP, OUT),
        ((6, 1, 6), UP, OUT),
        ((1, 3, 7), UP, RELAUNCH),
        ((9, 4, 7), UP, OUT),
        ((5, 0, 7), UP, RELAUNCH),
        ((4, 0, 7), UP, OUT),
        ((6, 1, 7), HARDENING, RELAUNCH),
        ((6, 1, 7), CONFIGURATION, RELAUNCH_CONFIGURATION),
        ((6, 1, 7), BOTH, RELAUNCH_CONFIGURATION),
        ((6, 1, 7), OUT, OUT),
        ((6, 1, 7), OUT_CONFIGURATION, OUT_CONFIGURATION),
        ((6, 1, 7), REVOKED, REVOKED),
        (None, UP, OUT),
    ],
)
def test_a_relaunch_is_advised_only_where_the_launch_alone_is_behind(svn2, platform, result):
    level = td_level(platform, tdx=(5, 0, 7), advisory="A")
    verdict = match(td_quote((2, 1, 7), svn2), td_info(level, modules=MODULES))
    assert verdict.status is result


def test_no_relaunch_is_advised_when_the_quoting_enclave_is_behind_or_the_module_is_not():
    info = td_info(td_level(UP, advisory="A"), modules=MODULES)
    behind = replace(TD_QE, levels=(IsvLevel(isv_svn=0, judgement=judgement(OUT)),))
    assert match(td_quote((2, 1, 7), (6, 1, 7)), info, behind).status is OUT
    late = td_info(td_level(UP, tdx=(0, 0, 9), advisory="A"), td_level(OUT, advisory="B"), modules=MODULES)
    assert match(td_quote((6, 1, 7), (6, 1, 9)), late).status is OUT


def test_the_lower_of_the_two_evaluation_numbers_is_reported():
    info = replace(DOCUMENTS.tcb_info, issued=replace(ISSUED, evaluation_number=19))
    identity = replace(DOCUMENTS.qe_identity, issued=ISSUED)
    assert match_tcb(VERIFIED, tcb_info=info, qe_identity=identity).evaluation_number == 17


def test_the_cpu_svn_of_the_quote_is_not_compared():
    body = replace(QUOTE.body, cpu_svn=bytes(16))
    verified = VerifiedQuote(quote=replace(QUOTE, body=body), pck=PLATFORM)
    verdict = match_tcb(verified, tcb_info=DOCUMENTS.tcb_info, qe_identity=DOCUMENTS.qe_identity)
    assert verdict.status is UP


def test_collateral_is_good_exactly_within_its_window():
    parsed = parse_collateral(RawCollateral(**RAW))
    for now in (DOCUMENTS.valid_from, DOCUMENTS.valid_until):
        verify_collateral(parsed, root_key=PLATFORM.root_key, now=now)
    second = timedelta(seconds=1)
    for now in (DOCUMENTS.valid_from - second, DOCUMENTS.valid_until + second):
        with pytest.raises(CollateralError):
            verify_collateral(parsed, root_key=PLATFORM.root_key, now=now)
    assert DOCUMENTS.issued_at == NOW - timedelta(hours=1)


@pytest.mark.parametrize("first", RAW)
@pytest.mark.parametrize("second", RAW)
def test_swapping_two_members_is_refused(first, second):
    if RAW[first] == RAW[second]:
        return
    swapped = {**RAW, first: RAW[second], second: RAW[first]}
    with pytest.raises((MalformedError, VerificationError)):
        verify_collateral(parse_collateral(RawCollateral(**swapped)), root_key=PLATFORM.root_key, now=NOW)


@pytest.mark.parametrize("name", RAW)
@given(data=st.data())
def test_any_change_of_one_character_is_refused(name, data):
    index = data.draw(st.integers(0, len(RAW[name]) - 1))
    character = data.draw(st.characters(codec="utf-8"))
    if character.lower() == RAW[name][index].lower():
        return
    changed = RAW[name][:index] + character + RAW[name][index + 1 :]
    with pytest.raises(SealroomError):
        verify_collateral(
            parse_collateral(RawCollateral(**{**RAW, name: changed})), root_key=PLATFORM.root_key, now=NOW
        )


def signed(text: str) -> SignedDocument:
    chain = parse_pck_chain(PKI.pck_chain_pem)
    return SignedDocument(raw=text.encode(), signature=PKI.pck.sign_raw(text.encode()), chain=chain)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "1",
        "{",
        '{"a":1,"a":2}',
        '{"a":1.5}',
        "[" * 100_000,
        '{"a":NaN}',
        '{"a":1}x',
        '{"a":"\\ud800"}x',
    ],
)
def test_a_signed_document_that_is_no_strict_json_object_is_malformed(text):
    with pytest.raises(MalformedError):
        open_document(signed(text), name="document")


TCB_INFO, QE_IDENTITY = json.loads(RAW["tcb_info"]), json.loads(RAW["qe_identity"])
LEVEL = TCB_INFO["tcbLevels"][0]


def with_level(**values) -> dict:
    return {"tcbLevels": [{**LEVEL, **values}]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fmspc": "zz"}, "fmspc: not 6 bytes"),
        ({"fmspc": "00" * 5}, "fmspc: not 6 bytes"),
        ({"pceId": 0}, "pceId: expected a string"),
        ({"issueDate": "2026-01-15"}, "issueDate: not a time"),
        ({"issueDate": "2026-13-15T00:00:00Z"}, "no such time"),
        ({"issueDate": "2026-01-15T00:00:00+01:00"}, "not a time"),
        ({"tcbEvaluationDataNumber": -1}, "tcbEvaluationDataNumber"),
        ({"tcbEvaluationDataNumber": True}, "tcbEvaluationDataNumber"),
        ({"tcbLevels": {}}, "expected an array"),
        ({"tcbLevels": [1]}, "array of objects"),
        ({"tcbLevels": [LEVEL] * 257}, "at most 256"),
        (with_level(tcb=[]), "tcb: expected an object"),
        (with_level(tcb={"pcesvn": 1, "sgxtcbcomponents": [{"svn": 1}] * 15}), "15 components"),
        (with_level(tcb={"pcesvn": 1, "sgxtcbcomponents": [{"svn": 256}] * 16}), "svn"),
        (with_level(tcb={"pcesvn": 1, "sgxtcbcomponents": [{}] * 16}), "svn: missing"),
        (with_level(advisoryIDs="INTEL-SA-1"), "advisoryIDs: expected an array"),
        (with_level(advisoryIDs=[1]), "advisoryIDs: expected ASCII texts"),
        (with_level(advisoryIDs=["A" * 65]), "advisoryIDs: expected ASCII texts"),
        (with_level(advisoryIDs=["INTEL-SA-1", "\ud800"]), "advisoryIDs: expected ASCII texts"),
        ({"id": "TDX"}, "tdxtcbcomponents: missing"),
        ({"id": "TDX", "tcbLevels": []}, "tdxModule: missing"),
    ],
)
def test_refuses_a_tcb_info_of_another_form(change, message):
    with pytest.raises(MalformedError, match=message):
        read_tcb_info({**TCB_INFO, **change})


@pytest.mark.parametrize("key", TCB_INFO)
def test_every_member_of_a_tcb_info_is_required(key):
    with pytest.raises(MalformedError):
        read_tcb_info({name: value for name, value in TCB_INFO.items() if name != key})


@pytest.mark.parametrize("key", QE_IDENTITY)
def test_every_member_of_a_qe_identity_is_required(key):
    with pytest.raises(MalformedError):
        read_qe_identity({name: value for name, value in QE_IDENTITY.items() if name != key})


def test_refuses_two_identities_for_one_module():
    rule = {"mrsigner": "00" * 48, "attributes": "00" * 8, "attributesMask": "FF" * 8}
    identity = {"id": "TDX_01", **rule, "tcbLevels": []}
    document = {**TCB_INFO, "id": "TDX", "tcbLevels": [], "tdxModule": rule}
    read_tcb_info({**document, "tdxModuleIdentities": [identity]})
    with pytest.raises(MalformedError, match="stands twice"):
        read_tcb_info({**document, "tdxModuleIdentities": [identity, {**identity, "id": "tdx_01"}]})


def test_reads_the_older_form_of_tcb_info_for_sgx():
    components = {f"sgxtcbcomp{number:02}svn": number for number in range(1, 17)}
    old = {**TCB_INFO, "version": 2, **with_level(tcb={**components, "pcesvn": 13})}
    del old["id"]
    info = read_tcb_info(old)
    assert info.tee is TeeType.SGX
    assert info.levels[0].sgx_components == bytes(range(1, 17))


def test_the_signer_of_a_document_must_be_issued_by_the_root_directly():
    chain = pem(PKI.tcb_signing.certificate, PKI.platform_ca.certificate, PKI.root.certificate).decode()
    with pytest.raises(MalformedError, match="3 certificates, expected 2"):
        parse_collateral(RawCollateral(**{**RAW, "tcb_info_issuer_chain": chain}))


@pytest.mark.parametrize("name", ["tcb_info", "qe_identity", "pck_crl_issuer_chain", "tcb_info_issuer_chain"])
def test_a_member_that_is_not_ascii_is_malformed(name):
    with pytest.raises(MalformedError, match="expected ASCII"):
        parse_collateral(RawCollateral(**{**RAW, name: RAW[name] + "\u00e9"}))
