"""How fast quotes are verified, beside dcap-qvl (Rust) on the same quotes in the same run.

Everything is checked each time. *From scratch*: nothing is kept from one verification to the next. *Documents
reused*: collateral, its chains and its lists were verified once; the PCK certificate, the quoting enclave's
report and the quote are verified each time. *Steps* are the checks of `core.attestation`, which raise;
*verdict* is `appraise_quote`, which also says every check in words and applies a policy.

The columns are medians in microseconds and their ratio to dcap-qvl from scratch: below 1, sealroom is faster.
"""

import importlib
import json
import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import ModuleType

from sealroom.adapters.policies import load_policy
from sealroom.core.attestation.collateral import (
    VerifiedCollateral,
    check_not_revoked,
    check_reusable,
    claimed_window,
    parse_collateral,
    verify_collateral,
)
from sealroom.core.attestation.memo import Memo
from sealroom.core.attestation.pck import VerifiedPck, parse_pck_certificates, verify_pck_chain
from sealroom.core.attestation.quote import parse_quote
from sealroom.core.attestation.quote_checks import (
    VerifiedQuote,
    check_not_debug,
    check_trailing,
    verify_isv_signature,
    verify_quote_signatures,
)
from sealroom.core.attestation.roots import INTEL_SGX_ROOT_KEY
from sealroom.core.attestation.tcb import TcbVerdict, match_tcb
from sealroom.core.evidence.lone_quote import appraise_quote
from sealroom.core.wire.bundle import RawCollateral

ROUNDS = 400
SECONDS_OF_THREADS = 1.0
_BESIDE = Path(__file__).parents[2] / "shared" / "vectors"
VECTORS = Path(os.environ.get("SEALROOM_VECTORS", _BESIDE)) / "evidence"
KINDS = ("sgx-quote-v3", "tdx-quote-v4")
NO_QUOTES = f"evidence: no genuine quotes at {VECTORS}; set SEALROOM_VECTORS to the folder that has them"
NO_OTHER = "dcap-qvl is not installed, no ratios: it is in the dev extra"
POLICY = load_policy("insecure-any-status")
ROOTS = (INTEL_SGX_ROOT_KEY,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A genuine quote, collateral that it passes with, and the moment of both."""

    name: str
    quote: bytes
    collateral: bytes
    now: datetime


def cases(other: ModuleType | None) -> list[Case]:
    """Choose the first quote of each kind that every verifier here accepts."""
    chosen: dict[str, Case] = {}
    for entry in json.loads((VECTORS / "INDEX.json").read_text())["entries"]:
        if entry["kind"] not in KINDS or entry["kind"] in chosen or entry["debug"]:
            continue
        for wanted in entry.get("expected", ()):
            case = Case(
                name=entry["kind"],
                quote=(VECTORS / entry["file"]).read_bytes(),
                collateral=(VECTORS / "collateral" / "bundles" / f"{wanted['bundle']}.json").read_bytes(),
                now=datetime.fromisoformat(wanted["at"]),
            )
            if _judged_by_all(case, other):
                chosen[entry["kind"]] = case
                break
    return list(chosen.values())


def _judged_by_all(case: Case, other: ModuleType | None) -> bool:
    if not verdict_from_scratch(case):
        return False
    try:
        by_other(case, other)
    except ValueError:
        return False
    return True


def by_other(case: Case, other: ModuleType | None) -> object:
    """Verify with dcap-qvl, reading the same two files."""
    if other is None:
        return None
    collateral = other.QuoteCollateralV3.from_json(case.collateral.decode())
    return other.verify(case.quote, collateral, int(case.now.timestamp()))


def verdict_from_scratch(case: Case) -> bool:
    """Judge a case with all words."""
    return appraise_quote(case.quote, case.collateral, policy=POLICY, roots=ROOTS, now=case.now).accepted


def verify_quote(case: Case, memo: Memo) -> tuple[VerifiedQuote, VerifiedPck]:
    """Do the steps of the quote's side."""
    quote = parse_quote(case.quote)
    check_trailing(quote, accept_zero_padding=False)
    check_not_debug(quote.body)
    pck = verify_pck_chain(parse_pck_certificates(quote.certification, memo=memo), now=case.now, memo=memo)
    return verify_quote_signatures(quote, pck, memo=memo), pck


def steps_from_scratch(case: Case) -> TcbVerdict:
    """Do the steps with nothing kept."""
    memo = Memo()
    verified, pck = verify_quote(case, memo)
    parsed = parse_collateral(RawCollateral.from_json(case.collateral), memo=memo)
    documents = verify_collateral(parsed, root_key=pck.root_key, now=case.now, memo=memo)
    return _judged(verified, pck, documents)


def steps_reused(case: Case, documents: VerifiedCollateral) -> TcbVerdict:
    """Do the steps with documents that were verified before."""
    memo = Memo(documents.known)
    verified, pck = verify_quote(case, memo)
    check_reusable(documents, pck, case.now)
    return _judged(verified, pck, documents)


def _judged(verified: VerifiedQuote, pck: VerifiedPck, documents: VerifiedCollateral) -> TcbVerdict:
    check_not_revoked(pck, root_crl=documents.root_crl, pck_crl=documents.pck_crl)
    return match_tcb(verified, tcb_info=documents.tcb_info, qe_identity=documents.qe_identity)


def medians(works: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Give the median seconds of each, measured in turn so that all see the same machine."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            started = time.perf_counter()
            work()
            times[name].append(time.perf_counter() - started)
    return {name: statistics.median(taken) for name, taken in times.items()}


def in_threads(work: Callable[[], object], threads: int) -> float:
    """Give verifications a second of so many threads together."""
    ends = time.perf_counter() + SECONDS_OF_THREADS

    def until_the_end(_: int) -> int:
        count = 0
        while time.perf_counter() < ends:
            work()
            count += 1
        return count

    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(until_the_end, range(threads))) / SECONDS_OF_THREADS


def measure(case: Case, other: ModuleType | None) -> None:
    """Print the tables of one case."""
    documents = _documents(case)
    works: dict[str, Callable[[], object]] = {
        "steps, from scratch": lambda: steps_from_scratch(case),
        "verdict, from scratch": lambda: verdict_from_scratch(case),
        "steps, documents reused": lambda: steps_reused(case, documents),
        "verdict, documents reused": lambda: appraise_quote(
            case.quote, documents, policy=POLICY, roots=ROOTS, now=case.now
        ),
    }
    if other is not None:
        works["dcap-qvl, from scratch"] = lambda: by_other(case, other)
    taken = medians(works)
    base = taken.get("dcap-qvl, from scratch")
    print(f"{case.name:26} {'median':>10} {'ratio':>7} {'1 thread':>12} {'2 threads':>12}")
    for name, seconds in taken.items():
        ratio = f"{seconds / base:>7.2f}" if base else f"{'':>7}"
        one, two = in_threads(works[name], 1), in_threads(works[name], 2)
        print(f"  {name:24} {seconds * 1e6:>7.0f} us {ratio} {one:>10.0f}/s {two:>10.0f}/s", flush=True)
    print_where_time_goes(case)


def _documents(case: Case) -> VerifiedCollateral:
    memo = Memo()
    parsed = parse_collateral(RawCollateral.from_json(case.collateral), memo=memo)
    return verify_collateral(parsed, root_key=INTEL_SGX_ROOT_KEY, now=case.now, memo=memo)


def print_where_time_goes(case: Case) -> None:
    """Print the parts of the steps from scratch."""
    raw = RawCollateral.from_json(case.collateral)
    quote = parse_quote(case.quote)
    parsed = parse_collateral(raw)
    parts = medians(
        {
            "one signature": lambda: verify_isv_signature(quote),
            "collateral file": lambda: RawCollateral.from_json(case.collateral),
            "chains and lists": lambda: parse_collateral(raw, memo=Memo()),
            "TCB info, QE identity": lambda: claimed_window(parsed),
            "quote": lambda: parse_quote(case.quote),
            "PCK certificates": lambda: parse_pck_certificates(quote.certification, memo=Memo()),
        }
    )
    signature = parts.pop("one signature")
    print(
        f"  where it goes: nine signatures {9 * signature * 1e6:.0f} us ({signature * 1e6:.0f} each)", end=""
    )
    print("".join(f", {name} {seconds * 1e6:.0f}" for name, seconds in parts.items()))


def main() -> int:
    """Print the tables, or say what is missing."""
    if not (VECTORS / "INDEX.json").is_file():
        print(NO_QUOTES)
        return 0
    try:
        other: ModuleType | None = importlib.import_module("dcap_qvl")
    except ImportError:
        other = None
        print(NO_OTHER)
    for case in cases(other):
        measure(case, other)
    return 0
