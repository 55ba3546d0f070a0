"""Landlock: a process gives up every file but those below some folders, without anybody's permission.

What for: where bubblewrap is not installed, the simulated enclave still reads nothing of the server's. What
stays visible is whether a path exists. Kernel documentation: userspace-api/landlock.

Must never: be reported as on where the kernel did not take the rules.
Spec page: docs/spec/launch-folder.md, "The sandbox".
"""

import ctypes
import os
import struct
from dataclasses import dataclass
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_QUERY_VERSION = 1
_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_FOLDER = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_FOLDER, _REMOVE_FILE, _MAKE_FOLDER, _MAKE_FILE = 1 << 4, 1 << 5, 1 << 7, 1 << 8
_ALL_OF_VERSION_1 = (1 << 13) - 1
_REFER, _TRUNCATE = 1 << 13, 1 << 14
_ALL = _ALL_OF_VERSION_1 | _REFER | _TRUNCATE
_ON_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE

_READ = _EXECUTE | _READ_FILE | _READ_FOLDER
_USE = _READ_FILE | _WRITE_FILE | _READ_FOLDER
_CHANGE = _USE | _TRUNCATE | _REFER | _REMOVE_FOLDER | _REMOVE_FILE | _MAKE_FOLDER | _MAKE_FILE

# Signals and abstract sockets reach other processes of the same account, unless scoped (version 6).
_SCOPE_ABSTRACT_SOCKETS, _SCOPE_SIGNALS = 1 << 0, 1 << 1
_VERSION_WITH_TRUNCATE = 3
_VERSION_WITH_SCOPES = 6

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRules:
    """Which files a process keeps: `readable` with what is below, `usable` as they are, `changeable`."""

    readable: tuple[Path, ...]
    usable: tuple[Path, ...]
    changeable: tuple[Path, ...]

    def apply(self) -> None:
        """Give up all other files for this process and its children; raises `OSError`.

        The caller has set no_new_privs. A path that does not exist is left out.
        """
        version = landlock_version()
        handled = _ALL if version >= _VERSION_WITH_TRUNCATE else _ALL & ~_TRUNCATE
        scopes = _SCOPE_ABSTRACT_SOCKETS | _SCOPE_SIGNALS if version >= _VERSION_WITH_SCOPES else 0
        # struct landlock_ruleset_attr: files, network, scopes; older kernels know a shorter one.
        attributes = struct.pack("=QQQ", handled, 0, scopes) if scopes else struct.pack("=Q", handled)
        rules = _call(_CREATE_RULESET, attributes, len(attributes), 0)
        try:
            for paths, rights in ((self.readable, _READ), (self.usable, _USE), (self.changeable, _CHANGE)):
                for path in paths:
                    _allow(rules, path, rights & handled)
            _call(_RESTRICT_SELF, rules, 0)
        finally:
            os.close(rules)


def landlock_version() -> int:
    """Return the version of Landlock that this kernel offers, 0 for none and for one that cannot rename."""
    version = int(_libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_QUERY_VERSION)))
    # Version 1 refuses every rename between folders, as temporary names need it.
    return version if version >= 2 else 0


def hides_other_processes() -> bool:
    """Say whether signals to other processes are refused as well."""
    return landlock_version() >= _VERSION_WITH_SCOPES


def _allow(rules: int, path: Path, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        allowed = rights if path.is_dir() else rights & _ON_FILES
        _call(_ADD_RULE, rules, _PATH_BENEATH, struct.pack("=Qi", allowed, descriptor), 0)
    finally:
        os.close(descriptor)


def _call(number: int, *arguments: int | bytes) -> int:
    values = [ctypes.c_char_p(a) if isinstance(a, bytes) else ctypes.c_long(a) for a in arguments]
    result = int(_libc.syscall(ctypes.c_long(number), *values))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"landlock: {os.strerror(error)}")
    return result
