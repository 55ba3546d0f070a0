"""A process that leaves the host's network, tried in a process of its own."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

_CHILD = """
import os, socket, sys
from sealroom.server.no_network import can_leave_network, tie_and_leave_network
def reached():
    try:
        socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=5).close()
    except OSError:
        return False
    return True
possible, before = can_leave_network(), reached()
if possible:
    tie_and_leave_network()
print(possible, before, reached(), os.readlink("/proc/self/ns/net"), os.geteuid(), os.getegid())
"""


def test_a_process_that_left_reaches_nobody_and_is_the_user_that_it_was() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-c", _CHILD, port], capture_output=True, text=True, check=True
        )
    possible, before, after, namespace, *who = done.stdout.split()
    if possible == "False":
        pytest.skip("no network namespace can be made here")
    assert (before, after) == ("True", "False")
    assert namespace != str(Path("/proc/self/ns/net").readlink())
    status = Path("/proc/self").stat()
    assert who == [str(status.st_uid), str(status.st_gid)]
