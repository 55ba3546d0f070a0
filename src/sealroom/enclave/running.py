"""One run, from the opening to the closing: what is left of the secrets, and the one way to end.

Whoever comes first ends the run: the program's return, its exception, its call of `os._exit`, or the
deadline. After the closing is signed no further line of the program runs. Must never sign two closings, nor
release a result of a run that did not succeed. Spec: docs/spec/enclave-session.md, "Closing".
"""

from __future__ import annotations

import contextlib
import os
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NoReturn

from sealroom.core.sealing.log import SealedLog, padded_size, seal_log
from sealroom.core.sealing.receipt import sign_closing
from sealroom.core.wire import spool as names
from sealroom.core.wire.byte_fields import sha256
from sealroom.core.wire.receipt_closing import Closing, Failure, Outcome
from sealroom.enclave.admission import Self
from sealroom.enclave.log_capture import LogCapture
from sealroom.enclave.messages import HostFolder
from sealroom.enclave.opening import Opened
from sealroom.enclave.outputs import Outputs

EXIT_SUCCEEDED = 0
EXIT_NOT_SUCCEEDED = 1
_STDERR = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a run ended."""

    outcome: Outcome
    failure: Failure | None = None


class Run:
    """A run in progress."""

    def __init__(
        self,
        *,
        own: Self,
        opened: Opened,
        outputs: Outputs,
        log: LogCapture,
        spool: HostFolder,
    ) -> None:
        self._own = own
        self._opened = opened
        self._outputs = outputs
        self._log = log
        self._spool = spool
        self._started = _host_time()
        self._process = os.getpid()
        self._ended = threading.Lock()
        self._exit = os._exit

    def finish(self, ending: Ending) -> NoReturn:
        """Seal the log, release or discard the results, sign the closing, and end the process.

        The first call does; any other waits for the end of the process.
        """
        if os.getpid() != self._process:
            # A copy of the process must not sign a second closing.
            self._exit(EXIT_NOT_SUCCEEDED)
        # Never released: nobody else may end the run.
        self._ended.acquire()
        status = EXIT_NOT_SUCCEEDED
        try:
            if self._outputs.exceeded:
                ending = Ending(outcome=Outcome.LIMIT)
            self._close(ending)
            if ending.outcome is Outcome.SUCCEEDED:
                status = EXIT_SUCCEEDED
        finally:
            self._exit(status)

    def _close(self, ending: Ending) -> None:
        succeeded = ending.outcome is Outcome.SUCCEEDED
        if succeeded:
            self._note_unfinished()
        text = self._log.text()
        log = self._seal_log(text)
        if succeeded:
            records = self._outputs.release()
        else:
            self._outputs.discard()
            records = ()
        closing = Closing(
            agreement=self._own.arguments.agreement,
            opening_sha256=sha256(self._opened.envelope.payload),
            outcome=ending.outcome,
            exit_code=EXIT_SUCCEEDED if succeeded else EXIT_NOT_SUCCEEDED,
            host_started=self._started,
            host_ended=_host_time(),
            bytes_out=self._outputs.bytes_out if succeeded else 0,
            # The padded length, which shows anyway; the text's own does not leave.
            bytes_log=0 if log is None else padded_size(len(text)),
            failure=ending.failure,
            outputs=records,
            log_sha256=None if log is None else sha256(log.container),
        )
        if log is not None:
            self._spool.write(names.LOG, log.container)
            self._spool.write(names.LOG_KEYS, log.keys.to_bytes())
        # Last: whoever sees the closing finds everything that it names.
        self._spool.write(names.CLOSING, sign_closing(closing, run_key=self._opened.run_key).to_bytes())

    def _note_unfinished(self) -> None:
        """Tell the log which results are discarded because their program never closed them."""
        notes = "".join(f"result {name!r}: never closed, discarded\n" for name in self._outputs.unfinished)
        with contextlib.suppress(OSError):
            os.write(_STDERR, notes.encode())

    def _seal_log(self, text: bytes) -> SealedLog | None:
        arguments = self._own.arguments
        return seal_log(
            text,
            key=self._opened.log_key,
            release=arguments.terms.logs,
            readers=[participant.public_key for participant in arguments.participants],
            computation=arguments.computation,
            box_pk=self._own.box_pk,
        )


def _host_time() -> datetime:
    """Return the host's clock in whole seconds; nothing is decided by it."""
    return datetime.now(UTC).replace(microsecond=0)
