"""Running `run.py`: the first foreign line of the process, and how its end is read.

Everything secret that is not for this run alone was wiped before. What the program does to end itself
(return, exception, `sys.exit`, `os._exit`) becomes one of three outcomes and at most a built-in name, a file
and a line.
Must never let a message, a class name or an exit code out. Spec: docs/spec/enclave-session.md, "Outcome".
"""

from __future__ import annotations

import builtins
import contextlib
import os
import posix
import sys
import threading
import traceback
from types import TracebackType
from typing import NoReturn

from sealroom.core.wire.receipt_closing import Outcome
from sealroom.core.wire.terms import ENTRY
from sealroom.enclave import audit_hook
from sealroom.enclave.audit_hook import Boundaries
from sealroom.enclave.failure import places_of_error, places_of_frame, public_failure
from sealroom.enclave.importer import Importer, main_module
from sealroom.enclave.outputs import OutputLimitError
from sealroom.enclave.running import Ending, Run

# Between Python and a program: frames of these, at the start of a traceback, say nothing to its author.
_OWN_FILES = (__file__, Importer.load_code.__code__.co_filename)


def run_program(run: Run, importer: Importer, boundaries: Boundaries) -> NoReturn:
    """Run the entry point to its end, within `boundaries`, and finish the run; never returns."""
    _replace_exit(run, importer)
    importer.install()
    audit_hook.install(boundaries)
    sys.argv = [ENTRY]
    module = main_module(importer)
    sys.modules["__main__"] = module
    try:
        exec(importer.load_code(ENTRY), vars(module))  # noqa: S102 - this is the program
        ending = Ending(outcome=Outcome.SUCCEEDED)
    except BaseException as exc:
        ending = _read_ending(exc, importer)
    with contextlib.suppress(BaseException):
        # As Python does at its end: a program may leave its work to threads, and never end a pool of them.
        vars(threading)["_shutdown"]()
    run.finish(ending)


def _read_ending(error: BaseException, importer: Importer) -> Ending:
    kind = type(error)
    # The slot of the built-in class: a subclass can answer otherwise each time that it is asked.
    if issubclass(kind, SystemExit) and _means_success(vars(SystemExit)["code"].__get__(error)):
        return Ending(outcome=Outcome.SUCCEEDED)
    failure = public_failure(kind, places_of_error(error), lines_of=importer.lines_of)
    _print_error(error)
    if issubclass(kind, OutputLimitError | MemoryError):
        return Ending(outcome=Outcome.LIMIT)
    return Ending(outcome=Outcome.FAILED, failure=failure)


def _means_success(code: object) -> bool:
    return code is None or (type(code) is int and code == 0)


def _print_error(error: BaseException) -> None:
    """Print what Python itself would, into the captured log."""
    try:
        shown = _without_own_frames(error.__traceback__)
        # The hook prints what hangs on the exception, whatever it is given beside it.
        BaseException.with_traceback(error, shown)
        if sys.excepthook is sys.__excepthook__:
            # The interpreter's own would search the module path for a file of a sealed one's name.
            shown_text = traceback.TracebackException.from_exception(error)
            _drop_source(shown_text)
            print(*shown_text.format(), sep="", end="", file=sys.stderr)
        else:
            sys.excepthook(type(error), error, shown)
        sys.stderr.flush()
    except BaseException:  # noqa: S110 - the program may have replaced anything that prints
        pass


def _drop_source(shown: traceback.TracebackException | None) -> None:
    """Leave out the text of every syntax error: what a sealed module gives to `eval` stands in its source."""
    if shown is not None:
        shown.text = None  # type: ignore[assignment] # what other exceptions have
        for other in (shown.__cause__, shown.__context__, *(shown.exceptions or ())):
            _drop_source(other)


def _without_own_frames(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and trace.tb_frame.f_code.co_filename in _OWN_FILES:
        trace = trace.tb_next
    return trace


def _replace_exit(run: Run, importer: Importer) -> None:
    """Make `os._exit` end the run as `sys.exit` would: with a closing, and without its status.

    `exit` and `quit` are built-in names only where Python loads its site module, and programs rely on them.
    """
    vars(builtins).update(exit=sys.exit, quit=sys.exit)

    def leave(status: int) -> NoReturn:
        if _means_success(status):
            run.finish(Ending(outcome=Outcome.SUCCEEDED))
        places = places_of_frame(sys._getframe(1))  # noqa: SLF001 - the caller's place
        failure = public_failure(SystemExit, places, lines_of=importer.lines_of)
        run.finish(Ending(outcome=Outcome.FAILED, failure=failure))

    # `os` took its name from `posix`; a program may use either.
    for module in (os, posix):
        vars(module)["_exit"] = leave
