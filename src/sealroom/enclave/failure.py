"""What a failed run says in public: a built-in exception's name, a file of the code list, a line in it.

The program is hostile here: it chooses the exception's class, its message, the name and numbering of its
code. So a name comes from a table made before the program was loaded, a file from the code list, and a line
is within that file. Must never carry a message. Spec: docs/spec/enclave-session.md, "Failures".
"""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Iterator, Mapping
from types import FrameType, TracebackType

from sealroom.core.wire.receipt_closing import Failure

# By identity, and before foreign code: a program can add to `builtins` later, and name its classes at will.
_BUILTIN_NAMES: tuple[tuple[type, str], ...] = tuple(
    (kind, name)
    for name, kind in vars(builtins).items()
    if isinstance(kind, type) and issubclass(kind, BaseException) and kind.__name__ == name
)
# A metaclass can answer for `__mro__`; the slot of `type` cannot be answered for.
_MRO = type.__dict__["__mro__"]
_SYNTAX_ERRORS = (SyntaxError, IndentationError, TabError)


def public_failure(
    kind: type[BaseException], places: Iterable[tuple[object, object]], *, lines_of: Mapping[str, int]
) -> Failure | None:
    """Return the public part of a failure, or `None` when none of `places` lies in the code list.

    `places` are (file, line) from the innermost outwards; `lines_of` has the number of lines of each file.
    """
    own_names = {path: path for path in lines_of}
    for name, line in places:
        if type(name) is not str or type(line) is not int:
            continue
        path = own_names.get(name)
        if path is not None and 1 <= line <= lines_of[path]:
            return Failure(type=_builtin_name(kind), file=path, line=line)
    return None


def places_of_error(error: BaseException) -> Iterator[tuple[object, object]]:
    """Give (file, line) of each frame that `error` went through, where it was raised first.

    A syntax error was raised where a file was imported; its own place is in the file.
    """
    if type(error) in _SYNTAX_ERRORS and isinstance(error, SyntaxError):
        yield error.filename, error.lineno
    traceback, nodes = error.__traceback__, list[TracebackType]()
    while traceback is not None:
        nodes.append(traceback)
        traceback = traceback.tb_next
    yield from ((node.tb_frame.f_code.co_filename, node.tb_lineno) for node in reversed(nodes))


def places_of_frame(frame: FrameType | None) -> Iterator[tuple[object, object]]:
    """Give (file, line) of `frame` and of its callers, outwards."""
    while frame is not None:
        yield frame.f_code.co_filename, frame.f_lineno
        frame = frame.f_back


def _builtin_name(kind: type[BaseException]) -> str:
    for ancestor in _MRO.__get__(kind):
        for builtin, name in _BUILTIN_NAMES:
            if ancestor is builtin:
                return name
    return "BaseException"
