"""What a child process does to itself between fork and exec: limits, namespaces, the tie to its parent.

What for: these hold whether or not bubblewrap is there, and cannot be taken off by what runs afterwards.

Must never: let the program start when one of its steps failed.
Spec page: docs/spec/launch-folder.md, "The sandbox".
"""

import ctypes
import os
import resource
import struct
from dataclasses import dataclass

from sealroom.adapters.enclave_process import die_with_parent
from sealroom.insecure.landlock import FileRules
from sealroom.insecure.namespaces import Mounts, drop_rights_on_execute, enter_namespaces

_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2

_MAX_THREADS = 512
_BYTES_A_FILTER_STEP = 8

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Confinement:
    """The steps: `limits` are (resource, value) pairs, `mounts` take rights to files away.

    The others are for a program that is started without bubblewrap, which sees to them itself: `isolate`
    unshares network, IPC and host name, without the network where it `keeps_network`; `files` are those that
    the program keeps, `None` for all that its account has.
    """

    limits: tuple[tuple[int, int], ...]
    mounts: Mounts | None = None
    no_new_privileges: bool = False
    isolate: bool = False
    keeps_network: bool = False
    files: FileRules | None = None
    seccomp: bytes | None = None

    def apply(self) -> None:
        """Confine this process, a freshly forked child; raises `OSError` where the kernel refuses."""
        die_with_parent()
        for kind, value in self.limits:
            _limit(kind, value)
        if self.isolate or self.mounts is not None:
            enter_namespaces(self.mounts, isolate=self.isolate, keep_network=self.keeps_network)
            # In a namespace of its own, the user's threads elsewhere do not count. Root has no such limit.
            _limit(resource.RLIMIT_NPROC, _MAX_THREADS)
            # The kernel unties a process whose rights change.
            die_with_parent()
        if self.no_new_privileges:
            drop_rights_on_execute()
            _prctl(_PR_SET_NO_NEW_PRIVS, 1)
        if self.files is not None:
            self.files.apply()
        if self.seccomp is not None:
            _install_filter(self.seccomp)


def is_possible(confinement: Confinement) -> bool:
    """Try, in a child that ends at once, whether this machine lets a process confine itself so.

    The caller must not have started threads.
    """
    child = os.fork()
    if child == 0:
        try:
            confinement.apply()
        except (OSError, ValueError):
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _limit(kind: int, value: int) -> None:
    """Lower one limit; a host that allows less already is left as it is."""
    _, hard = resource.getrlimit(kind)
    ceiling = value if hard == resource.RLIM_INFINITY else min(value, hard)
    # What does not fit the kernel's type is as good as no limit.
    if ceiling < 1 << 63:
        resource.setrlimit(kind, (ceiling, ceiling))


def _install_filter(program: bytes) -> None:
    steps = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: unsigned short len; struct sock_filter *filter;
    header = ctypes.create_string_buffer(
        struct.pack("@HP", len(program) // _BYTES_A_FILTER_STEP, ctypes.addressof(steps))
    )
    _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(header))


def _prctl(option: int, value: int, pointer: int = 0) -> None:
    arguments = (ctypes.c_ulong(value), ctypes.c_ulong(pointer), ctypes.c_ulong(0), ctypes.c_ulong(0))
    if _libc.prctl(option, *arguments) != 0:
        raise _last_error("prctl")


def _last_error(call: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{call}: {os.strerror(number)}")
