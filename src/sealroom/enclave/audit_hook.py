"""The second line of the confinement: Python's own audit events, refused before the call is made.

The first line is the sandbox, or the manifest under Gramine. This one turns what they would refuse, and some
of what they cannot see, into a `PermissionError` with EPERM and a sentence, on every machine alike. It binds
a program that stays in Python; ctypes and native code go around it. Once it is on it cannot be taken off.
Must never be counted on alone. Spec: docs/spec/enclave-session.md, "Confinement".
"""

from __future__ import annotations

import _posixsubprocess
import errno
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import CodeType, FunctionType, ModuleType
from typing import Any, NoReturn

_NO_PROCESSES = "an enclave starts no processes"
_NO_NETWORK = "an enclave has no network"
_NO_NATIVE_CODE = "native code comes from measured files only"
_NO_WRITING = "files are written below the temporary folder only, and results by enclave.write"
_NO_READING = "this folder is shared with the host"
_NO_SIGNALS = "an enclave signals no other process"
_NO_HOOKS = "audit hooks and further interpreters are closed to programs"

_PROCESSES = (
    "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system", "pty.spawn",
    "subprocess.Popen",
)  # fmt: skip
_NETWORK = (
    "socket.bind", "socket.connect", "socket.getaddrinfo", "socket.gethostbyaddr", "socket.gethostbyname",
    "socket.getnameinfo", "socket.sendmsg", "socket.sendto", "socket.sethostname", "syslog.openlog",
    "syslog.syslog",
)  # fmt: skip
# An interpreter of its own would have no hook of ours.
_HOOKS = ("cpython.PyInterpreterState_New", "sys.addaudithook")
# Each with the places of its paths among the arguments, and of the folders' descriptors that belong to them.
_CHANGES = {
    "os.chmod": ((0, 2),),
    "os.chown": ((0, 3),),
    "os.link": ((0, 2), (1, 3)),
    "os.mkdir": ((0, 2),),
    "os.remove": ((0, 1),),
    "os.removexattr": ((0, None),),
    "os.rename": ((0, 2), (1, 3)),
    "os.rmdir": ((0, 1),),
    "os.setxattr": ((0, None),),
    "os.symlink": ((1, 2),),
    "os.truncate": ((0, None),),
    "os.utime": ((0, 3),),
}
_LISTINGS = ("os.listdir", "os.listxattr", "os.getxattr", "os.scandir")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Written by their names, which lead to the log and to nowhere.
_SINKS = frozenset({"/dev/null", "/dev/stderr", "/dev/stdout"})
_AF_UNIX = 1
_NO_FOLDER = -1
_LINKED_TO = "/proc/self/fd/{}"

_Rule = Callable[[tuple[Any, ...]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundaries:
    """The folders that the rules speak of, as absolute paths.

    `measured` hold native code that may be loaded, `scratch` is written, `closed` is not even read, wherever
    it lies. `own` are the modules of ours whose functions work on closed folders for the program.
    `instead` are rules that take the place of those here, by event.
    """

    measured: tuple[str, ...]
    scratch: tuple[str, ...]
    closed: tuple[str, ...]
    own: tuple[ModuleType, ...]
    instead: Mapping[str, _Rule] = field(default_factory=dict)


def install(boundaries: Boundaries) -> None:
    """Refuse, from now on and in this interpreter for good, what `boundaries` do not allow."""
    rule_for = _Rules(boundaries).table().get
    # The one way to a process that has no event.
    vars(_posixsubprocess)["fork_exec"] = _no_process

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        rule = rule_for(event)
        if rule is not None:
            rule(arguments)

    sys.addaudithook(refuse)


class _Rules:
    """What is asked at each event; a rule returns, or raises `PermissionError`."""

    def __init__(self, boundaries: Boundaries) -> None:
        self._measured = _with_real(boundaries.measured)
        self._scratch = _with_real(boundaries.scratch)
        self._closed = _with_real(boundaries.closed)
        self._instead = boundaries.instead
        self._own = frozenset(code for module in boundaries.own for code in _codes_of(vars(module).values()))

    def table(self) -> dict[str, _Rule]:
        table: dict[str, _Rule] = {event: _refusal(_NO_PROCESSES) for event in _PROCESSES}
        table |= {event: _refusal(_NO_NETWORK) for event in _NETWORK}
        table |= {event: _refusal(_NO_HOOKS) for event in _HOOKS}
        table |= {event: self._change_at(places) for event, places in _CHANGES.items()}
        table |= dict.fromkeys(_LISTINGS, self._listing)
        return table | {
            "open": self._open,
            "ctypes.dlopen": lambda arguments: self._native(arguments[0]),
            "import": lambda arguments: self._native(arguments[1]),
            "sqlite3.load_extension": lambda arguments: self._native(arguments[1]),
            "sqlite3.connect": self._database,
            "socket.__new__": _local_socket,
            "os.kill": _own_signal,
            "os.killpg": _refusal(_NO_SIGNALS),
            **self._instead,
        }

    def _open(self, arguments: tuple[Any, ...]) -> None:
        path, _, flags = arguments
        if flags & _WRITING:
            if path not in _SINKS:
                self._change(path, _NO_FOLDER)
        else:
            self._read(path)

    def _listing(self, arguments: tuple[Any, ...]) -> None:
        self._read(arguments[0])

    def _read(self, path: object) -> None:
        text = _text(path)
        # Nothing below a measured folder is a link, unless a name leads out of it.
        if text is None or (_below(text, self._measured) and "/../" not in text):
            return
        if _below(os.path.realpath(text), self._closed) and not self._asked_by_own():
            _refuse(_NO_READING)

    def _change_at(self, places: tuple[tuple[int, int | None], ...]) -> _Rule:
        def rule(arguments: tuple[Any, ...]) -> None:
            for path, folder in places:
                self._change(arguments[path], _NO_FOLDER if folder is None else arguments[folder])

        return rule

    def _change(self, path: object, folder: int) -> None:
        text = _text(path)
        if text is None:
            # By a descriptor, which was asked for when it was opened.
            return
        if folder != _NO_FOLDER and not text.startswith("/"):
            text = f"{_folder_of(folder)}/{text}"
        # What a name stands for is decided by its folder: a link itself may be removed or renamed.
        parent, name = os.path.split(text.rstrip("/"))
        places = (os.path.realpath(text), os.path.join(os.path.realpath(parent), name))  # noqa: PTH118 - hot
        allowed = all(_below(place, self._scratch) and not _below(place, self._closed) for place in places)
        if not allowed and not self._asked_by_own():
            _refuse(_NO_WRITING)

    def _native(self, path: object) -> None:
        text = _text(path)
        # Without a file: a Python module, or the program itself. Bare names are looked for by the loader, in
        # folders that were measured.
        if text is None or "/" not in text:
            return
        if not _below(text, self._measured) or "/../" in text:
            text = os.path.realpath(text)
        if not _below(text, self._measured):
            _refuse(_NO_NATIVE_CODE)

    def _database(self, arguments: tuple[Any, ...]) -> None:
        text = _text(arguments[0])
        if text and text != ":memory:":
            self._change(text.removeprefix("file:").partition("?")[0], _NO_FOLDER)

    def _asked_by_own(self) -> bool:
        """Say whether the call came from one of our own functions, by its very code object."""
        frame = sys._getframe(1)  # noqa: SLF001 - the only way to know
        while frame.f_code.co_filename == __file__ and frame.f_back is not None:
            frame = frame.f_back
        return frame.f_code in self._own


def _no_process(*_: object) -> NoReturn:
    _refuse(_NO_PROCESSES)


def _local_socket(arguments: tuple[Any, ...]) -> None:
    # Event loops wake themselves through a pair of local sockets.
    if arguments[1] != _AF_UNIX:
        _refuse(_NO_NETWORK)


def _own_signal(arguments: tuple[Any, ...]) -> None:
    if arguments[0] != os.getpid():
        _refuse(_NO_SIGNALS)


def _refusal(reason: str) -> _Rule:
    def rule(_: tuple[Any, ...]) -> None:
        _refuse(reason)

    return rule


def _refuse(reason: str) -> NoReturn:
    raise PermissionError(errno.EPERM, reason)


def _text(path: object) -> str | None:
    """Return a path as text, `None` for a descriptor and for no path at all."""
    if path is None or isinstance(path, int):
        return None
    return os.fsdecode(path)  # type: ignore[arg-type]


def _folder_of(descriptor: int) -> str:
    """Return the path of an open folder; where that cannot be known, one that nothing is allowed below."""
    try:
        return os.readlink(_LINKED_TO.format(descriptor))  # noqa: PTH115 - hot
    except OSError:
        return "/"


def _below(path: str, folders: tuple[str, ...]) -> bool:
    return path.startswith(folders) or f"{path}/" in folders


def _with_real(folders: Iterable[str]) -> tuple[str, ...]:
    """Return each folder under the name it was given and under that without links, ended by a slash."""
    named = [name for folder in folders for name in (folder, os.path.realpath(folder))]
    return tuple({name.rstrip("/") + "/": None for name in named})


def _codes_of(values: Iterable[object]) -> Iterable[CodeType]:
    for value in values:
        if isinstance(value, FunctionType):
            yield value.__code__
        elif isinstance(value, type):
            yield from _codes_of(vars(value).values())
