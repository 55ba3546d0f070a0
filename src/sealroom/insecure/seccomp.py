"""The system-call filter of the simulated enclave, as a BPF program.

What for: the program inside may start threads and no processes, has no sockets but pairs of local ones, makes
no memory executable but what it maps from files, and reaches none of the kernel's rarely used doors. Refused
calls fail with EPERM, as libraries expect, and kill nothing.

Must never: allow a call of another architecture or of the x32 ABI (their numbers mean other things).
Spec page: docs/spec/launch-folder.md, "The sandbox".
"""

import errno
import platform
import struct
from dataclasses import dataclass

from sealroom.insecure.needs import Network

_LOAD_WORD = 0x20  # BPF_LD | BPF_W | BPF_ABS
_IF_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_IF_GREATER_EQUAL = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_AND = 0x54  # BPF_ALU | BPF_AND | BPF_K
_RETURN = 0x06  # BPF_RET | BPF_K

_ALLOW = 0x7FFF0000
_KILL_PROCESS = 0x80000000
_ERRNO = 0x00050000

# Offsets in struct seccomp_data, little-endian machines.
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_ARGUMENT_SIZE = 8
_WHOLE = 0xFFFFFFFF

_CLONE_THREAD, _CLONE_FILES = 0x00010000, 0x00000400
_AF_UNIX, _AF_INET, _AF_INET6 = 1, 2, 10
_SOCK_STREAM, _SOCK_DATAGRAM, _SOCK_KIND = 1, 2, 0xF
_PROTOCOL_OF_KIND, _TCP, _UDP = 0, 6, 17
_MSG_FASTOPEN = 0x20000000
_PROT_WRITE, _PROT_EXEC, _MAP_ANONYMOUS = 2, 4, 0x20
_PR_SET_PDEATHSIG = 1
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
            "mmap": 9, "mprotect": 10, "shmat": 30, "socket": 41, "connect": 42, "accept": 43, "sendto": 44,
            "sendmsg": 46, "bind": 49, "listen": 50, "socketpair": 53, "clone": 56, "fork": 57, "vfork": 58,
            "semget": 64, "msgget": 68, "ptrace": 101,
            "uselib": 134, "personality": 135, "modify_ldt": 154, "pivot_root": 155, "prctl": 157,
            "acct": 163, "mount": 165, "umount2": 166, "swapon": 167, "swapoff": 168, "reboot": 169,
            "init_module": 175, "delete_module": 176, "lookup_dcookie": 212, "kexec_load": 246,
            "add_key": 248, "request_key": 249, "keyctl": 250, "unshare": 272, "accept4": 288,
            "mq_open": 240, "perf_event_open": 298, "fanotify_init": 300, "name_to_handle_at": 303,
            "open_by_handle_at": 304, "sendmmsg": 307, "setns": 308, "process_vm_readv": 310,
            "process_vm_writev": 311, "kcmp": 312, "finit_module": 313, "kexec_file_load": 320, "bpf": 321,
            "execveat": 322, "userfaultfd": 323, "pkey_mprotect": 329, "io_uring_setup": 425,
            "clone3": 435, "pidfd_getfd": 438, "memfd_secret": 447,
            # Landlock lets whoever may read a file note things on it.
            "setxattr": 188, "lsetxattr": 189, "fsetxattr": 190, "removexattr": 197, "lremovexattr": 198,
            "fremovexattr": 199, "setxattrat": 463, "removexattrat": 466,
        },
    ),
    "aarch64": _Machine(
        audit=0xC00000B7,
        numbers={
            "lookup_dcookie": 18, "umount2": 39, "mount": 40, "pivot_root": 41, "acct": 89,
            "personality": 92, "unshare": 97, "kexec_load": 104, "init_module": 105, "delete_module": 106,
            "ptrace": 117, "reboot": 142, "prctl": 167, "mq_open": 180, "msgget": 186,
            "semget": 190, "shmat": 196, "socket": 198, "socketpair": 199,
            "bind": 200, "listen": 201, "accept": 202, "connect": 203, "sendto": 206,
            "sendmsg": 211, "add_key": 217, "request_key": 218, "keyctl": 219, "clone": 220, "mmap": 222,
            "swapon": 224, "swapoff": 225, "mprotect": 226,
            "perf_event_open": 241, "accept4": 242, "fanotify_init": 262, "name_to_handle_at": 264,
            "open_by_handle_at": 265, "setns": 268, "sendmmsg": 269, "process_vm_readv": 270,
            "process_vm_writev": 271, "kcmp": 272, "finit_module": 273, "bpf": 280, "execveat": 281,
            "userfaultfd": 282, "pkey_mprotect": 288, "kexec_file_load": 294, "io_uring_setup": 425,
            "clone3": 435, "pidfd_getfd": 438, "memfd_secret": 447, "setxattr": 5, "lsetxattr": 6,
            "fsetxattr": 7, "removexattr": 14, "lremovexattr": 15, "fremovexattr": 16, "setxattrat": 463,
            "removexattrat": 466,
        },
    ),
}  # fmt: skip


def filter_for(machine: str = "", *, network: Network = Network.NONE) -> bytes | None:
    """Return the filter for `machine` (default: this one), or `None` where no table of numbers exists.

    A `network` lets TCP through: what a service needs to take connections, and to make its own.

    The bytes are an array of `struct sock_filter`, as bubblewrap's `--seccomp` and seccomp(2) take it.
    """
    table = _MACHINES.get(machine or platform.machine())
    return None if table is None else _program(table, network)


@dataclass(frozen=True, slots=True, kw_only=True)
class _When:
    """A condition on one argument: its bits under `mask` are `value`, or are `not_value`."""

    argument: int
    mask: int = _WHOLE
    value: int | None = None
    not_value: int = 0


# Each with the conditions under which it is refused, all of which must hold.
_CONDITIONAL = (
    # A thread is fine, a process is not.
    ("clone", (_When(argument=0, mask=_CLONE_THREAD, value=0),)),
    # No namespace; descriptors of its own are what a thread may have.
    ("unshare", (_When(argument=0, mask=_WHOLE ^ _CLONE_FILES),)),
    ("socketpair", (_When(argument=1, mask=_SOCK_KIND, not_value=_SOCK_STREAM),)),
    # Code comes from files, and is not written to. Which files is decided by how they are mounted. Files in
    # memory stay: through one of them libffi makes what a C library calls back.
    ("mmap", (_When(argument=2, mask=_PROT_EXEC), _When(argument=2, mask=_PROT_WRITE))),
    ("mmap", (_When(argument=2, mask=_PROT_EXEC), _When(argument=3, mask=_MAP_ANONYMOUS))),
    ("mprotect", (_When(argument=2, mask=_PROT_EXEC),)),
    ("pkey_mprotect", (_When(argument=2, mask=_PROT_EXEC),)),
    # The tie to the parent stays.
    ("prctl", (_When(argument=0, value=_PR_SET_PDEATHSIG),)),
    # TCP Fast Open makes a connection with the first octets that are sent, without `connect`.
    ("sendto", (_When(argument=3, mask=_MSG_FASTOPEN),)),
    ("sendmsg", (_When(argument=2, mask=_MSG_FASTOPEN),)),
    ("sendmmsg", (_When(argument=3, mask=_MSG_FASTOPEN),)),
)

_NOT_STREAM = _When(argument=1, mask=_SOCK_KIND, not_value=_SOCK_STREAM)
# SCTP is a stream as well, and connects with whatever is sent.
_NOT_TCP = (_When(argument=2, not_value=_PROTOCOL_OF_KIND), _When(argument=2, not_value=_TCP))
_NEITHER_IP = (_When(argument=0, not_value=_AF_INET), _When(argument=0, not_value=_AF_INET6))
_SOCKETS = {
    # A network namespace does not hide every family (vsock), and what is bound to a path is in no namespace.
    # Datagrams name their receiver in memory, where a filter cannot look.
    Network.NONE: (("socket", (_When(argument=0, not_value=_AF_UNIX),)), ("socket", (_NOT_STREAM,))),
    # No local sockets: those with names of their own belong to the network that is the host's now.
    Network.SERVES: (("socket", _NEITHER_IP), ("socket", (_NOT_STREAM,)), ("socket", _NOT_TCP)),
    # Names are resolved by datagrams.
    Network.CONNECTS: (
        ("socket", _NEITHER_IP),
        ("socket", (_NOT_STREAM, _When(argument=1, mask=_SOCK_KIND, not_value=_SOCK_DATAGRAM))),
        ("socket", (*_NOT_TCP, _When(argument=2, not_value=_UDP))),
    ),
}
# What each kind of network is let through of the calls that are refused otherwise.
_ALLOWED: dict[Network, frozenset[str]] = {
    Network.NONE: frozenset(),
    Network.SERVES: frozenset(("bind", "listen", "accept", "accept4")),
    Network.CONNECTS: frozenset(("bind", "listen", "accept", "accept4", "connect")),
}


def _program(machine: _Machine, network: Network) -> bytes:
    rules = (*_CONDITIONAL, *_SOCKETS[network])
    elsewhere = {name for name, _ in rules} | {"clone3"} | _ALLOWED[network]
    always = {number for name, number in machine.numbers.items() if name not in elsewhere}
    program = [
        _step(_LOAD_WORD, _ARCHITECTURE),
        _step(_IF_EQUAL, machine.audit, skip_if_true=1),
        _step(_RETURN, _KILL_PROCESS),
        _step(_LOAD_WORD, _NUMBER),
        _step(_IF_GREATER_EQUAL, _X32_BIT, skip_if_false=1),
        _step(_RETURN, _ERRNO | errno.EPERM),
        # The C library falls back to clone, whose flags a filter can read, when there is no clone3.
        *_refuse(machine.numbers["clone3"], errno.ENOSYS),
        *(step for number in sorted(always) for step in _refuse(number, errno.EPERM)),
        *(step for name, when in rules for step in _refuse_when(machine.numbers[name], when)),
        _step(_RETURN, _ALLOW),
    ]
    return b"".join(program)


def _step(code: int, value: int, *, skip_if_true: int = 0, skip_if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, skip_if_true, skip_if_false, value)


def _refuse(number: int, error: int) -> tuple[bytes, bytes]:
    return _step(_IF_EQUAL, number, skip_if_false=1), _step(_RETURN, _ERRNO | error)


def _refuse_when(number: int, conditions: tuple[_When, ...]) -> list[bytes]:
    """Refuse one call where all `conditions` hold; otherwise go on behind these steps."""
    steps = [_step(_RETURN, _ERRNO | errno.EPERM)]
    for condition in reversed(conditions):
        left = len(steps)
        load = _step(_LOAD_WORD, _ARGUMENTS + _ARGUMENT_SIZE * condition.argument)
        mask = _step(_AND, condition.mask)
        if condition.value is None:
            test = _step(_IF_EQUAL, condition.not_value, skip_if_true=left)
        else:
            test = _step(_IF_EQUAL, condition.value, skip_if_false=left)
        steps = [load, mask, test, *steps]
    return [_step(_LOAD_WORD, _NUMBER), _step(_IF_EQUAL, number, skip_if_false=len(steps)), *steps]
