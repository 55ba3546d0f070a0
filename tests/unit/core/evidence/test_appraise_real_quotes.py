"""Genuine quotes in somebody else's evidence: real, well judged, and refused for what they measure."""

import json
import os
from datetime import datetime
from pathlib import Path

import evidence_world as w
import pytest

from sealroom.adapters.policies import load_policy
from sealroom.core.evidence.verdict import Decision, Outcome, Verdict
from sealroom.core.wire.bundle import RawCollateral

_REPOSITORY = Path(__file__).parents[4]
_FOLDER = Path(os.environ.get("SEALROOM_VECTORS", _REPOSITORY.parent / "shared" / "vectors")) / "evidence"
_REFUSED = {"PCKCertNotInValidity", "ERR TCBNotSupported"}


@pytest.fixture(scope="module")
def judged() -> list[tuple[dict, dict, Verdict]]:
    """Each genuine quote with the first collateral that gives it a status, and our verdict."""
    index = _FOLDER / "INDEX.json"
    if not index.is_file():
        pytest.skip(f"no genuine quotes at {_FOLDER}: set SEALROOM_VECTORS to the folder that has them")
    honest = w.world().bundle
    made = []
    for entry in json.loads(index.read_text())["entries"]:
        wanted = next((e for e in entry.get("expected", ()) if e["expected"] not in _REFUSED), None)
        if wanted is not None and entry["kind"].startswith(("sgx-quote", "tdx-quote")):
            made.append((entry, wanted, _appraised(honest, entry["file"], wanted)))
    print(f"{len(made)} genuine quotes appraised")
    return made


def _appraised(honest, file: str, wanted: dict) -> Verdict:
    collateral = _FOLDER / "collateral" / "bundles" / f"{wanted['bundle']}.json"
    shown = {
        "quote": (_FOLDER / file).read_bytes(),
        "collateral": RawCollateral.from_json(collateral.read_bytes()),
    }
    return w.appraise(
        w.replace(honest, **shown).to_bytes(),
        policy=load_policy("insecure-any-status"),
        expected=w.expectations(),
        release=w.RELEASE,
        wheels={},
        roots=w.ROOTS,
        now=datetime.fromisoformat(wanted["at"]),
    )


def test_genuine_quotes_are_genuine_and_judged_as_intel_judges_them(judged) -> None:
    assert judged
    for entry, wanted, verdict in judged:
        quote, platform = verdict.groups[0], verdict.groups[1]
        assert (entry["file"], quote.outcome, platform.outcome) == (
            entry["file"],
            Outcome.PASSED,
            Outcome.PASSED,
        )
        assert verdict.status == wanted["expected"]
        assert verdict.advisories == tuple(sorted(wanted["advisories"]))


def test_genuine_quotes_of_other_enclaves_are_refused_and_never_called_simulated(judged) -> None:
    for entry, _, verdict in judged:
        failed = {check.name for check in verdict.failures}
        expected = {"measurement.mrenclave", "keys.report-data"} if entry["tee"] == "SGX" else {"enclave.tee"}
        assert failed - {"enclave.debug", "enclave.config"} == expected
        assert ("enclave.debug" in failed) is bool(entry["debug"])
        assert verdict.decision is Decision.REFUSED
        assert not verdict.passed_but_simulated
