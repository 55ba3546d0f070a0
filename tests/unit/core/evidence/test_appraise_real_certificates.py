"""Published RA-TLS certificates with Intel's own collateral, through the whole appraisal."""

import json
import os
import sys
from datetime import datetime
from pathlib import Path

import pytest

from sealroom.adapters.policies import load_policy
from sealroom.core.attestation.ratls import parse_ratls_certificate
from sealroom.core.attestation.roots import INTEL_SGX_ROOT_KEY
from sealroom.core.errors import VerificationError
from sealroom.core.evidence.certificate import (
    appraise_certificate,
    insecure_verify_simulated_certificate,
    verify_certificate,
)
from sealroom.core.wire.ra_tls import KeyBinding

ROOT = Path(__file__).parents[4]
FOLDER = Path(os.environ.get("SEALROOM_VECTORS", ROOT.parent / "shared" / "vectors")) / "evidence"

if not (FOLDER / "INDEX.json").exists():
    pytest.skip(
        f"no genuine certificates: set SEALROOM_VECTORS, {FOLDER} is not there", allow_module_level=True
    )

ENTRIES = json.loads((FOLDER / "INDEX.json").read_text())["entries"]
# Both certificates are of platforms of this kind.
BUNDLES = [
    entry
    for entry in ENTRIES
    if entry["kind"] == "collateral-bundle" and (entry["tee"], entry["fmspc"]) == ("SGX", "00606a000000")
]


def certificate(name):
    return next((FOLDER / "ratls").glob(f"{name}_*.der")).read_bytes()


LONG_LIVED = certificate("inclavare-containers-rats-tls-cert-openssl-sample")
OF_A_MINUTE = certificate("inclavare-containers-demo-sgx-cert")


def asked(raw, bundle, *, function=appraise_certificate, binding):
    return function(
        raw,
        (FOLDER / bundle["file"]).read_bytes(),
        binding=binding,
        policy=load_policy("insecure-any-status"),
        roots=(INTEL_SGX_ROOT_KEY,),
        now=datetime.fromisoformat(bundle["verify_at"]),
    )


def test_a_genuine_certificate_is_accepted_with_every_bundle_of_its_platform():
    expected = parse_ratls_certificate(LONG_LIVED).certificate.key
    statuses = set()
    for bundle in BUNDLES:
        found = asked(LONG_LIVED, bundle, function=verify_certificate, binding=KeyBinding.RSA_PUBLIC_KEY)
        assert found.key == expected
        assert found.verdict.accepted
        statuses.add(found.verdict.status)
        with pytest.raises(VerificationError):
            asked(
                LONG_LIVED,
                bundle,
                function=insecure_verify_simulated_certificate,
                binding=KeyBinding.RSA_PUBLIC_KEY,
            )
        other = asked(LONG_LIVED, bundle, binding=KeyBinding.SUBJECT_PUBLIC_KEY_INFO)
        assert [check.name for check in other.failures] == ["key.binding"]
    print(f"\ngenuine RA-TLS certificate with {len(BUNDLES)} bundles: {sorted(statuses)}", file=sys.stderr)
    assert BUNDLES


def test_a_genuine_certificate_of_a_debug_enclave_is_refused_for_what_it_is():
    for bundle in BUNDLES:
        verdict = asked(OF_A_MINUTE, bundle, binding=KeyBinding.CLAIMS_BUFFER)
        failures = [check.name for check in verdict.failures]
        # It was valid for one minute, for which nobody published collateral; its PCK certificate is of 2024.
        assert set(failures) - {"quote.chain"} <= {"certificate.dates", "enclave.debug"}
        assert "certificate.dates" in failures
        assert ("enclave.debug" in failures) is ("quote.chain" not in failures)
