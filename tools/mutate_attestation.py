"""Remove each check of `sealroom.core.attestation` in turn and demand that a test goes red.

    python tools/mutate_attestation.py [FILE ...]

A check is a `raise` of one of our errors. Each is replaced by `pass` in a copy of the package's source,
and the tests of attestation run against the copy. Checks that no test misses are listed and make the exit
code 1.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
PACKAGE = Path("sealroom/core/attestation")
TESTS = ("tests/vectors/test_attestation_vectors.py", "tests/unit/core/attestation")
ERRORS = ("MalformedError", "VerificationError", "CollateralError", "stale")
WORKERS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One `raise`: where it stands and what it says."""

    file: Path
    first_line: int
    last_line: int
    indent: int
    text: str


def find_checks(file: Path) -> list[Check]:
    source = (SOURCE / file).read_text()
    checks = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Raise) or not isinstance(node.exc, ast.Call) or node.end_lineno is None:
            continue
        called = node.exc.func
        # A translated exception of Python's is not a decision of ours: without it another error escapes.
        if isinstance(called, ast.Name) and called.id in ERRORS and node.cause is None:
            text = ast.unparse(node.exc.args[0]) if node.exc.args else ""
            checks.append(
                Check(
                    file=file,
                    first_line=node.lineno,
                    last_line=node.end_lineno,
                    indent=node.col_offset,
                    text=text,
                )
            )
    return sorted(checks, key=lambda check: check.first_line)


def survives(check: Check) -> bool:
    """Return whether the tests pass without `check`."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "src"
        shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("__pycache__"))
        lines = (copy / check.file).read_text().splitlines()
        lines[check.first_line - 1 : check.last_line] = [" " * check.indent + "pass"]
        (copy / check.file).write_text("\n".join(lines) + "\n")
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *TESTS]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            check=False,
        )
    return done.returncode == 0


def main() -> int:
    files = [Path(name) for name in sys.argv[1:]] or sorted((SOURCE / PACKAGE).glob("*.py"))
    checks = [check for file in files for check in find_checks(file.resolve().relative_to(SOURCE.resolve()))]
    missed = 0
    with ThreadPoolExecutor(WORKERS) as pool:
        for check, alive in zip(checks, pool.map(survives, checks), strict=True):
            if alive:
                missed += 1
                print(f"  {check.file}:{check.first_line}: {check.text}", flush=True)
    print(f"{len(checks)} checks removed in turn, {missed} not missed by any test")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
