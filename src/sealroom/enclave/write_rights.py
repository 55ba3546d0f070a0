"""What a thread gives up for itself and all that it starts: to change files, and the descriptors of others.

Both are Linux's own, need nobody's permission and bind C as well as Python: Landlock (kernel documentation,
userspace-api/landlock) and unshare(2). Gramine has neither: there whatever the manifest lets an enclave
write, all of it may write.
Must never stop an enclave where a kernel has no such thing; the launcher says what a machine has.
Spec: docs/spec/enclave-session.md, "Writing to the host".
"""

from __future__ import annotations

import ctypes
import os
import struct

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_QUERY_VERSION, _PATH_BENEATH = 1, 1
_WRITE_FILE, _TRUNCATE = 1 << 1, 1 << 14
# Removing, making every kind of file, and moving between folders.
_CHANGE_FOLDER = sum(1 << bit for bit in range(4, 14))
# Older ones refuse every rename between folders (1), or know no truncation (2).
_MIN_VERSION, _VERSION_WITH_TRUNCATE = 2, 3
_DEVICES = ("/dev/null", "/dev/zero")
_CLONE_FILES = 0x400
_PR_SET_NO_NEW_PRIVS = 38
_STREAMS = (0, 1, 2)

_libc = ctypes.CDLL(None, use_errno=True)


def give_up(*, keep: tuple[str, ...]) -> bool:
    """Change files below the folders `keep` alone, from now on; returns whether the kernel took it.

    What is open stays open, and reading stays as it is.
    """
    version = _call(_CREATE_RULESET, None, 0, _QUERY_VERSION)
    if version < _MIN_VERSION or _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    on_files = _WRITE_FILE | (_TRUNCATE if version >= _VERSION_WITH_TRUNCATE else 0)
    handled = struct.pack("=Q", on_files | _CHANGE_FOLDER)
    rules = _call(_CREATE_RULESET, handled, len(handled), 0)
    if rules < 0:
        return False
    try:
        allowed = all(_allow(rules, folder, on_files | _CHANGE_FOLDER) for folder in keep)
        allowed = allowed and all(_allow(rules, device, on_files) for device in _DEVICES)
        return allowed and _call(_RESTRICT_SELF, rules, 0) == 0
    finally:
        os.close(rules)


def take_own_descriptors() -> None:
    """Open files for this thread alone, from now on, where the kernel can.

    Its standard streams then lead nowhere: those of the process belong to the program's log.
    """
    if _libc.unshare(_CLONE_FILES) != 0:
        return
    nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for stream in _STREAMS:
        os.dup2(nowhere, stream)
    os.close(nowhere)


def _allow(rules: int, path: str, rights: int) -> bool:
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        return _call(_ADD_RULE, rules, _PATH_BENEATH, struct.pack("=Qi", rights, place), 0) == 0
    finally:
        os.close(place)


def _call(number: int, *arguments: int | bytes | None) -> int:
    values = [ctypes.c_long(a) if isinstance(a, int) else ctypes.c_char_p(a) for a in arguments]
    return int(_libc.syscall(ctypes.c_long(number), *values))
