"""Tokens of the Azure attestation service: what is believed, and what each check refuses alone."""

import base64
import hashlib
import json
import os
import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import maa_world as w
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from sealroom.core.attestation.maa import verify_maa_token
from sealroom.core.attestation.maa_keys import MAX_KEY_SET_BYTES, parse_key_set
from sealroom.core.attestation.web_token import MAX_TOKEN_BYTES, parse_web_token
from sealroom.core.errors import MalformedError, SealroomError, VerificationError

ROOT = Path(__file__).parents[4]
FOLDER = Path(os.environ.get("SEALROOM_VECTORS", ROOT.parent / "shared" / "vectors")) / "evidence" / "maa"

SERVICE = w.Service()
OTHER = w.Service("second")
KEYS = parse_key_set(w.key_set(SERVICE.jwk(), OTHER.jwk()))


def verified(token, *, keys=KEYS, issuer=w.ISSUER, leeway=timedelta(0), now=w.NOW):
    return verify_maa_token(token, keys=keys, issuer=issuer, leeway=leeway, now=now)


def test_returns_all_that_the_service_says():
    claims = verified(SERVICE.token())
    enclave = claims.enclave
    assert (enclave.mrenclave, enclave.mrsigner) == (w.MRENCLAVE, w.MRSIGNER)
    assert (enclave.product, enclave.svn, enclave.debug) == (3, 4, False)
    assert (claims.report_data, claims.held_data) == (w.REPORT_DATA, w.HELD)
    assert (claims.issuer, claims.policy_hash) == (w.ISSUER, w.POLICY_HASH)
    assert (claims.issued_at, claims.expires_at) == (w.NOW, w.NOW + timedelta(hours=8))


def test_reads_the_older_names_alone_or_beside_the_newer():
    expected = verified(SERVICE.token()).enclave
    assert verified(SERVICE.token({**w.OLDER, **w.NO_NEWER})).enclave == expected
    assert verified(SERVICE.token(w.OLDER)).enclave == expected


def test_report_data_and_held_data_may_be_missing():
    claims = verified(SERVICE.token({"x_ms_sgx_report_data": None, "x_ms_sgx_ehd": None}))
    assert claims.report_data is None
    assert claims.held_data is None


@pytest.mark.parametrize(("name", "value"), list(w.OLDER.items()))
def test_rejects_sets_of_claims_that_differ(name, value):
    other = {False: True, 3: 4, 4: 5}.get(value, "33" * 32) if name != "tee" else "tpm"
    with pytest.raises(VerificationError, match=r"sets of claims|tee"):
        verified(SERVICE.token({**w.OLDER, name: other}))


@pytest.mark.parametrize("name", [*w.OLDER, *w.NO_NEWER])
def test_refuses_half_a_set_of_claims(name):
    with pytest.raises(MalformedError, match="missing"):
        verified(SERVICE.token({**w.OLDER, name: None}))


@pytest.mark.parametrize("algorithm", ["none", "None", "HS256", "RS384", "PS256", "ES256", "rs256", ""])
def test_refuses_every_algorithm_but_one(algorithm):
    with pytest.raises(VerificationError, match="only RS256"):
        verified(SERVICE.token(header={"alg": algorithm}))


def test_refuses_an_unsigned_token():
    unsigned = SERVICE.token(header={"alg": "none"}).rsplit(b".", 1)[0] + b"."
    with pytest.raises(VerificationError, match="only RS256"):
        verified(unsigned)
    with pytest.raises(VerificationError, match="signature"):
        verified(SERVICE.token().rsplit(b".", 1)[0] + b".")


def test_refuses_a_mac_made_with_the_public_key():
    # The classic confusion: the algorithm is the token's choice, and the "secret" is public.
    header = json.dumps({"alg": "HS256", "kid": "first"}).encode()
    signed = w.b64url(header) + b"." + w.b64url(json.dumps(w.all_claims()).encode())
    mac = hashlib.sha256(SERVICE.certificate() + signed).digest()
    with pytest.raises(VerificationError, match="only RS256"):
        verified(signed + b"." + w.b64url(mac))


def test_refuses_an_unknown_key_and_never_tries_another():
    with pytest.raises(VerificationError, match="no key of the service"):
        verified(SERVICE.token(header={"kid": "third"}))
    with pytest.raises(VerificationError, match="signature does not verify"):
        verified(SERVICE.token(header={"kid": "second"}))
    assert verified(OTHER.token()).issuer == w.ISSUER


def test_refuses_parts_of_two_tokens():
    first, second = SERVICE.token(), SERVICE.token({"svn": 9, **w.OLDER, "x_ms_sgx_svn": 9})
    head, _, signature = first.split(b".")
    with pytest.raises(VerificationError, match="signature does not verify"):
        verified(b".".join((head, second.split(b".")[1], signature)))


def test_believes_no_short_key_and_no_certificate_out_of_date():
    short = w.Service(bits=1024)
    with pytest.raises(VerificationError, match="1024 bits"):
        verified(short.token(), keys=parse_key_set(w.key_set(short.jwk())))
    old = base64.b64encode(SERVICE.certificate(end=w.NOW - timedelta(minutes=1))).decode()
    with pytest.raises(VerificationError, match="certificate: valid from"):
        verified(SERVICE.token(), keys=parse_key_set(w.key_set(SERVICE.jwk(x5c=[old]))))


@pytest.mark.parametrize(
    "issuer", [w.ISSUER + "/", w.ISSUER.upper(), "https://other.test.attest.azure.net", "http" + w.ISSUER[5:]]
)
def test_rejects_another_issuer(issuer):
    with pytest.raises(VerificationError, match="iss:"):
        verified(SERVICE.token(header={"jku": None}), issuer=issuer)


def test_rejects_a_key_set_address_that_is_not_the_issuers_and_does_without():
    with pytest.raises(VerificationError, match="jku"):
        verified(SERVICE.token(header={"jku": "https://evil.test/certs"}))
    assert verified(SERVICE.token(header={"jku": None, "typ": None})).issuer == w.ISSUER


START = int(w.NOW.timestamp())


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        ({"exp": START}, "within a day"),
        ({"exp": START - 1}, "within a day"),
        ({"iat": START - 20, "nbf": START + 9, "exp": START + 5}, "within a day"),
        ({"exp": START + 86_401}, "within a day"),
        ({"iat": START - 100, "nbf": START - 100, "exp": START - 1}, "has passed"),
        ({"iat": START - 100, "nbf": START - 100, "exp": START - 60}, "has passed"),
        ({"nbf": START + 61}, "is to come"),
        ({"iat": START + 61}, "is to come"),
    ],
)
def test_rejects_times(claims, message):
    with pytest.raises(VerificationError, match=message):
        verified(SERVICE.token(claims), leeway=timedelta(0))


def test_leeway_is_for_clocks_that_differ():
    minute = timedelta(minutes=1)
    late = SERVICE.token({"iat": START - 100, "nbf": START - 100, "exp": START - 59})
    early = SERVICE.token({"iat": START + 60, "nbf": START + 60})
    for token in (late, early):
        assert verified(token, leeway=minute).issuer == w.ISSUER
        with pytest.raises(VerificationError):
            verified(token)
    with pytest.raises(VerificationError, match="has passed"):
        verified(SERVICE.token({"iat": START - 100, "nbf": START - 100, "exp": START - 60}), leeway=minute)
    with pytest.raises(VerificationError, match="is to come"):
        verified(SERVICE.token({"nbf": START + 61}), leeway=minute)


def test_dates_at_the_end_of_the_calendar_are_no_accident():
    end = 253_402_300_799
    with pytest.raises(VerificationError):
        verified(SERVICE.token({"iat": end - 1, "nbf": end - 1, "exp": end}), leeway=timedelta(minutes=5))
    with pytest.raises(VerificationError):
        verified(SERVICE.token({"iat": 0, "nbf": 0, "exp": 1}))
    with pytest.raises(MalformedError):
        verified(SERVICE.token({"exp": end + 1}))


@pytest.mark.parametrize(
    "claims",
    [{"x_ms_attestation_type": "tpm"}, {"x_ms_attestation_type": "openenclave"}, {"x_ms_ver": "2.0"}],
)
def test_rejects_another_kind_or_version(claims):
    with pytest.raises(VerificationError, match="expected"):
        verified(SERVICE.token(claims))


@pytest.mark.parametrize(
    "claims",
    [
        {"x_ms_sgx_is_debuggable": "False,"},
        {"x_ms_sgx_is_debuggable": 0},
        {"x_ms_sgx_is_debuggable": "False"},
        {"x_ms_sgx_mrenclave": "11" * 31},
        {"x_ms_sgx_mrsigner": "zz" * 32},
        {"x_ms_sgx_report_data": "11" * 32},
        {"x_ms_sgx_product_id": 65_536},
        {"x_ms_sgx_svn": -1},
        {"x_ms_sgx_svn": True},
        {"x_ms_sgx_ehd": "a==="},
        {"x_ms_sgx_ehd": "é"},
        {"x_ms_policy_hash": "AAAA"},
        {"x_ms_policy_hash": None},
        {"x_ms_attestation_type": None},
        {"x_ms_ver": 1},
        {"iss": None},
        {"exp": None},
        {"exp": "1"},
        {"iat": START + 0.5},
        {"nbf": [START]},
        w.NO_NEWER,
    ],
)
def test_refuses_claims_that_are_not_what_they_should_be(claims):
    with pytest.raises(MalformedError):
        verified(SERVICE.token(claims))


def test_rejects_held_data_that_is_not_bound_or_not_one():
    other = w.b64url(b"something else").decode()
    with pytest.raises(VerificationError, match="does not bind"):
        verified(SERVICE.token({"x_ms_sgx_ehd": other}))
    with pytest.raises(VerificationError, match="held data differ"):
        verified(SERVICE.token({"maa_ehd": other, "x_ms_sgx_report_data": None}))
    same = w.b64url(w.HELD).decode()
    assert verified(SERVICE.token({"maa_ehd": same, "aas_ehd": same})).held_data == w.HELD


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"..",
        b"a.b",
        SERVICE.token() + b".e",
        SERVICE.token() + b"=",
        SERVICE.token() + b"\n",
        b" " + SERVICE.token(),
        SERVICE.token().replace(b".", b"..", 1),
        b"a" * (MAX_TOKEN_BYTES + 1),
        w.b64url(b"[]") + b".e30.e30",
        w.b64url(b'{"alg":"RS256","kid":5}') + b".e30.e30",
        w.b64url(b'{"alg":"RS256"}') + b".e30.e30",
        w.b64url(b'{"kid":"first"}') + b".e30.e30",
        SERVICE.token(header={"typ": "at+jwt"}),
        SERVICE.token(header={"crit": ["b64"], "b64": False}),
        SERVICE.token(header={"x5c": ["certificate"]}),
        SERVICE.token(header={"jwk": {}}),
        SERVICE.token(header={"jku": 7}),
        SERVICE.token(header={"kid": "k" * 129}),
        SERVICE.token(raw_header=b'{"alg":"none","alg":"RS256","kid":"first"}'),
        SERVICE.token(raw_header=b"{" * 50_000),
        SERVICE.token(raw_header='{"alg":"RS256","kid":"ä"}'.encode()),
    ],
)
def test_refuses_what_is_no_token_before_any_key_is_used(raw):
    with pytest.raises(MalformedError):
        parse_web_token(raw)


@pytest.mark.parametrize(
    "raw_claims",
    [
        b"[]",
        b"null",
        b"",
        b"[" * 30_000,
        json.dumps(w.all_claims())[:-1].encode() + b',"iss":"https://evil.test"}',
        json.dumps(w.all_claims())[:-1].encode() + b',"x-ms-sgx-svn":1e400}',
        json.dumps(w.all_claims())[:-1].encode() + b',"more":' + b"9" * 5000 + b"}",
    ],
)
def test_refuses_payloads_however_well_signed(raw_claims):
    with pytest.raises(MalformedError):
        verified(SERVICE.token(raw_claims=raw_claims))


def test_refuses_a_token_that_is_too_large_in_whichever_part():
    header, _, signature = SERVICE.token().split(b".")
    with pytest.raises(MalformedError, match="at most"):
        parse_web_token(b".".join((header, w.b64url(bytes(MAX_TOKEN_BYTES * 3 // 4)), signature)))


def test_one_token_has_one_text():
    # The last character of base64 has unused bits: other texts for the same signature.
    token = SERVICE.token()
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    place = alphabet.index(token[-1])
    twin = token[:-1] + bytes([alphabet[place ^ 1]])
    with pytest.raises(MalformedError, match="canonical"):
        verified(twin)


def test_every_truncation_and_flip_is_refused():
    token = SERVICE.token()
    source = random.Random(8)
    for size in range(0, len(token), 9):
        with pytest.raises((MalformedError, VerificationError)):
            verified(token[:size])
    for _ in range(600):
        flipped = bytearray(token)
        flipped[source.randrange(len(token))] ^= 1 << source.randrange(8)
        with pytest.raises((MalformedError, VerificationError)):
            verified(bytes(flipped))


JWK = SERVICE.jwk()


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "not JSON"),
        (b"[]", "exactly keys"),
        (b"{}", "exactly keys"),
        (json.dumps({"keys": [JWK], "next": ""}).encode(), "exactly keys"),
        (w.key_set(), "no keys"),
        (w.key_set("key"), "array of objects"),
        (w.key_set(*[JWK] * 33), "at most 32"),
        (w.key_set(JWK, JWK), "stands twice"),
        (w.key_set(SERVICE.jwk(kid="")), "empty"),
        (w.key_set(SERVICE.jwk(kid=None)), "kid: missing"),
        (w.key_set(SERVICE.jwk(x5c=None)), "x5c: missing"),
        (w.key_set(SERVICE.jwk(n="AQAB", e="AQAB")), "unknown member"),
        (w.key_set(SERVICE.jwk(kty="EC")), "kty"),
        (w.key_set(SERVICE.jwk(kty=None)), "kty"),
        (w.key_set(SERVICE.jwk(alg="PS384")), "alg"),
        (w.key_set(SERVICE.jwk(use="enc")), "use"),
        (w.key_set(SERVICE.jwk(x5c=[])), "no certificates"),
        (w.key_set(SERVICE.jwk(x5c=["A"] * 9)), "at most 8"),
        (w.key_set(SERVICE.jwk(x5c=["*"])), "not base64"),
        (w.key_set(SERVICE.jwk(x5c=["ä"])), "not base64"),
        (w.key_set(SERVICE.jwk(x5c=["AB=="])), "not canonical"),
        (w.key_set(SERVICE.jwk(x5c=["AAAA"])), "certificate"),
        (bytes(MAX_KEY_SET_BYTES + 1), "at most"),
    ],
)
def test_refuses_key_sets(raw, message):
    with pytest.raises(MalformedError, match=message):
        parse_key_set(raw)


def test_refuses_a_key_set_with_a_key_that_is_not_rsa():
    certificate = SERVICE.certificate(ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(MalformedError, match="not a certificate of an RSA key"):
        parse_key_set(w.key_set(SERVICE.jwk(x5c=[base64.b64encode(certificate).decode()])))


def test_reads_a_key_set_with_the_members_that_agree_anyhow():
    assert set(parse_key_set(w.key_set(SERVICE.jwk(alg="RS256", use="sig"))).certificates) == {"first"}


# What becomes of the published tokens, each at the moment that it was issued, by its own issuer's name.
PUBLISHED = {
    "accepted": 24,
    "rsa key of 1024 bits": 14,
    "x-ms-attestation-type: missing": 6,
    "only RS256 is a signature": 2,
    "no key of the service's set": 1,
}


def test_published_tokens_are_accepted_or_refused_as_they_should():
    if not (FOLDER / "jwks").exists():
        pytest.skip(f"no published tokens: set SEALROOM_VECTORS, {FOLDER} is not there")
    keys = parse_key_set((FOLDER / "jwks" / "675e314ed1.json").read_bytes())
    found = dict.fromkeys(PUBLISHED, 0)
    for file in sorted(FOLDER.glob("*.jwt")):
        raw = file.read_bytes()
        payload = json.loads(base64.urlsafe_b64decode(raw.split(b".")[1] + b"=="))
        outcome = published_outcome(raw, payload, keys)
        found[next(name for name in PUBLISHED if name in outcome)] += 1
    print(f"\npublished tokens: {sum(found.values())}, {found}", file=sys.stderr)
    assert found == PUBLISHED


def published_outcome(raw, payload, keys):
    now = datetime.fromtimestamp(payload["iat"], UTC)
    try:
        claims = verified(raw, keys=keys, issuer=payload["iss"], now=now)
    except SealroomError as refusal:
        return str(refusal)
    assert claims.enclave.mrenclave.hex() == payload["x-ms-sgx-mrenclave"]
    with pytest.raises(VerificationError, match="has passed"):
        verified(raw, keys=keys, issuer=payload["iss"], now=claims.expires_at)
    return "accepted"


def test_published_key_sets_of_the_service_are_read_and_others_refused():
    files = sorted(FOLDER.glob("jwks*.json"))
    if not files:
        pytest.skip(f"no published key sets: set SEALROOM_VECTORS, {FOLDER} is not there")
    for file in files:
        if "azure" in file.name:
            assert len(parse_key_set(file.read_bytes()).certificates) == 5
        else:
            with pytest.raises(MalformedError):
                parse_key_set(file.read_bytes())
    print(f"\npublished key sets: {len(files)}", file=sys.stderr)
