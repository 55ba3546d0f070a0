"""A first enclave on SGX: from packages to a quote, for whoever has real hardware first.

What for: it is made as a computation's enclave is (the bill's runtime, the template's manifest, our own
measurement and signature), runs no foreign code, and shows whether the processor measures what was computed.

Must never: decide what anybody trusts. It runs with whatever Gramine is installed, known or not.
Spec: docs/deploy-sgx.md, "Self-test".
"""

import hashlib
import secrets
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sealroom.adapters.gramine import PROGRAM, Gramine
from sealroom.adapters.runtime_packages import stage_runtime
from sealroom.core.attestation.quote import parse_quote
from sealroom.core.attestation.reports import SgxReport
from sealroom.core.errors import VerificationError
from sealroom.core.measurement.manifest import parse_manifest
from sealroom.core.measurement.mrenclave import measure
from sealroom.core.measurement.runtime_bill import RuntimeBill
from sealroom.core.measurement.signing import SigstructSigner, sign_sigstruct
from sealroom.core.measurement.sigstruct import sigstruct_body
from sealroom.core.measurement.template import (
    ARGUMENTS_PATH,
    CODE_FOLDER,
    GRAMINE_FOLDER,
    LIBRARY_FOLDER,
    PACKAGES_FOLDER,
    SPOOL_FOLDER,
    START_PATH,
    MeasuredFile,
    computation_manifest,
)

NAME = "self-test"

_ARGUMENTS = b"python3\0-I\0-S\0-B\0/sealroom/start.py\0"
_MEMORY = 1 << 28
_SECONDS = 300
_REPORT_DATA, _STARTED, _QUOTE = "report-data", "started", "quote"
_START = b"""\
import os, pathlib, sys
sys.path.append(str(pathlib.Path(os.__file__).parent / "site-packages"))
import nacl.bindings
spool, device = pathlib.Path("/sealroom/spool"), pathlib.Path("/dev/attestation")
(spool / "started").write_text(sys.version)
(device / "user_report_data").write_bytes((spool / "report-data").read_bytes())
(spool / "quote").write_bytes((device / "quote").read_bytes())
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTest:
    """A signed enclave in its folder, and the command that starts it there."""

    folder: Path
    mrenclave: bytes
    command: Sequence[str] = (PROGRAM, NAME)


def prepare_self_test(
    folder: Path,
    *,
    bill: RuntimeBill,
    packages: Path,
    gramine: Gramine,
    signer: SigstructSigner,
    date: str,
) -> SelfTest:
    """Make the enclave in `folder`, which must not be there yet.

    Raises `VerificationError` for packages that are not the bill's, `OSError` where Gramine lacks a part.
    """
    stage_runtime(bill, packages=packages, target=folder)
    # Whatever the bill has of Gramine: this tries the installed one.
    shutil.rmtree(folder / GRAMINE_FOLDER, ignore_errors=True)
    gramine.place_libos(folder)
    libraries = gramine.place_libraries(folder)
    for name in (LIBRARY_FOLDER, PACKAGES_FOLDER, CODE_FOLDER, SPOOL_FOLDER):
        (folder / name).mkdir()
    (folder / ARGUMENTS_PATH).write_bytes(_ARGUMENTS)
    (folder / START_PATH).write_bytes(_START)
    (folder / SPOOL_FOLDER / _REPORT_DATA).write_bytes(secrets.token_bytes(64))
    raw_pal = gramine.pal.read_bytes()
    manifest = computation_manifest(
        arguments_sha256=hashlib.sha256(_ARGUMENTS).digest(),
        first_party=[_measured(folder, folder / START_PATH)],
        code=[],
        packages=[],
        runtime=[*(file for file in bill.measured if not file.path.startswith(GRAMINE_FOLDER)), *libraries],
        max_memory=_MEMORY,
        pal=gramine.as_known(),
    )
    mrenclave = measure(manifest, raw_pal).mrenclave
    body = sigstruct_body(parse_manifest(manifest), mrenclave=mrenclave, date=date)
    (folder / f"{NAME}.manifest.sgx").write_bytes(manifest)
    (folder / f"{NAME}.sig").write_bytes(sign_sigstruct(body, signer).to_bytes())
    return SelfTest(folder=folder, mrenclave=mrenclave)


def run_self_test(test: SelfTest) -> None:
    """Start the enclave and compare its quote; raises `VerificationError` with the step that failed."""
    try:
        done = subprocess.run(  # noqa: S603 - Gramine's own starter
            test.command, cwd=test.folder, capture_output=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise VerificationError(f"self-test: {PROGRAM}: {exc}") from exc
    if done.returncode != 0:
        step = "before" if not (test.folder / SPOOL_FOLDER / _STARTED).exists() else "after"
        said = (done.stderr or done.stdout).decode(errors="replace").strip()[-600:]
        raise VerificationError(
            f"self-test: the enclave ended with {done.returncode}, {step} its interpreter had started: {said}"
        )
    check_self_test(test)


def check_self_test(test: SelfTest) -> None:
    """Compare the quote that the enclave wrote with what was measured and asked for."""
    spool = test.folder / SPOOL_FOLDER
    report = parse_quote((spool / _QUOTE).read_bytes()).body
    if not isinstance(report, SgxReport):
        raise VerificationError("self-test: the quote is not one of an SGX enclave")
    if report.mrenclave != test.mrenclave:
        raise VerificationError(
            f"self-test: mrenclave {report.mrenclave.hex()} in the quote, {test.mrenclave.hex()} computed"
        )
    if report.report_data != (spool / _REPORT_DATA).read_bytes():
        raise VerificationError("self-test: the quote has other report data than was asked for")


def _measured(folder: Path, path: Path) -> MeasuredFile:
    digest = hashlib.sha256(path.read_bytes()).digest()
    return MeasuredFile(path=path.relative_to(folder).as_posix(), sha256=digest)
