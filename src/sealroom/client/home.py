"""A participant's home folder: everything that one person's client keeps, readable by them alone.

Must never: work in a folder that others can read or write, or let two processes change one file at once.
Spec: docs/spec/journal.md, docs/spec/contacts.md.
"""

import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from sealroom.client.private_files import make_private_folder
from sealroom.core.errors import SealroomError

HOME_VARIABLE = "SEALROOM_HOME"
_LOCK_POLL_SECONDS = 0.05


class HomeError(SealroomError):
    """The home folder cannot be used as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """The folder of one participant and the names of what is in it."""

    root: Path

    @classmethod
    def open(cls, path: Path | str | None = None) -> "Home":
        """Open the home at `path`, creating it when it is not there.

        Without a path: the environment's SEALROOM_HOME, or ~/.local/share/sealroom. Raises `HomeError` for
        anything that is not a folder of this user that nobody else can enter.
        """
        chosen = Path(path or os.environ.get(HOME_VARIABLE) or default_home()).expanduser().absolute()
        try:
            make_private_folder(chosen)
            _check_private(chosen)
        except OSError as error:
            raise HomeError(f"home folder {chosen}: {error.strerror}") from error
        return cls(root=chosen)

    @property
    def identity(self) -> Path:
        """The Ed25519 key, PKCS#8 PEM."""
        return self.root / "identity.pem"

    @property
    def contacts(self) -> Path:
        """The file e-mail -> public key."""
        return self.root / "contacts.json"

    @property
    def journal(self) -> Path:
        """What was seen, committed, sent and delivered."""
        return self.root / "journal.sqlite"

    @property
    def accounts(self) -> Path:
        """The access tokens, by server."""
        return self.root / "accounts.json"

    @property
    def policy(self) -> Path:
        """The participant's own evidence policy, TOML."""
        return self.root / "policy.toml"

    @property
    def runtime_bill(self) -> Path:
        """A bill of materials of the runtime inside SGX to use instead of the release's, if it is there."""
        return self.root / "runtime.bill"

    @property
    def known_pals(self) -> Path:
        """A list of PALs for SGX to accept beside the release's, if it is there."""
        return self.root / "known_pals.toml"

    @property
    def computations(self) -> Path:
        """One folder for each computation."""
        return self.root / "computations"

    @property
    def wheels(self) -> Path:
        """Wheels of packages, by their hashes, and their lists."""
        return self.root / "wheels"

    def computation(self, computation: UUID) -> Path:
        """Return the folder of `computation`; it need not exist."""
        return self.computations / str(computation)

    @contextmanager
    def lock(self, *, timeout_seconds: float = 30.0) -> Iterator[None]:
        """Hold the home's lock: one process at a time; the system frees it when a process dies."""
        descriptor = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _wait_for_lock(descriptor, timeout_seconds)
            try:
                yield
            finally:
                _unlock(descriptor)
        finally:
            os.close(descriptor)


def default_home() -> Path:
    """Return the folder used when nobody names one."""
    return Path.home() / ".local" / "share" / "sealroom"


def _check_private(path: Path) -> None:
    status = path.stat()
    if not stat.S_ISDIR(status.st_mode):
        raise HomeError(f"home folder {path}: not a folder")
    _check_owner(path, status)


def _wait_for_lock(descriptor: int, timeout_seconds: float) -> None:
    ends = time.monotonic() + timeout_seconds
    while not _try_lock(descriptor):
        if time.monotonic() >= ends:
            raise HomeError("home folder: in use by another sealroom process; try again when it is done")
        time.sleep(_LOCK_POLL_SECONDS)


if sys.platform == "win32":
    import msvcrt

    def _check_owner(path: Path, status: os.stat_result) -> None:
        """Access control lists stand in for mode bits there: a user's profile folder is private."""

    def _try_lock(descriptor: int) -> bool:
        os.lseek(descriptor, 0, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _check_owner(path: Path, status: os.stat_result) -> None:
        if status.st_uid != os.geteuid():
            raise HomeError(f"home folder {path}: belongs to another user")
        mode = stat.S_IMODE(status.st_mode)
        if mode & 0o077:
            raise HomeError(
                f"home folder {path}: mode is {mode:04o}, expected 0700; it holds keys, run chmod 700 on it"
            )

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
