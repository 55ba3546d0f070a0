"""A key that signs enclaves, in a device behind a command.

What for: keys of people who sign releases lie in tokens and HSMs, each with its own program. The command
reads the bytes to sign on standard input and writes their RSASSA-PKCS1-v1_5 signature with SHA-256.

What comes back is not believed: `sign_sigstruct` verifies it against the public key.
Spec: docs/spec/sigstruct.md, "Signature".
"""

import subprocess
from collections.abc import Sequence

from sealroom.core.errors import SealroomError

_SECONDS = 300


class KeyCommandError(SealroomError):
    """The command could not be run, or gave no signature; the message has what it said."""


class KeyCommand:
    """A signer: `words` are the command, `modulus` is the public key's."""

    def __init__(self, words: Sequence[str], *, modulus: int) -> None:
        if not words:
            raise ValueError("key command: expected a program")
        self._words = tuple(words)
        self._modulus = modulus

    @property
    def modulus(self) -> int:
        """The key's modulus."""
        return self._modulus

    def sign(self, message: bytes) -> bytes:
        """Have the command sign `message`."""
        try:
            done = subprocess.run(  # noqa: S603 - the caller's own command
                self._words, input=message, capture_output=True, timeout=_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as exc:
            raise KeyCommandError(f"key command: {exc}") from exc
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip()[-500:]
            raise KeyCommandError(f"key command: exit code {done.returncode}: {said}")
        return done.stdout
