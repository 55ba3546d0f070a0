"""The attestation device: a folder of files with the names and calls of Gramine's `/dev/attestation`.

What for: the enclave's own MRENCLAVE, taken from its own report, and a quote over its keys. Under SGX the
files are Gramine's; the simulated TEE serves the same names from `attestation/` in the launch folder.

Must never: believe the quote. It comes back through the host and is only passed on; what the enclave knows
about itself comes from the report. Spec: docs/spec/enclave-session.md, "Identity".
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.wire.report_data import REPORT_DATA_SIZE
from sealroom.core.wire.terms import Tee

SGX_DEVICE = Path("/dev/attestation")
SIMULATED_FOLDER = "attestation"

_TARGET_INFO_SIZE = 512
# SDM vol. 3D, table 38-21: REPORT.
_REPORT_SIZE = 432
_MRENCLAVE = slice(64, 96)
_REPORT_DATA = slice(320, 384)
_MAX_QUOTE_SIZE = 1 << 16
# `direct` is the simulated device of an enclave under gramine-direct: plain files, answered a moment later.
_KINDS_OF = {Tee.SGX: (b"dcap",), Tee.SIMULATED: (b"simulated", b"direct")}
_ANSWER_SECONDS = {b"direct": 30.0}
_LOOK_SECONDS = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnIdentity:
    """What the device said: the enclave's own measurement, and the quote to publish."""

    mrenclave: bytes
    raw_quote: bytes


def device_folder(tee: Tee, base: Path) -> Path:
    """Return where the device of that kind of TEE is; `base` is the folder of start.py."""
    return SGX_DEVICE if tee is Tee.SGX else base / SIMULATED_FOLDER


def attest(folder: Path, *, tee: Tee, report_data: bytes) -> OwnIdentity:
    """Bind `report_data` to this enclave, read its own report and fetch a quote.

    Raises `VerificationError` when the device is of another kind than the arguments say, or reports other
    report data; `MalformedError` for an answer of the wrong size.
    """
    if len(report_data) != REPORT_DATA_SIZE:
        raise ValueError(f"report data: expected {REPORT_DATA_SIZE} octets, got {len(report_data)}")
    kind = _read(folder, "attestation_type", max_bytes=16)
    if kind not in _KINDS_OF[tee]:
        raise VerificationError(f"attestation device: expected one for tee={tee.value}")
    _write(folder, "user_report_data", report_data)
    _write(folder, "target_info", _read_exactly(folder, "my_target_info", _TARGET_INFO_SIZE))
    _await_answer(folder, _ANSWER_SECONDS.get(kind, 0.0))
    report = _read_exactly(folder, "report", _REPORT_SIZE)
    if report[_REPORT_DATA] != report_data:
        raise VerificationError("attestation device: the report has other report data")
    raw_quote = _read(folder, "quote", max_bytes=_MAX_QUOTE_SIZE)
    if not raw_quote:
        raise MalformedError("attestation device: the quote is empty")
    return OwnIdentity(mrenclave=report[_MRENCLAVE], raw_quote=raw_quote)


def _await_answer(folder: Path, seconds: float) -> None:
    """Wait until a device of plain files has answered; the quote is its last answer."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends and not _read(folder, "quote", max_bytes=_MAX_QUOTE_SIZE):
        time.sleep(_LOOK_SECONDS)


def _read_exactly(folder: Path, name: str, size: int) -> bytes:
    raw = _read(folder, name, max_bytes=size)
    if len(raw) != size:
        raise MalformedError(f"attestation device: {name}: expected {size} octets, got {len(raw)}")
    return raw


def _read(folder: Path, name: str, *, max_bytes: int) -> bytes:
    descriptor = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    raw = b""
    try:
        # A FIFO gives what is there, not what was asked for: the end is an empty read.
        while len(raw) <= max_bytes and (part := os.read(descriptor, max_bytes + 1 - len(raw))):
            raw += part
    finally:
        os.close(descriptor)
    if len(raw) > max_bytes:
        raise MalformedError(f"attestation device: {name}: expected at most {max_bytes} octets")
    return raw


def _write(folder: Path, name: str, content: bytes) -> None:
    descriptor = os.open(folder / name, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if os.write(descriptor, content) != len(content):
            raise MalformedError(f"attestation device: {name}: took a part only")
    finally:
        os.close(descriptor)
