"""The attestation device of an enclave under gramine-direct, which opens no FIFO of the host: plain files.

What for: as `device`, for one report and one quote. The files that are read are there once both files that
are written are whole, so the enclave waits for them.

Must never: answer twice. What a program writes later is not quoted.
Spec page: docs/spec/launch-folder.md, "gramine-direct".
"""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

_SIZES = {"user_report_data": 64, "target_info": 512}
_TYPE = b"direct"
_LOOK_SECONDS = 0.01


class FileDevice:
    """The folder and the thread behind it; `make_report` and `make_quote` as for `AttestationDevice`."""

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

    def create(self) -> None:
        """Make the folder and its files, before the enclave starts; nothing is served yet."""
        self._folder.mkdir(mode=0o700)
        for name in (*_SIZES, "report", "quote"):
            (self._folder / name).touch(mode=0o600)
        (self._folder / "my_target_info").write_bytes(self._target_info)
        (self._folder / "attestation_type").write_bytes(_TYPE)

    def serve(self) -> None:
        """Answer once, from a background thread."""
        threading.Thread(target=self._serve, name="attestation", daemon=True).start()

    def _serve(self) -> None:
        while (asked := self._asked()) is None:
            time.sleep(_LOOK_SECONDS)
        report_data, target_info = asked
        # A report is made for one target, and the only one that this device knows is the enclave itself.
        if target_info == self._target_info:
            self._answer("report", self._make_report(report_data))
        self._answer("quote", self._make_quote(report_data))

    def _asked(self) -> tuple[bytes, bytes] | None:
        written = [self._read(name, size) for name, size in _SIZES.items()]
        report_data, target_info = written
        return None if report_data is None or target_info is None else (report_data, target_info)

    def _read(self, name: str, size: int) -> bytes | None:
        descriptor = os.open(self._folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            content = file.read(size + 1)
        return content if len(content) == size else None

    def _answer(self, name: str, content: bytes) -> None:
        partial = self._folder / f".{name}"
        partial.write_bytes(content)
        partial.rename(self._folder / name)
