"""The invitation's words: how they are drawn, checked and turned into the pre-shared key.

Words come from the English list of BIP39, in lower case. They are a secret: they never appear in an error
message. This module never sends or stores them. Spec: docs/spec/words.md.
"""

from __future__ import annotations

import hashlib
import secrets
import unicodedata
from collections.abc import Sequence
from functools import cache
from importlib import resources
from uuid import UUID

from sealroom.core.errors import MalformedError
from sealroom.core.sealing.keys import PreSharedKey

WORD_COUNT = 3
MAX_WORD_COUNT = 12
# BIP39, english.txt: 2048 lines, each ended by a line feed.
LIST_SHA256 = "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda"
ITERATIONS = 390_000


@cache
def word_list() -> tuple[str, ...]:
    """Give the 2048 words in order; raises `RuntimeError` when the installed list is not the known one."""
    raw = resources.files("sealroom.core.sealing").joinpath("bip39-english.txt").read_bytes()
    if hashlib.sha256(raw).hexdigest() != LIST_SHA256:
        raise RuntimeError("word list: the installed file is not the English list of BIP39")
    return tuple(raw.decode("ascii").split())


def generate_words(count: int = WORD_COUNT) -> tuple[str, ...]:
    """Draw `count` words from the system's random source, each on its own."""
    if not WORD_COUNT <= count <= MAX_WORD_COUNT:
        raise ValueError(f"words: expected {WORD_COUNT} to {MAX_WORD_COUNT}, got {count}")
    return tuple(secrets.choice(word_list()) for _ in range(count))


def parse_words(text: str) -> tuple[str, ...]:
    """Read words joined by hyphens, as the invitation's line has them.

    Raises `MalformedError` for a wrong number of words or one outside the list; it tells which place, not
    the word.
    """
    words = tuple(text.split("-", MAX_WORD_COUNT))
    if not WORD_COUNT <= len(words) <= MAX_WORD_COUNT:
        raise MalformedError(
            f"words: expected {WORD_COUNT} to {MAX_WORD_COUNT} joined by hyphens, got {len(words)}"
        )
    known = frozenset(word_list())
    for place, word in enumerate(words, start=1):
        if word not in known:
            raise MalformedError(f"words: number {place} is not in the BIP39 list")
    return words


def derive_preshared_key(words: Sequence[str], *, computation: UUID) -> PreSharedKey:
    """Turn the words into the computation's pre-shared key; slow on purpose (about a quarter of a second).

    The words are joined with nothing between, in NFKD, as the published client does.
    """
    password = "".join(unicodedata.normalize("NFKD", word) for word in words).encode()
    salt = hashlib.sha256(computation.bytes).digest()
    derived = hashlib.pbkdf2_hmac("sha256", password, salt, ITERATIONS, PreSharedKey.SIZE)
    return PreSharedKey.from_bytes(derived)
