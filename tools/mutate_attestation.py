"""Remove each check of quote verification in turn and demand that a test goes red: docs/mutation.md.

    python tools/mutate_attestation.py                every check, and write the table anew
    python tools/mutate_attestation.py --only-new     only checks that the table does not have
    python tools/mutate_attestation.py --list         the checks, without removing any

A check is a `raise` of one of our errors in the files below. Each is replaced by `pass` in a copy of the
source, and the tests run against the copy until one fails. A check that no test misses stands in the table as
such and makes the exit code 1. That the table has exactly the checks of the source is a unit test.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
TABLE = ROOT / "docs" / "mutation.md"
ATTESTATION = "sealroom/core/attestation"
EVIDENCE = (
    "channel",
    "closed",
    "code",
    "contract",
    "genuine",
    "lone_quote",
    "maa",
    "measured",
    "packages",
    "platform",
    "policy",
    "policy_values",
    "service",
    "service_contract",
    "service_measured",
    "shown",
)
# What stands between a verified service and a key, or a caller's request, outside core.evidence.
CALLERS = {
    "sealroom/client/service/calling/challenge.py": "tests/unit/client/test_service_calling.py",
    "sealroom/client/service/calling/connecting.py": "tests/unit/client/test_service_calling.py",
    "sealroom/client/service/calling/judging.py": "tests/unit/client/test_service_calling.py",
    "sealroom/core/sealing/service_sealing.py": "tests/unit/core/sealing/test_seal_to_service.py",
}
ERRORS = frozenset({"MalformedError", "VerificationError", "CollateralError", "PolicyError", "stale"})
ATTESTATION_TESTS = (
    "tests/unit/core/attestation",
    "tests/vectors/test_attestation_vectors.py",
)
EVIDENCE_TESTS = ("tests/unit/core/evidence",)
# Bindings of a TLS key, which enclaves make and verifiers check.
SHARED = ("ra_tls",)
# Where a file's own tests are: most checks are missed there, and the rest need not run.
OWN_TESTS = {
    "cbor": "test_tagged_evidence.py",
    "certificate_walk": "test_ratls_certificates.py",
    "public_keys": "test_ratls_certificates.py",
    "ratls": "test_ratls_certificates.py",
    "maa": "test_maa_tokens.py",
    "ra_tls": "test_ratls_certificates.py",
    "maa_keys": "test_maa_tokens.py",
    "web_token": "test_maa_tokens.py",
    "der": "test_attestation_der.py",
    "pem": "test_attestation_der.py",
    "quote": "test_attestation_quote.py",
    "quote_checks": "test_attestation_quote.py",
    "reports": "test_attestation_quote.py",
    "roots": "test_attestation_quote.py",
    "tcb": "test_attestation_tcb.py",
    "tcb_info": "test_attestation_tcb.py",
    "tcb_status": "test_attestation_tcb.py",
    "tdx": "test_attestation_tcb.py",
    "document": "test_attestation_tcb.py",
    "collateral": "test_attestation_tcb.py",
    "qe_identity": "test_attestation_tcb.py",
    "closed": "test_every_check.py",
    "code": "test_every_check.py",
    "contract": "test_every_check.py",
    "measured": "test_every_check.py",
    "packages": "test_every_check.py",
    "policy": "test_policy.py",
    "service": "test_verify_service.py",
    "service_contract": "test_verify_service.py",
    "service_measured": "test_verify_service.py",
    "channel": "test_appraise_channel.py",
    "shown": "test_every_check.py",
    "policy_values": "test_policy.py",
    "genuine": "test_lone_quote.py",
    "lone_quote": "test_lone_quote.py",
    "platform": "test_lone_quote.py",
    "evidence/maa": "test_maa_policy.py",
}
# What the quick tests do not miss is looked for in these, some of which take genuine quotes.
WIDER_TESTS = (
    *ATTESTATION_TESTS,
    *EVIDENCE_TESTS,
    "tests/vectors/test_lone_genuine_quotes.py",
    "tests/vectors/test_hostile_quotes.py",
)
GENUINE = "tests/unit/core/attestation/test_attestation_real_quotes.py"
WORKERS = 2
NOT_MISSED = "**not missed by any test**"
_ROW = re.compile(r"\| `([^`]+)` \| `([^`]+)` \| `{1,2} ?(.+?) ?`{1,2} \| (.+) \|")
HEAD = """# Every check has a test that misses it

Each check of quote verification, and the test that goes red once that check alone is removed. Made by
`python tools/mutate_attestation.py`, which removes them in turn and takes a quarter of an hour; `--only-new`
after adding one. It is no part of `make test`: there, a unit test compares the rows with the source.

| file | in | check | missed by |
|---|---|---|---|
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One `raise`: where it stands and what it says. `name` does not change while others come and go."""

    file: Path
    function: str
    text: str
    first_line: int
    last_line: int
    indent: int

    @property
    def name(self) -> tuple[str, str, str]:
        """The check in the table: file, function and message."""
        return (
            self.file.as_posix().removeprefix("sealroom/").removeprefix("core/"),
            self.function,
            self.text,
        )


def checked_files() -> list[Path]:
    attestation = sorted((SOURCE / ATTESTATION).glob("*.py"))
    evidence = [SOURCE / f"sealroom/core/evidence/{name}.py" for name in EVIDENCE]
    shared = [SOURCE / f"sealroom/core/wire/{name}.py" for name in SHARED]
    core = [file.relative_to(SOURCE) for file in (*attestation, *evidence, *shared)]
    return [*core, *map(Path, CALLERS)]


def find_checks(file: Path) -> list[Check]:
    source = (SOURCE / file).read_text()
    seen: Counter[tuple[str, str]] = Counter()
    checks = []
    for function, node in sorted(_raises(ast.parse(source), "module"), key=lambda pair: pair[1].lineno):
        text = _said(node)
        if text is None or node.end_lineno is None:
            continue
        seen[function, text] += 1
        times = seen[function, text]
        checks.append(
            Check(
                file=file,
                function=function,
                text=text if times == 1 else f"{text} ({times})",
                first_line=node.lineno,
                last_line=node.end_lineno,
                indent=node.col_offset,
            )
        )
    return checks


def _raises(node: ast.AST, function: str) -> Iterator[tuple[str, ast.Raise]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Raise):
            yield function, child
        inside = child.name if isinstance(child, ast.FunctionDef | ast.ClassDef) else function
        yield from _raises(child, inside)


def _said(node: ast.Raise) -> str | None:
    """Return the message of a check, or `None` for what is none."""
    if not isinstance(node.exc, ast.Call) or not isinstance(node.exc.func, ast.Name):
        return None
    if node.exc.func.id not in ERRORS:
        return None
    text = ast.unparse(node.exc.args[0]) if node.exc.args else ""
    return text.replace("|", "/").replace("`", "'")


def missed_by(check: Check) -> str:
    """Return the first test that fails without `check`."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "src"
        shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("__pycache__"))
        lines = (copy / check.file).read_text().splitlines()
        lines[check.first_line - 1 : check.last_line] = [" " * check.indent + "pass"]
        (copy / check.file).write_text("\n".join(lines) + "\n")
        zone = EVIDENCE_TESTS if "evidence" in check.file.parts else ATTESTATION_TESTS
        known = OWN_TESTS.get(f"{check.file.parent.name}/{check.file.stem}") or OWN_TESTS.get(check.file.stem)
        own = f"{zone[0]}/{known or 'test_attestation_certificates.py'}"
        if (callers := CALLERS.get(check.file.as_posix())) is not None:
            return _first_failure(copy, [callers]) or NOT_MISSED
        stages = ([own], [*zone, f"--ignore={GENUINE}"], WIDER_TESTS)
        failures = (_first_failure(copy, stage) for stage in stages)
        return next((test for test in failures if test is not None), NOT_MISSED)


def _first_failure(copy: Path, tests: Sequence[str]) -> str | None:
    options = ["-q", "-x", "--no-header", "--tb=no", "-m", "not slow", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *tests],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return None
    found = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    return found[1] if found else f"exit code {done.returncode} of the tests"


def rows_of(table: Path) -> dict[tuple[str, str, str], str]:
    if not table.is_file():
        return {}
    matches = (_ROW.fullmatch(line) for line in table.read_text().splitlines())
    return {(row[1], row[2], row[3]): row[4] for row in matches if row}


def write_table(checks: list[Check], found: dict[tuple[str, str, str], str]) -> None:
    lines = [
        f"| `{file}` | `{function}` | `` {text} `` | {found[file, function, text]} |"
        for file, function, text in (check.name for check in checks)
        if (file, function, text) in found
    ]
    TABLE.write_text(HEAD + "\n".join(lines) + "\n")


def _shown(test: str) -> str:
    """Name a test without its parameters, which may hold anything."""
    if test == NOT_MISSED:
        return test
    name = test.split("[")[0].removeprefix("tests/")
    return f"`{name}`"


def run(checks: list[Check], found: dict[tuple[str, str, str], str]) -> int:
    wanted = [check for check in checks if check.name not in found]
    with ThreadPoolExecutor(WORKERS) as pool:
        for number, (check, test) in enumerate(zip(wanted, pool.map(missed_by, wanted), strict=True), 1):
            found[check.name] = _shown(test)
            if test == NOT_MISSED:
                print(f"  {check.file}:{check.first_line}: {check.text}", flush=True)
            if number % 10 == 0:
                write_table(checks, found)
    write_table(checks, found)
    not_missed = sum(found[check.name] == NOT_MISSED for check in checks)
    print(f"{len(checks)} checks, {len(wanted)} of them removed in turn, {not_missed} not missed by any test")
    return 1 if not_missed else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only-new", action="store_true")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    checks = [check for file in checked_files() for check in find_checks(file)]
    if options.list:
        for check in checks:
            print(f"{check.file}:{check.first_line} {check.function}: {check.text}")
        return 0
    return run(checks, rows_of(TABLE) if options.only_new else {})


if __name__ == "__main__":
    sys.exit(main())
