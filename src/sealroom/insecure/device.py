"""The attestation device of the simulated TEE: FIFOs with the names of Gramine's `/dev/attestation`.

What for: the enclave makes the same calls as under SGX. It opens a file, writes or reads to the end, closes.

Must never: quote for anything but the enclave that this process started, or follow a link in the folder.
Spec page: docs/spec/launch-folder.md, "The attestation folder".
"""

import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

# What the enclave writes, with the one size that is taken.
_WRITTEN = {"user_report_data": 64, "target_info": 512}
_READ = ("my_target_info", "report", "quote")
_TYPE_FILE = "attestation_type"
_TYPE = b"simulated"
_MAX_PENDING_BYTES = 1 << 16


class AttestationDevice:
    """The folder and the threads behind it.

    `make_report(report_data)` gives 432 bytes, `make_quote(report_data)` a quote: both are asked for only
    with 64 bytes that the enclave wrote before. A read that is not due (nothing written, or a wrong size)
    ends at once without a byte.
    """

    def __init__(
        self,
        folder: Path,
        *,
        target_info: bytes,
        make_report: Callable[[bytes], bytes],
        make_quote: Callable[[bytes], bytes],
    ) -> None:
        self._folder = folder
        self._target_info = target_info
        self._make_report = make_report
        self._make_quote = make_quote
        self._lock = threading.Lock()
        self._written: dict[str, bytes | None] = dict.fromkeys(_WRITTEN)
        self._directory = -1
        self._inlets: dict[str, int] = {}

    def create(self) -> None:
        """Make the folder and its files, before the enclave starts; nothing is served yet."""
        self._folder.mkdir(mode=0o700)
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        self._directory = os.open(self._folder, flags)
        for name in (*_WRITTEN, *_READ):
            os.mkfifo(name, mode=0o600, dir_fd=self._directory)
        for name in _WRITTEN:
            self._inlets[name] = self._open_fifo(name, os.O_RDONLY | os.O_NONBLOCK)
        (self._folder / _TYPE_FILE).write_bytes(_TYPE)

    def serve(self) -> None:
        """Answer from background threads until this process ends."""
        for name in _READ:
            threading.Thread(target=self._serve_reads, args=(name,), name=name, daemon=True).start()

    def _serve_reads(self, name: str) -> None:
        while True:
            # Returns when the enclave has opened the other end.
            pipe = self._open_fifo(name, os.O_WRONLY)
            try:
                # The next open gets a pipe of its own: a reader that is slow to close would read twice.
                self._renew(name)
                _write_all(pipe, self._answer(name))
            finally:
                os.close(pipe)

    def _renew(self, name: str) -> None:
        fresh = f".{name}"
        os.mkfifo(fresh, mode=0o600, dir_fd=self._directory)
        os.rename(fresh, name, src_dir_fd=self._directory, dst_dir_fd=self._directory)

    def _answer(self, name: str) -> bytes:
        with self._lock:
            for written in _WRITTEN:
                self._take(written)
            report_data, target_info = self._written["user_report_data"], self._written["target_info"]
        if name == "my_target_info":
            return self._target_info
        if report_data is None:
            return b""
        if name == "quote":
            return self._make_quote(report_data)
        # A report is made for one target, and the only one that this device knows is the enclave itself.
        return self._make_report(report_data) if target_info == self._target_info else b""

    def _take(self, name: str) -> None:
        """Take what was written since the last read; the last whole value counts, a torn one spoils it."""
        raw, size = bytearray(), _WRITTEN[name]
        while len(raw) < _MAX_PENDING_BYTES:
            try:
                part = os.read(self._inlets[name], _MAX_PENDING_BYTES)
            except BlockingIOError:
                break
            if not part:
                break
            raw += part
        if raw:
            self._written[name] = bytes(raw[-size:]) if len(raw) % size == 0 else None

    def _open_fifo(self, name: str, flags: int) -> int:
        descriptor = os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._directory)
        if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise RuntimeError(f"attestation device: {name} was replaced")
        return descriptor


def _write_all(pipe: int, content: bytes) -> None:
    rest = memoryview(content)
    try:
        while rest:
            rest = rest[os.write(pipe, rest) :]
    except BrokenPipeError:
        # The reader closed early: its loss.
        return
