"""Throw changed quotes, collateral, certificates, lists and policies at the verifier; docs/fuzzing.md.

    python tools/fuzz_evidence.py --count 1000000 --seed 1

Each input is a genuine one, changed in one to six places. A parser must return a value or raise
`MalformedError`. An appraisal must raise nothing, and where it finds nothing wrong, what it found must be
what the genuine input says. Each must be done with within two seconds. The first one that breaks a rule is
written to a file, and the exit code is 1.

Starts from a simulated platform made on the spot, and from genuine quotes where SEALROOM_VECTORS (or
`../shared/vectors`) has them.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sealroom.adapters.policies import load_policy, read_policy
from sealroom.core.attestation.certificates import parse_certificate
from sealroom.core.attestation.chain import parse_chain
from sealroom.core.attestation.collateral import parse_collateral
from sealroom.core.attestation.crl import parse_crl
from sealroom.core.attestation.pck import parse_pck_certificates
from sealroom.core.attestation.pck_extension import SGX_EXTENSION, parse_pck_extension
from sealroom.core.attestation.qe_identity import read_qe_identity
from sealroom.core.attestation.quote import parse_quote
from sealroom.core.attestation.roots import INTEL_SGX_ROOT_KEY
from sealroom.core.attestation.tcb_info import read_tcb_info
from sealroom.core.attestation.tcb_status import TcbStatus
from sealroom.core.errors import MalformedError
from sealroom.core.evidence.lone_quote import appraise_quote
from sealroom.core.evidence.policy import Policy
from sealroom.core.evidence.verdict import Verdict
from sealroom.core.wire import strict_json
from sealroom.core.wire.bundle import EvidenceBundle, RawCollateral
from sealroom.core.wire.code_list import CodeFile, CodeList
from sealroom.insecure.collateral import make_collateral
from sealroom.insecure.pki import SimulationPki
from sealroom.insecure.quoting import QuotingEnclave, ReportBody

ROOT = Path(__file__).parents[1]
VECTORS = Path(os.environ.get("SEALROOM_VECTORS", ROOT.parent / "shared" / "vectors")) / "evidence"
MAX_SECONDS = 2.0
STATUSES = {status.value for status in TcbStatus}
MADE_AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)
TOKENS = (b"{", b"}", b"[", b"]", b'"', b",", b":", b"\\u0000", b"1e9", b"-1", b"null", b"\n", b"=", b"-----")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """A genuine quote with its collateral, and the moment at which both hold."""

    name: str
    quote: bytes
    collateral: bytes
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is fed with changed inputs: `run` raises `MalformedError` or returns what it found."""

    name: str
    weight: int
    inputs: tuple[bytes, ...]
    run: Callable[[bytes], object]


class BrokenRuleError(Exception):
    """A changed input passed as something that the genuine one does not say."""


def simulated_seed() -> Seed:
    pki = SimulationPki.generate(now=MADE_AT)
    collateral = json.dumps(make_collateral(pki, now=MADE_AT)).encode()
    quote = QuotingEnclave(pki).quote(ReportBody(mrenclave=bytes(range(32)), report_data=bytes(64)))
    return Seed(name="simulated", quote=quote, collateral=collateral, at=MADE_AT)


def genuine_seeds() -> list[Seed]:
    """Return one genuine quote of each version with collateral that it passes with."""
    index = VECTORS / "INDEX.json"
    if not index.is_file():
        return []
    seeds: dict[str, Seed] = {}
    for entry in json.loads(index.read_text())["entries"]:
        wanted = (
            next((e for e in entry.get("expected", ()) if e["expected"] in STATUSES), None)
            if _fits(entry)
            else None
        )
        if wanted is not None and entry["kind"] not in seeds:
            seeds[entry["kind"]] = Seed(
                name=entry["kind"],
                quote=(VECTORS / entry["file"]).read_bytes(),
                collateral=(VECTORS / "collateral" / "bundles" / f"{wanted['bundle']}.json").read_bytes(),
                at=datetime.fromisoformat(wanted["at"]),
            )
    return list(seeds.values())


def _fits(entry: dict[str, object]) -> bool:
    return str(entry["kind"]).startswith(("sgx-quote", "tdx-quote")) and not entry["debug"]


def found(verdict: Verdict) -> tuple[object, ...] | None:
    """Return what a verdict with nothing wrong in it says."""
    if not (verdict.accepted or verdict.passed_but_simulated):
        return None
    return verdict.decision, verdict.status, verdict.advisories, verdict.mrenclave


def appraisal_targets(seed: Seed) -> list[Target]:
    policy = load_policy("insecure-any-status")

    def appraised(quote: bytes, collateral: bytes) -> tuple[object, ...] | None:
        roots = (INTEL_SGX_ROOT_KEY,)
        return found(appraise_quote(quote, collateral, policy=policy, roots=roots, now=seed.at))

    genuine = appraised(seed.quote, seed.collateral)
    signed = parse_quote(seed.quote).signed

    def quote(changed: bytes) -> object:
        result = appraised(changed, seed.collateral)
        if result is not None and (result != genuine or parse_quote(changed).signed != signed):
            raise BrokenRuleError(f"a changed quote passed as {result}")
        return "passed" if result else "refused"

    def collateral(changed: bytes) -> object:
        result = appraised(seed.quote, changed)
        if result is not None and result != genuine:
            raise BrokenRuleError(f"changed collateral passed as {result}")
        return "passed" if result else "refused"

    return [
        Target(name=f"appraise quote, {seed.name}", weight=4, inputs=(seed.quote,), run=quote),
        Target(name=f"appraise collateral, {seed.name}", weight=2, inputs=(seed.collateral,), run=collateral),
    ]


def targets(seeds: list[Seed]) -> list[Target]:
    quotes = tuple(seed.quote for seed in seeds)
    raws = tuple(RawCollateral.from_json(seed.collateral) for seed in seeds)
    chains = tuple(parse_pck_certificates(parse_quote(quote).certification) for quote in quotes)
    certificates = tuple(certificate.raw for chain in chains for certificate in chain.certificates)
    crls = tuple(bytes.fromhex(text) for raw in raws for text in (raw.root_ca_crl, raw.pck_crl))
    extensions = tuple(chain.leaf.extensions[SGX_EXTENSION] for chain in chains)
    pems = tuple(raw.pck_crl_issuer_chain.encode() for raw in raws)
    policies = tuple(read_policy(name) for name in ("strict", "up-to-date", "insecure-any-status"))
    made = [
        Target(name="quote", weight=20, inputs=quotes, run=parse_quote),
        Target(name="certificate", weight=14, inputs=certificates, run=parse_certificate),
        Target(name="pck extension", weight=8, inputs=extensions, run=parse_pck_extension),
        Target(name="crl", weight=8, inputs=crls, run=lambda raw: parse_crl(raw, name="crl")),
        Target(name="chain", weight=6, inputs=pems, run=lambda raw: parse_chain(raw, length=2, name="chain")),
        Target(
            name="collateral",
            weight=8,
            inputs=tuple(seed.collateral for seed in seeds),
            run=lambda raw: parse_collateral(RawCollateral.from_json(raw)),
        ),
        document_target("tcb info", tuple(raw.tcb_info.encode() for raw in raws), read_tcb_info),
        document_target("qe identity", tuple(raw.qe_identity.encode() for raw in raws), read_qe_identity),
        Target(name="policy", weight=4, inputs=policies, run=Policy.from_toml),
        Target(name="bundle", weight=4, inputs=(bundle(seeds[0]),), run=EvidenceBundle.from_bytes),
    ]
    return made + [target for seed in seeds for target in appraisal_targets(seed)]


def document_target(name: str, inputs: tuple[bytes, ...], read: Callable[..., object]) -> Target:
    def run(raw: bytes) -> object:
        value = strict_json.decode_json(raw, field=name, max_bytes=1 << 18)
        if not isinstance(value, dict):
            raise MalformedError(f"{name}: not an object")
        return read(value)

    return Target(name=name, weight=8, inputs=inputs, run=run)


def bundle(seed: Seed) -> bytes:
    """Return a small bundle; what its members say is not looked at by its parser."""
    entry = CodeFile(path="run.py", size=1, sha256=bytes(32))
    return EvidenceBundle(
        release="0.1.0",
        quote=seed.quote,
        identity_pk=bytes(32),
        collateral=RawCollateral.from_json(seed.collateral),
        manifest=b"",
        arguments=b"",
        entry_point=b"\n",
        requirements=None,
        code_list=CodeList.from_files((entry,)),
        code_signature=bytes(64),
        sigstruct=None,
        pal=b"",
    ).to_bytes()


def change(raw: bytes, source: random.Random) -> bytes:
    """Return `raw` changed in one to six places; what comes out is never `raw` itself."""
    data = bytearray(raw)
    while data == raw:
        for _ in range(source.choice((1, 1, 1, 2, 3, 6))):
            source.choice(CHANGES)(data, source)
    return bytes(data)


def flip_bit(data: bytearray, source: random.Random) -> None:
    if data:
        data[source.randrange(len(data))] ^= 1 << source.randrange(8)


def put_byte(data: bytearray, source: random.Random) -> None:
    if data:
        data[source.randrange(len(data))] = source.choice(
            (0, 1, 0x30, 0x7F, 0x80, 0xFF, source.randrange(256))
        )


def put_number(data: bytearray, source: random.Random) -> None:
    size, order = source.choice((1, 2, 4)), source.choice(("little", "big"))
    number = source.choice(NUMBERS) & ((1 << 8 * size) - 1)
    at = source.randrange(len(data) + 1)
    data[at : at + size] = number.to_bytes(size, order)


def change_digit(data: bytearray, source: random.Random) -> None:
    digits = [match.start() for match in re.finditer(rb"[0-9]", bytes(data[:20000]))]
    if digits:
        data[source.choice(digits)] = source.choice(b"0123456789")


def truncate(data: bytearray, source: random.Random) -> None:
    del data[source.randrange(len(data) + 1) :]


def cut(data: bytearray, source: random.Random) -> None:
    at = source.randrange(len(data) + 1)
    del data[at : at + source.choice((1, 2, 4, 16, 256))]


def repeat(data: bytearray, source: random.Random) -> None:
    at, to = source.randrange(len(data) + 1), source.randrange(len(data) + 1)
    data[to:to] = data[at : at + source.choice((1, 4, 32, 512))]


def move(data: bytearray, source: random.Random) -> None:
    at, to = source.randrange(len(data) + 1), source.randrange(len(data) + 1)
    size = source.choice((1, 2, 8, 64))
    data[to : to + size] = data[at : at + size]


def put_token(data: bytearray, source: random.Random) -> None:
    at = source.randrange(len(data) + 1)
    data[at:at] = source.choice(TOKENS) * source.choice((1, 1, 1, 2000))


CHANGES = (
    flip_bit,
    flip_bit,
    flip_bit,
    put_byte,
    put_number,
    change_digit,
    truncate,
    cut,
    repeat,
    move,
    put_token,
)


def run(chosen_targets: list[Target], *, count: int, seed: int) -> int:
    """Feed `count` changed inputs to the targets; return the exit code."""
    source = random.Random(seed)
    weights = [target.weight for target in chosen_targets]
    outcomes: Counter[tuple[str, str]] = Counter()
    slowest, started = 0.0, time.monotonic()
    for number, target in enumerate(source.choices(chosen_targets, weights, k=count)):
        changed = change(source.choice(target.inputs), source)
        before = time.perf_counter()
        try:
            result = target.run(changed)
            outcome = result if isinstance(result, str) else "a value"
        except MalformedError:
            outcome = "malformed"
        except Exception as exc:
            return report_breach(number, target, changed, repr(exc))
        took = time.perf_counter() - before
        slowest = max(slowest, took)
        if took > MAX_SECONDS:
            return report_breach(number, target, changed, f"took {took:.1f} s")
        outcomes[target.name, outcome] += 1
    for (name, outcome), times in sorted(outcomes.items()):
        print(f"{name:36} {outcome:10} {times:>9}")
    seconds = time.monotonic() - started
    print(f"{count} inputs in {seconds:.0f} s, slowest {slowest * 1000:.0f} ms, no rule broken")
    return 0


def report_breach(number: int, target: Target, changed: bytes, what: str) -> int:
    file = Path(f"fuzz-{target.name.replace(' ', '-').replace(',', '')}-{number}.bin")
    file.write_bytes(changed)
    print(f"input {number} for {target.name}: {what}; kept in {file}")
    return 1


def parse_options(description: str | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def main() -> int:
    options = parse_options(__doc__)
    return run(targets([simulated_seed(), *genuine_seeds()]), count=options.count, seed=options.seed)


if __name__ == "__main__":
    sys.exit(main())
