"""The self-test on SGX, up to the hardware: what is made, what is run, and what is refused in its quote."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from made_wheels import make_wheel
from sealroom.adapters.gramine import GRAMINE_LIBRARIES, Gramine
from sealroom.adapters.sgx_self_test import (
    SelfTest,
    check_self_test,
    prepare_self_test,
    run_self_test,
)
from sealroom.core.errors import VerificationError
from sealroom.core.evidence.rebuild import measured_digest
from sealroom.core.measurement.mrenclave import measure
from sealroom.core.measurement.runtime_bill import PackageKind, RuntimeBill, RuntimeFile, RuntimePackage
from sealroom.core.measurement.signing import verify_sigstruct
from sealroom.core.measurement.signing_key import parse_enclave_signing_key
from sealroom.insecure.pki import SimulationPki
from sealroom.insecure.quoting import QuotingEnclave, ReportBody
from sealroom.insecure.synthetic_pal import synthetic_pal

_KEY = Path(__file__).parents[2] / "vectors" / "measurement" / "sigstruct-plain" / "key"
PROGRAM = b"an interpreter"
WHEEL = make_wheel("one", "1", {"one/python3": PROGRAM})
BILL = RuntimeBill(
    (
        RuntimePackage(
            kind=PackageKind.WHEEL,
            name="one",
            version="1",
            architecture="any",
            sha256=hashlib.sha256(WHEEL).digest(),
        ),
    ),
    (RuntimeFile(path="runtime/bin/python3", sha256=hashlib.sha256(PROGRAM).digest(), package="one"),),
)


@pytest.fixture
def made(tmp_path: Path) -> SelfTest:
    folder = tmp_path / "usr/lib/gramine"
    for name, content in {
        "sgx/libpal.so": synthetic_pal(),
        "libsysdb.so": b"os",
        **{f"runtime/glibc/{name}": b"c" for name in GRAMINE_LIBRARIES},
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages/one.whl").write_bytes(WHEEL)
    return prepare_self_test(
        tmp_path / "enclave",
        bill=BILL,
        packages=tmp_path / "packages",
        gramine=Gramine.of(folder / "sgx/libpal.so"),
        signer=parse_enclave_signing_key(_KEY.read_bytes()),
        date="2025-01-31",
    )


def quote(made: SelfTest, **changes: bytes) -> None:
    asked = (made.folder / "spool/report-data").read_bytes()
    body = replace(ReportBody(mrenclave=made.mrenclave, report_data=asked), **changes)
    raw = QuotingEnclave(SimulationPki.generate(now=datetime(2026, 1, 1, tzinfo=UTC))).quote(body)
    (made.folder / "spool/quote").write_bytes(raw)


def test_what_is_signed_is_what_is_measured_and_every_file_is_in_the_folder(made: SelfTest) -> None:
    manifest = (made.folder / "self-test.manifest.sgx").read_bytes()
    signed = verify_sigstruct((made.folder / "self-test.sig").read_bytes())
    assert signed.body.mrenclave == made.mrenclave == measure(manifest, synthetic_pal()).mrenclave
    for path in ("args", "start.py", "runtime/bin/python3", "gramine/lib/libc.so.6"):
        assert measured_digest(manifest, path) == hashlib.sha256((made.folder / path).read_bytes()).digest()
    assert tuple(made.command) == ("gramine-sgx", "self-test")


def test_a_quote_of_this_enclave_over_what_was_asked_passes(made: SelfTest) -> None:
    quote(made)
    check_self_test(made)


def test_another_mrenclave_in_the_quote_is_refused(made: SelfTest) -> None:
    quote(made, mrenclave=bytes(32))
    with pytest.raises(VerificationError, match="self-test: mrenclave 0000"):
        check_self_test(made)


def test_a_quote_over_something_else_is_refused(made: SelfTest) -> None:
    quote(made, report_data=bytes(64))
    with pytest.raises(VerificationError, match="other report data"):
        check_self_test(made)


def test_a_start_that_fails_says_how_far_it_came(made: SelfTest) -> None:
    failing = replace(made, command=("sh", "-c", "echo no device >&2; exit 1"))
    with pytest.raises(VerificationError, match="with 1, before its interpreter had started: no device"):
        run_self_test(failing)
    (made.folder / "spool/started").touch()
    with pytest.raises(VerificationError, match="after its interpreter"):
        run_self_test(failing)


def test_a_program_that_is_not_there_is_named(made: SelfTest) -> None:
    with pytest.raises(VerificationError, match=r"self-test: gramine-sgx: .*no-such"):
        run_self_test(replace(made, command=("/no-such",)))
