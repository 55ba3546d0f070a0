"""The system-call filter of the simulated enclave, as a BPF program.

What for: the program inside may start threads and no processes, open no sockets but local ones, and reach
none of the kernel's rarely used doors. Refused calls fail with EPERM, as libraries expect, and kill nothing.

Must never: allow a call of another architecture or of the x32 ABI (their numbers mean other things).
Spec page: docs/spec/launch-folder.md, "The sandbox".
"""

import errno
import platform
import struct
from dataclasses import dataclass

_LOAD_WORD = 0x20  # BPF_LD | BPF_W | BPF_ABS
_IF_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_IF_GREATER_EQUAL = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_IF_BITS = 0x45  # BPF_JMP | BPF_JSET | BPF_K
_RETURN = 0x06  # BPF_RET | BPF_K

_ALLOW = 0x7FFF0000
_KILL_PROCESS = 0x80000000
_ERRNO = 0x00050000

# Offsets in struct seccomp_data, little-endian machines.
_NUMBER, _ARCHITECTURE, _ARGUMENT_0 = 0, 4, 16

_CLONE_THREAD = 0x00010000
_AF_UNIX = 1
_X32_BIT = 0x40000000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Machine:
    audit: int
    numbers: dict[str, int]


# asm/unistd_64.h and asm-generic/unistd.h. `fork` and `vfork` do not exist on the second.
_MACHINES = {
    "x86_64": _Machine(
        audit=0xC000003E,
        numbers={
            "socket": 41, "clone": 56, "fork": 57, "vfork": 58, "ptrace": 101, "personality": 135,
            "pivot_root": 155, "acct": 163, "mount": 165, "umount2": 166, "swapon": 167, "swapoff": 168,
            "reboot": 169, "init_module": 175, "delete_module": 176, "lookup_dcookie": 212, "kexec_load": 246,
            "add_key": 248, "request_key": 249, "keyctl": 250, "unshare": 272, "perf_event_open": 298,
            "fanotify_init": 300, "name_to_handle_at": 303, "open_by_handle_at": 304, "setns": 308,
            "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "finit_module": 313,
            "kexec_file_load": 320, "bpf": 321, "userfaultfd": 323, "io_uring_setup": 425, "clone3": 435,
            "pidfd_getfd": 438, "memfd_secret": 447,
        },
    ),
    "aarch64": _Machine(
        audit=0xC00000B7,
        numbers={
            "lookup_dcookie": 18, "umount2": 39, "mount": 40, "pivot_root": 41, "acct": 89, "personality": 92,
            "unshare": 97, "kexec_load": 104, "init_module": 105, "delete_module": 106, "ptrace": 117,
            "reboot": 142, "socket": 198, "add_key": 217, "request_key": 218, "keyctl": 219, "clone": 220,
            "swapon": 224, "swapoff": 225, "perf_event_open": 241, "fanotify_init": 262,
            "name_to_handle_at": 264, "open_by_handle_at": 265, "setns": 268, "process_vm_readv": 270,
            "process_vm_writev": 271, "kcmp": 272, "finit_module": 273, "bpf": 280, "userfaultfd": 282,
            "kexec_file_load": 294, "io_uring_setup": 425, "clone3": 435, "pidfd_getfd": 438,
            "memfd_secret": 447,
        },
    ),
}  # fmt: skip


def filter_for(machine: str = "") -> bytes | None:
    """Return the filter for `machine` (default: this one), or `None` where no table of numbers exists.

    The bytes are an array of `struct sock_filter`, as bubblewrap's `--seccomp` and seccomp(2) take it.
    """
    table = _MACHINES.get(machine or platform.machine())
    return None if table is None else _program(table)


def _program(machine: _Machine) -> bytes:
    numbers = dict(machine.numbers)
    clone, clone3, socket = numbers.pop("clone"), numbers.pop("clone3"), numbers.pop("socket")
    program = [
        _step(_LOAD_WORD, _ARCHITECTURE),
        _step(_IF_EQUAL, machine.audit, skip_if_true=1),
        _step(_RETURN, _KILL_PROCESS),
        _step(_LOAD_WORD, _NUMBER),
        _step(_IF_GREATER_EQUAL, _X32_BIT, skip_if_false=1),
        _step(_RETURN, _ERRNO | errno.EPERM),
        # The C library falls back to clone, whose flags a filter can read, when there is no clone3.
        *_refuse(clone3, errno.ENOSYS),
        *(step for number in sorted(numbers.values()) for step in _refuse(number, errno.EPERM)),
        # A thread is fine, a process is not.
        _step(_IF_EQUAL, clone, skip_if_false=4),
        _step(_LOAD_WORD, _ARGUMENT_0),
        _step(_IF_BITS, _CLONE_THREAD, skip_if_false=1),
        _step(_RETURN, _ALLOW),
        _step(_RETURN, _ERRNO | errno.EPERM),
        # A network namespace does not hide every family (vsock): only local sockets.
        _step(_IF_EQUAL, socket, skip_if_false=3),
        _step(_LOAD_WORD, _ARGUMENT_0),
        _step(_IF_EQUAL, _AF_UNIX, skip_if_true=1),
        _step(_RETURN, _ERRNO | errno.EPERM),
        _step(_RETURN, _ALLOW),
    ]
    return b"".join(program)


def _step(code: int, value: int, *, skip_if_true: int = 0, skip_if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, skip_if_true, skip_if_false, value)


def _refuse(number: int, error: int) -> tuple[bytes, bytes]:
    return _step(_IF_EQUAL, number, skip_if_false=1), _step(_RETURN, _ERRNO | error)
