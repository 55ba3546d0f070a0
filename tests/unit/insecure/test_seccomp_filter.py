"""The system-call filter, run by a small interpreter of its instructions."""

import errno
import struct

import pytest

from sealroom.insecure.seccomp import filter_for

X86_64, AARCH64 = 0xC000003E, 0xC00000B7
ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
CLONE_THREAD, CLONE_VM = 0x10000, 0x100
AF_UNIX, AF_INET, AF_VSOCK = 1, 2, 40


def outcome(program: bytes, *, number: int, architecture: int = X86_64, argument: int = 0) -> int:
    data = struct.pack("<IIQQ", number, architecture, 0, argument)
    steps = list(struct.iter_unpack("=HBBI", program))
    position, value = 0, 0
    while True:
        code, if_true, if_false, operand = steps[position]
        position += 1
        if code == 0x20:
            (value,) = struct.unpack_from("<I", data, operand)
        elif code == 0x06:
            return operand
        else:
            taken = {0x15: value == operand, 0x35: value >= operand, 0x45: bool(value & operand)}[code]
            position += if_true if taken else if_false


@pytest.fixture
def x86() -> bytes:
    program = filter_for("x86_64")
    assert program is not None
    return program


@pytest.mark.parametrize("number", [0, 1, 2, 9, 10, 59, 202, 231, 257, 318])
def test_ordinary_calls_are_allowed(x86: bytes, number: int) -> None:
    assert outcome(x86, number=number) == ALLOW


CLOSED = {
    "fork": 57,
    "vfork": 58,
    "ptrace": 101,
    "unshare": 272,
    "bpf": 321,
    "io_uring_setup": 425,
    "mount": 165,
}


@pytest.mark.parametrize("name", CLOSED)
def test_doors_that_no_program_needs_are_closed(x86: bytes, name: str) -> None:
    assert outcome(x86, number=CLOSED[name]) == ERRNO | errno.EPERM


def test_a_thread_may_be_made_and_a_process_not(x86: bytes) -> None:
    assert outcome(x86, number=56, argument=CLONE_VM | CLONE_THREAD) == ALLOW
    assert outcome(x86, number=56, argument=CLONE_VM) == ERRNO | errno.EPERM
    assert outcome(x86, number=56, argument=0x11) == ERRNO | errno.EPERM


def test_clone3_is_said_to_be_missing_so_that_libraries_fall_back(x86: bytes) -> None:
    assert outcome(x86, number=435) == ERRNO | errno.ENOSYS


@pytest.mark.parametrize("family", [AF_INET, AF_VSOCK, 10, 16, 17])
def test_only_local_sockets_are_made(x86: bytes, family: int) -> None:
    assert outcome(x86, number=41, argument=family) == ERRNO | errno.EPERM
    assert outcome(x86, number=41, argument=AF_UNIX) == ALLOW


def test_calls_of_another_architecture_end_the_process(x86: bytes) -> None:
    assert outcome(x86, number=1, architecture=0x40000003) == KILL


def test_calls_of_the_x32_form_are_refused(x86: bytes) -> None:
    assert outcome(x86, number=0x40000000 | 57) == ERRNO | errno.EPERM
    assert outcome(x86, number=0x40000000) == ERRNO | errno.EPERM


def test_the_other_table_closes_the_same_doors() -> None:
    program = filter_for("aarch64")
    assert program is not None
    closed = {"ptrace": 117, "mount": 40, "unshare": 97, "bpf": 280}
    for number in closed.values():
        assert outcome(program, number=number, architecture=AARCH64) == ERRNO | errno.EPERM
    assert outcome(program, number=220, architecture=AARCH64, argument=0x11) == ERRNO | errno.EPERM
    assert outcome(program, number=220, architecture=AARCH64, argument=CLONE_THREAD) == ALLOW
    assert outcome(program, number=198, architecture=AARCH64, argument=AF_INET) == ERRNO | errno.EPERM
    assert outcome(program, number=63, architecture=AARCH64) == ALLOW


def test_an_unknown_processor_has_no_filter() -> None:
    assert filter_for("riscv64") is None
