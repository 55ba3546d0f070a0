"""A process that leaves the host's network before it starts an enclave.

What for: Gramine's manifest has no rule against sockets. In a network namespace with nothing in it, what a
program does in C reaches nobody; sockets of this machine that lie at a path (AESM) are still there.

Must never: let the enclave start with the network when it was said to be off.
Kernel documentation: network_namespaces(7), user_namespaces(7). Spec: docs/spec/launch-folder.md, "On SGX".
"""

import ctypes
import os
from pathlib import Path

from sealroom.adapters.enclave_process import die_with_parent

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)


def tie_and_leave_network() -> None:
    """Tie this process, which has one thread, to its parent and take the network away; raises `OSError`."""
    _unshare()
    # Afterwards: the kernel unties a process whose rights change.
    die_with_parent()


def can_leave_network() -> bool:
    """Try, in a child that ends at once, whether this machine lets a process leave its network.

    The caller must not have started threads.
    """
    child = os.fork()
    if child == 0:
        try:
            _unshare()
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _unshare() -> None:
    user, group = os.geteuid(), os.getegid()
    # Root needs no user namespace. Others keep user and groups in one, and so the right to open the device.
    kinds = _CLONE_NEWNET if user == 0 else _CLONE_NEWNET | _CLONE_NEWUSER
    if _libc.unshare(kinds) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"unshare: {os.strerror(number)}")
    if user != 0:
        # In this order: a group can be mapped only where it cannot be given up any more.
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
