"""Genuine quotes with Intel's own collateral, where the folder of them is at hand.

`SEALROOM_VECTORS` names the folder; by default it is looked for beside the repository.
"""

import functools
import json
import os
import random
from datetime import datetime
from pathlib import Path

import pytest

from sealroom.core.attestation import collateral, pck, quote, quote_checks, tcb
from sealroom.core.attestation.certificates import parse_certificate
from sealroom.core.attestation.reports import SgxReport
from sealroom.core.attestation.roots import INTEL_SGX_ROOT_KEY, Provenance, is_published_root
from sealroom.core.attestation.signatures import verify_der_signature
from sealroom.core.errors import CollateralError, MalformedError, VerificationError
from sealroom.core.wire.bundle import RawCollateral

ROOT = Path(__file__).parents[4]
FOLDER = Path(os.environ.get("SEALROOM_VECTORS", ROOT.parent / "shared" / "vectors")) / "evidence"

if not (FOLDER / "INDEX.json").exists():
    pytest.skip(f"no genuine quotes: set SEALROOM_VECTORS, {FOLDER} is not there", allow_module_level=True)

ENTRIES = json.loads((FOLDER / "INDEX.json").read_text())["entries"]
GENUINE = [entry for entry in ENTRIES if entry["kind"] in ("sgx-quote-v3", "tdx-quote-v4", "tdx-quote-v5")]
PADDED = [entry for entry in ENTRIES if entry["kind"] == "padded-quote"]
NEGATIVE = {
    entry["file"].split("/")[1].rsplit("_", 1)[0]: entry
    for entry in ENTRIES
    if entry["kind"] == "negative-quote"
}
TRIPLES = [(entry, expected) for entry in ENTRIES for expected in entry.get("expected", ())]


@pytest.mark.parametrize("name", ["intel_sgx_root_ca", "intel_sgx_root_ca_old_2033"])
def test_the_roots_that_are_known_by_digest_signed_themselves(name):
    root = parse_certificate((FOLDER / "roots" / f"{name}.der").read_bytes())
    assert is_published_root(root.raw)
    assert root.public_key == INTEL_SGX_ROOT_KEY
    verify_der_signature(root.public_key, message=root.tbs, signature=root.signature, name=name)


def test_a_root_with_one_bit_changed_is_not_known_by_digest():
    raw = bytearray((FOLDER / "roots" / "intel_sgx_root_ca.der").read_bytes())
    raw[-1] ^= 1
    assert not is_published_root(bytes(raw))


@functools.cache
def load_quote(file: str) -> quote.Quote:
    return quote.parse_quote((FOLDER / file).read_bytes())


@functools.cache
def load_collateral(bundle: str) -> collateral.Collateral:
    raw = (FOLDER / "collateral" / "bundles" / f"{bundle}.json").read_bytes()
    return collateral.parse_collateral(RawCollateral.from_json(raw))


def verify_at(parsed: quote.Quote, bundle: str, now: datetime) -> tcb.TcbVerdict:
    platform = pck.verify_pck_chain(pck.parse_pck_certificates(parsed.certification), now=now)
    assert platform.provenance is Provenance.INTEL
    verified = quote_checks.verify_quote_signatures(parsed, platform)
    documents = collateral.verify_collateral(load_collateral(bundle), root_key=platform.root_key, now=now)
    assert documents.valid_from <= now <= documents.valid_until
    collateral.check_not_revoked(platform, root_crl=documents.root_crl, pck_crl=documents.pck_crl)
    return tcb.match_tcb(verified, tcb_info=documents.tcb_info, qe_identity=documents.qe_identity)


def agrees(parsed: quote.Quote, expected: dict) -> bool:
    now = datetime.fromisoformat(expected["at"])
    try:
        verdict = verify_at(parsed, expected["bundle"], now)
    except VerificationError as exc:
        refusals = {"PCKCertNotInValidity": "is valid from", "ERR TCBNotSupported": "reaches no"}
        return expected["expected"] in refusals and refusals[expected["expected"]] in str(exc)
    return (
        verdict.status.value == expected["expected"]
        and list(verdict.advisories) == sorted(expected["advisories"])
        and verdict.qe.status.value == expected["qe"]
    )


def test_status_and_advisories_agree_with_the_index_for_every_quote_and_collateral(capsys):
    wrong = [
        (entry["file"], expected["bundle"])
        for entry, expected in TRIPLES
        if not agrees(load_quote(entry["file"]), expected)
    ]
    with capsys.disabled():
        print(f"\n{len(TRIPLES)} combinations of genuine quote, collateral and time verified")
    assert len(TRIPLES) > 0
    assert wrong == []


@pytest.mark.parametrize("entry", GENUINE, ids=lambda entry: entry["file"])
def test_a_genuine_quote_reads_as_the_index_says_and_its_signatures_verify(entry):
    parsed = load_quote(entry["file"])
    assert parsed.header.version == entry["quote_version"]
    assert parsed.header.tee.name == entry["tee"]
    assert parsed.body.report_data.hex() == entry["report_data"]
    assert parsed.body.debug is entry["debug"]
    assert parsed.qe_report.isv_svn == entry["qe_isvsvn"]
    assert parsed.trailing == b""
    if isinstance(parsed.body, SgxReport):
        assert parsed.body.mrenclave.hex() == entry["mrenclave"]
        assert parsed.body.isv_prod_id == entry["isvprodid"]
    else:
        assert parsed.body.mrtd.hex() == entry["mrtd"]
        assert [register.hex() for register in parsed.body.rtmr] == entry["rtmr"]
    chain = pck.parse_pck_certificates(parsed.certification)
    platform = pck.verify_pck_chain(chain, now=chain.leaf.not_before)
    assert platform.provenance is Provenance.INTEL
    assert platform.extension.fmspc.hex() == entry["fmspc"]
    assert platform.extension.pce_svn == entry["pck_pcesvn"]
    assert list(platform.extension.tcb_components) == entry["pck_cpusvn_components"]
    assert f"{platform.leaf.serial:x}" == entry["pck_serial"]
    quote_checks.verify_quote_signatures(parsed, platform)


@pytest.mark.parametrize("entry", PADDED, ids=lambda entry: entry["file"])
def test_padding_of_a_genuine_quote_is_accepted_only_when_named(entry):
    parsed = load_quote(entry["file"])
    assert len(parsed.trailing) == entry["trailing"]
    with pytest.raises(VerificationError, match="after its declared end"):
        quote_checks.check_trailing(parsed, accept_zero_padding=False)
    quote_checks.check_trailing(parsed, accept_zero_padding=True)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("openenclave-sgx-cert-rsa-bad", MalformedError),
        ("openenclave-sgx-report-bad", MalformedError),
        ("intel-quote", CollateralError),
        ("fortanix-quote-pck-cert-chain-corrupted", VerificationError),
        ("enarx-icelake-signed", MalformedError),
    ],
)
def test_a_published_negative_quote_is_refused(name, error):
    with pytest.raises(error):
        parsed = load_quote(NEGATIVE[name]["file"])
        chain = pck.parse_pck_certificates(parsed.certification)
        quote_checks.verify_quote_signatures(parsed, pck.verify_pck_chain(chain, now=chain.leaf.not_before))


def test_a_chain_in_the_order_leaf_root_ca_is_read_by_its_names():
    parsed = load_quote(NEGATIVE["fortanix-quote-pck-cert-chain"]["file"])
    chain = pck.parse_pck_certificates(parsed.certification)
    platform = pck.verify_pck_chain(chain, now=chain.leaf.not_before)
    quote_checks.verify_quote_signatures(parsed, platform)


def test_both_published_certificates_of_intels_root_key_are_intel():
    old = (FOLDER / "roots" / "intel_sgx_root_ca_old_2033.der").read_bytes()
    new = (FOLDER / "roots" / "intel_sgx_root_ca.der").read_bytes()
    keys = {certificates_key(old), certificates_key(new)}
    assert {provenance_name(key) for key in keys} == {"INTEL"}


def certificates_key(der: bytes) -> bytes:
    from sealroom.core.attestation.certificates import parse_certificate

    return parse_certificate(der).public_key


def provenance_name(key: bytes) -> str:
    from sealroom.core.attestation.roots import provenance_of

    return provenance_of(key).name


def first_with(version: int) -> dict:
    return next(entry for entry in GENUINE if entry["quote_version"] == version and entry.get("expected"))


@pytest.mark.parametrize("version", [3, 4, 5])
def test_flipping_any_sampled_bit_of_a_genuine_quote_is_refused(version):
    entry = first_with(version)
    raw = (FOLDER / entry["file"]).read_bytes()
    now = pck.parse_pck_certificates(load_quote(entry["file"]).certification).leaf.not_before
    # Every bit is 40,000 verifications a quote; a seeded sample of each region keeps this short.
    chosen = random.Random(version).sample(range(len(raw) * 8), 2000)
    accepted = [bit for bit in chosen if survives(raw, bit, now)]
    assert accepted == []


def survives(raw: bytes, bit: int, now: datetime) -> bool:
    flipped = bytearray(raw)
    flipped[bit // 8] ^= 1 << bit % 8
    try:
        parsed = quote.parse_quote(bytes(flipped))
        quote_checks.check_trailing(parsed, accept_zero_padding=False)
        platform = pck.verify_pck_chain(pck.parse_pck_certificates(parsed.certification), now=now)
        quote_checks.verify_quote_signatures(parsed, platform)
    except (MalformedError, VerificationError, CollateralError):
        return False
    return platform.provenance is Provenance.INTEL


@pytest.mark.parametrize("version", [3, 4, 5])
def test_every_truncation_of_a_genuine_quote_is_malformed(version):
    raw = (FOLDER / first_with(version)["file"]).read_bytes()
    for size in range(len(raw)):
        with pytest.raises(MalformedError):
            quote.parse_quote(raw[:size])
