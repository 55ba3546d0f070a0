"""The system-call filter, run by a small interpreter of its instructions."""

import errno
import socket
import struct
import subprocess
import sys

import pytest

from sealroom.insecure.needs import Network
from sealroom.insecure.seccomp import filter_for

X86_64, AARCH64 = 0xC000003E, 0xC00000B7
ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
CLONE_THREAD, CLONE_VM, CLONE_FILES = 0x10000, 0x100, 0x400
AF_UNIX, AF_INET, AF_VSOCK = 1, 2, 40
SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_CLOEXEC = 1, 2, 3, 0x80000
READ, WRITE, EXEC = 1, 2, 4
MAP_PRIVATE, MAP_ANONYMOUS = 2, 0x20


def outcome(
    program: bytes,
    *,
    number: int,
    architecture: int = X86_64,
    argument: int = 0,
    others: tuple[int, ...] = (),
) -> int:
    arguments = (argument, *others, 0, 0, 0, 0, 0)[:6]
    data = struct.pack("<IIQ6Q", number, architecture, 0, *arguments)
    steps = list(struct.iter_unpack("=HBBI", program))
    position, value = 0, 0
    while True:
        code, if_true, if_false, operand = steps[position]
        position += 1
        if code == 0x20:
            (value,) = struct.unpack_from("<I", data, operand)
        elif code == 0x54:
            value &= operand
        elif code == 0x06:
            return operand
        else:
            taken = {0x15: value == operand, 0x35: value >= operand}[code]
            position += if_true if taken else if_false


@pytest.fixture
def x86() -> bytes:
    program = filter_for("x86_64")
    assert program is not None
    return program


@pytest.mark.parametrize("number", [0, 1, 2, 9, 10, 53, 59, 157, 202, 231, 257, 318])
def test_ordinary_calls_are_allowed(x86: bytes, number: int) -> None:
    assert outcome(x86, number=number, others=(SOCK_STREAM,)) == ALLOW


CLOSED = {
    "fork": 57,
    "vfork": 58,
    "ptrace": 101,
    "bpf": 321,
    "io_uring_setup": 425,
    "mount": 165,
    "connect": 42,
    "accept": 43,
    "bind": 49,
    "listen": 50,
    "shmat": 30,
    "execveat": 322,
    "semget": 64,
    "msgget": 68,
    "mq_open": 240,
    "setxattr": 188,
    "lsetxattr": 189,
    "fsetxattr": 190,
    "removexattr": 197,
    "setxattrat": 463,
}


@pytest.mark.parametrize("name", CLOSED)
def test_doors_that_no_program_needs_are_closed(x86: bytes, name: str) -> None:
    assert outcome(x86, number=CLOSED[name]) == ERRNO | errno.EPERM


def test_a_thread_may_be_made_and_a_process_not(x86: bytes) -> None:
    assert outcome(x86, number=56, argument=CLONE_VM | CLONE_THREAD) == ALLOW
    assert outcome(x86, number=56, argument=CLONE_VM) == ERRNO | errno.EPERM
    assert outcome(x86, number=56, argument=0x11) == ERRNO | errno.EPERM


def test_a_thread_may_have_descriptors_of_its_own_and_no_namespace(x86: bytes) -> None:
    assert outcome(x86, number=272, argument=CLONE_FILES) == ALLOW
    for namespace in (0x10000000, 0x00020000, 0x40000000, 0x10000000 | CLONE_FILES, 0x00000200):
        assert outcome(x86, number=272, argument=namespace) == ERRNO | errno.EPERM


def test_clone3_is_said_to_be_missing_so_that_libraries_fall_back(x86: bytes) -> None:
    assert outcome(x86, number=435) == ERRNO | errno.ENOSYS


@pytest.mark.parametrize("family", [AF_INET, AF_VSOCK, 10, 16, 17])
def test_only_local_sockets_are_made(x86: bytes, family: int) -> None:
    assert outcome(x86, number=41, argument=family, others=(SOCK_STREAM,)) == ERRNO | errno.EPERM
    assert outcome(x86, number=41, argument=AF_UNIX, others=(SOCK_STREAM | SOCK_CLOEXEC,)) == ALLOW


@pytest.mark.parametrize("number", [41, 53])
def test_no_local_socket_names_its_receiver_with_each_message(x86: bytes, number: int) -> None:
    for kind in (SOCK_DGRAM, SOCK_RAW, SOCK_DGRAM | SOCK_CLOEXEC):
        assert outcome(x86, number=number, argument=AF_UNIX, others=(kind,)) == ERRNO | errno.EPERM


def test_memory_is_never_written_and_executed(x86: bytes) -> None:
    mmap, prot = 9, {"rx": READ | EXEC, "rw": READ | WRITE, "rwx": READ | WRITE | EXEC}
    assert outcome(x86, number=mmap, others=(4096, prot["rx"], MAP_PRIVATE)) == ALLOW
    assert outcome(x86, number=mmap, others=(4096, prot["rw"], MAP_PRIVATE | MAP_ANONYMOUS)) == ALLOW
    assert outcome(x86, number=mmap, others=(4096, prot["rwx"], MAP_PRIVATE)) == ERRNO | errno.EPERM
    anonymous = (4096, prot["rx"], MAP_PRIVATE | MAP_ANONYMOUS)
    assert outcome(x86, number=mmap, others=anonymous) == ERRNO | errno.EPERM


@pytest.mark.parametrize("number", [10, 329])
def test_nothing_becomes_executable_later(x86: bytes, number: int) -> None:
    assert outcome(x86, number=number, others=(4096, READ | EXEC)) == ERRNO | errno.EPERM
    assert outcome(x86, number=number, others=(4096, READ)) == ALLOW


def test_a_program_cannot_untie_itself_from_its_parent(x86: bytes) -> None:
    assert outcome(x86, number=157, argument=1) == ERRNO | errno.EPERM
    assert outcome(x86, number=157, argument=15) == ALLOW


def test_calls_of_another_architecture_end_the_process(x86: bytes) -> None:
    assert outcome(x86, number=1, architecture=0x40000003) == KILL


def test_calls_of_the_x32_form_are_refused(x86: bytes) -> None:
    assert outcome(x86, number=0x40000000 | 57) == ERRNO | errno.EPERM
    assert outcome(x86, number=0x40000000) == ERRNO | errno.EPERM


def test_the_other_table_closes_the_same_doors() -> None:
    program = filter_for("aarch64")
    assert program is not None
    closed = {"ptrace": 117, "mount": 40, "bpf": 280, "connect": 203}
    for number in closed.values():
        assert outcome(program, number=number, architecture=AARCH64) == ERRNO | errno.EPERM
    assert outcome(program, number=97, architecture=AARCH64, argument=0x10000000) == ERRNO | errno.EPERM
    assert outcome(program, number=220, architecture=AARCH64, argument=0x11) == ERRNO | errno.EPERM
    assert outcome(program, number=220, architecture=AARCH64, argument=CLONE_THREAD) == ALLOW
    assert outcome(program, number=198, architecture=AARCH64, argument=AF_INET) == ERRNO | errno.EPERM
    assert outcome(program, number=63, architecture=AARCH64) == ALLOW
    executable = (4096, READ | EXEC, MAP_PRIVATE | MAP_ANONYMOUS)
    assert outcome(program, number=222, architecture=AARCH64, others=executable) == ERRNO | errno.EPERM
    assert outcome(program, number=226, architecture=AARCH64, others=executable) == ERRNO | errno.EPERM
    assert outcome(program, number=167, architecture=AARCH64, argument=1) == ERRNO | errno.EPERM


def test_an_unknown_processor_has_no_filter() -> None:
    assert filter_for("riscv64") is None


AF_INET6, AF_NETLINK = 10, 16
MSG_FASTOPEN, MSG_NOSIGNAL = 0x20000000, 0x4000
TAKES = {"bind": 49, "listen": 50, "accept": 43, "accept4": 288}
REFUSED = ERRNO | errno.EPERM


def of_service(network: Network) -> bytes:
    program = filter_for("x86_64", network=network)
    assert program is not None
    return program


@pytest.mark.parametrize("network", [Network.SERVES, Network.CONNECTS])
def test_a_service_takes_connections_of_tcp(network: Network) -> None:
    program = of_service(network)
    for number in TAKES.values():
        assert outcome(program, number=number) == ALLOW
    for family in (AF_INET, AF_INET6):
        assert outcome(program, number=41, argument=family, others=(SOCK_STREAM | SOCK_CLOEXEC,)) == ALLOW


@pytest.mark.parametrize("network", [Network.SERVES, Network.CONNECTS])
@pytest.mark.parametrize("family", [AF_UNIX, AF_VSOCK, AF_NETLINK])
def test_a_service_has_no_sockets_of_other_families(network: Network, family: int) -> None:
    """Local ones have names in the network that it shares with its host."""
    for kind in (SOCK_STREAM, SOCK_DGRAM):
        assert outcome(of_service(network), number=41, argument=family, others=(kind,)) == REFUSED


def test_a_service_connects_where_it_may_alone() -> None:
    assert outcome(of_service(Network.SERVES), number=42) == REFUSED
    assert outcome(of_service(Network.CONNECTS), number=42) == ALLOW


SENDS = {44: (0, 0, MSG_FASTOPEN), 46: (0, MSG_FASTOPEN), 307: (0, 0, MSG_FASTOPEN)}


@pytest.mark.parametrize("network", Network)
@pytest.mark.parametrize("number", SENDS)
def test_nothing_is_connected_by_what_is_sent(network: Network, number: int) -> None:
    """TCP Fast Open: `sendto` with an address and a flag does what `connect` and `send` do."""
    program = of_service(network)
    assert outcome(program, number=number, others=SENDS[number]) == REFUSED
    assert outcome(program, number=number, others=(0, MSG_NOSIGNAL, MSG_NOSIGNAL)) == ALLOW


def test_tcp_fast_open_connects_nothing_on_this_machine() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        script = (
            "import socket, sys\n"
            "from sealroom.insecure.confinement import _install_filter\n"
            "from sealroom.insecure.needs import Network\n"
            "from sealroom.insecure.seccomp import filter_for\n"
            "made = socket.socket()\n"
            "_install_filter(filter_for(network=Network.SERVES))\n"
            "made.sendto(b'told', socket.MSG_FASTOPEN, ('127.0.0.1', int(sys.argv[1])))\n"
        )
        arguments = [sys.executable, "-c", script, str(listening.getsockname()[1])]
        told = subprocess.run(arguments, capture_output=True, text=True, check=False)
        listening.setblocking(False)
        with pytest.raises(BlockingIOError):
            listening.accept()
    assert "PermissionError" in told.stderr


@pytest.mark.parametrize("network", [Network.SERVES, Network.CONNECTS])
@pytest.mark.parametrize("protocol", [1, 132, 136, 256, 262])
def test_a_service_has_no_other_protocol_than_tcp_and_udp(network: Network, protocol: int) -> None:
    for kind in (SOCK_STREAM, SOCK_DGRAM):
        assert outcome(of_service(network), number=41, argument=AF_INET, others=(kind, protocol)) == REFUSED
    assert outcome(of_service(network), number=41, argument=AF_INET, others=(SOCK_STREAM, 6)) == ALLOW


def test_names_are_resolved_where_a_service_connects_alone() -> None:
    for network, expected in ((Network.SERVES, REFUSED), (Network.CONNECTS, ALLOW)):
        found = outcome(of_service(network), number=41, argument=AF_INET, others=(SOCK_DGRAM | SOCK_CLOEXEC,))
        assert found == expected
        assert outcome(of_service(network), number=41, argument=AF_INET, others=(SOCK_RAW,)) == REFUSED


@pytest.mark.parametrize("network", [Network.SERVES, Network.CONNECTS])
def test_a_service_has_no_other_right_that_a_computation_lacks(network: Network, x86: bytes) -> None:
    program, let_through = of_service(network), {*TAKES.values(), 41, 42}
    for number in set(range(450)) - let_through:
        assert outcome(program, number=number) == outcome(x86, number=number)
