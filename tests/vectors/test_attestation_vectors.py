"""Runs tests/vectors/attestation, made by tools/make_attestation_vectors.py."""

import json
from datetime import datetime
from pathlib import Path

import pytest

from sealroom.core import errors
from sealroom.core.attestation import collateral, pck, quote, quote_checks, tcb
from sealroom.core.wire.bundle import RawCollateral

FOLDER = Path(__file__).parent / "attestation"
CASES = sorted(path.name for path in FOLDER.iterdir())
RULE = quote_checks.AttributeRule(
    flags=0x05,
    flags_mask=0xFFFF_FFFF_FFFF_FFFD,
    xfrm=0x03,
    xfrm_mask=2**64 - 1,
    miscselect=0,
    miscselect_mask=2**32 - 1,
)


def verify_everything(raw_quote: bytes, raw_collateral: dict[str, str], now: datetime) -> tcb.TcbVerdict:
    parsed = quote.parse_quote(raw_quote)
    quote_checks.check_trailing(parsed, accept_zero_padding=False)
    platform = pck.verify_pck_chain(pck.parse_pck_certificates(parsed.certification), now=now)
    verified = quote_checks.verify_quote_signatures(parsed, platform)
    documents = collateral.verify_collateral(
        collateral.parse_collateral(RawCollateral(**raw_collateral)), root_key=platform.root_key, now=now
    )
    collateral.check_not_revoked(platform, root_crl=documents.root_crl, pck_crl=documents.pck_crl)
    verdict = tcb.match_tcb(verified, tcb_info=documents.tcb_info, qe_identity=documents.qe_identity)
    quote_checks.check_not_debug(parsed.body)
    quote_checks.check_attributes(parsed.body, RULE)
    quote_checks.check_config_and_family_zero(parsed.body)
    return verdict


def load(name: str) -> tuple[bytes, dict[str, str]]:
    folder, valid = FOLDER / name, FOLDER / "valid"
    quote_file, members_file = folder / "quote.bin", folder / "collateral.json"
    members = json.loads((valid / "collateral.json").read_text())
    if members_file.exists():
        members |= json.loads(members_file.read_text())
    return (quote_file if quote_file.exists() else valid / "quote.bin").read_bytes(), members


@pytest.mark.parametrize("name", CASES)
def test_each_vector_ends_as_it_says_and_for_the_reason_it_says(name):
    expect = json.loads((FOLDER / name / "expect.json").read_text())
    raw_quote, members = load(name)
    now = datetime.fromisoformat(expect["at"])
    if expect["error"] is None:
        verdict = verify_everything(raw_quote, members, now)
        assert verdict.status.value == expect["status"]
        assert list(verdict.advisories) == expect["advisories"]
        return
    with pytest.raises(errors.SealroomError) as caught:
        verify_everything(raw_quote, members, now)
    assert type(caught.value).__name__ == expect["error"]
    assert expect["message"] in str(caught.value)
