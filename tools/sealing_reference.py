"""The sealed formats written a second time, straight from docs/spec, to make vectors with.

Shares no code with sealroom: HKDF over the standard library's HMAC, boxes through PyNaCl's public bindings,
every random value given. So a slip in the product does not repeat itself in its vectors.
"""

import base64
import hashlib
import hmac
import struct
from dataclasses import dataclass
from uuid import UUID

from nacl import bindings

MAGIC = b"sealroom"
CHUNK_LOG2 = 12
CHUNK = 1 << CHUNK_LOG2
SEALED_CHUNK = CHUNK + 16
HEADER = 76
_POLY1305_PRIME = (1 << 130) - 5
_POLY1305_CLAMP = 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """A container's context, as the spec lists it."""

    computation: UUID
    purpose: int
    owner: bytes
    enclave: bytes
    name: str

    def to_bytes(self) -> bytes:
        """Return the octets that the subkey depends on."""
        name = self.name.encode()
        fields = (self.computation.bytes, bytes([self.purpose]), self.owner, self.enclave)
        return b"".join(fields) + struct.pack(">H", len(name)) + name


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def hkdf32(ikm: bytes, salt: bytes, info: bytes) -> bytes:
    return hmac.digest(hmac.digest(salt, ikm, "sha256"), info + b"\x01", "sha256")


def subkey_of(key: bytes, salt: bytes, context: Context, chunk_log2: int = CHUNK_LOG2) -> bytes:
    fixed = MAGIC + bytes([1, chunk_log2, 0, 0])
    return hkdf32(key, salt, b"sealroom/v1/container\0" + fixed + context.to_bytes())


def header_of(subkey: bytes, salt: bytes, chunk_log2: int = CHUNK_LOG2) -> bytes:
    return MAGIC + bytes([1, chunk_log2, 0, 0]) + salt + sha256(b"sealroom/v1/commit\0", subkey)


def nonce_of(index: int, *, final: bool) -> bytes:
    return bytes(15) + struct.pack(">QB", index, final)


def seal_chunk(subkey: bytes, plain: bytes, index: int, *, final: bool) -> bytes:
    return bindings.crypto_secretbox_easy(plain, nonce_of(index, final=final), subkey)


def container(
    plain: bytes, *, key: bytes, salt: bytes, context: Context, chunk_log2: int = CHUNK_LOG2
) -> bytes:
    size = 1 << chunk_log2
    subkey = subkey_of(key, salt, context, chunk_log2)
    pieces = [plain[start : start + size] for start in range(0, len(plain), size)] or [b""]
    last = len(pieces) - 1
    sealed = [seal_chunk(subkey, piece, i, final=i == last) for i, piece in enumerate(pieces)]
    return header_of(subkey, salt, chunk_log2) + b"".join(sealed)


def box_pair(seed: bytes) -> tuple[bytes, bytes]:
    """Give (public, secret) of the X25519 pair whose secret is `seed`."""
    return bindings.crypto_scalarmult_base(seed), seed


def sealed_box(plain: bytes, public: bytes, *, ephemeral: bytes) -> bytes:
    """Make `crypto_box_seal` with a given ephemeral key."""
    own_public, own_secret = box_pair(ephemeral)
    nonce = hashlib.blake2b(own_public + public, digest_size=24).digest()
    return own_public + bindings.crypto_box_easy(plain, nonce, public, own_secret)


def sign(seed: bytes, message: bytes) -> bytes:
    _, secret = bindings.crypto_sign_seed_keypair(seed)
    return bindings.crypto_sign(message, secret)[:64]


def public_of(seed: bytes) -> bytes:
    return bindings.crypto_sign_seed_keypair(seed)[0]


def base32(raw: bytes) -> str:
    return base64.b32encode(raw).decode().rstrip("=").lower()


def invitation_line(body: str) -> str:
    return f"{body}:{base32(sha256(b'sealroom/v1/invitation' + bytes(1), body.encode()))[:4]}"


def commitment(files: list[tuple[str, int, bytes]], *, computation: UUID, sender: bytes) -> bytes:
    head = b"sealroom/v1/inputs\0" + computation.bytes + sender + struct.pack(">I", len(files))
    items = (
        struct.pack(">H", len(name.encode())) + name.encode() + struct.pack(">Q", size) + digest
        for name, size, digest in files
    )
    return sha256(head, *items)


def two_key_chunk(first: bytes, second: bytes) -> bytes:
    """Make one chunk, 0 and last, whose tag holds under both subkeys: 32 octets of ciphertext.

    Poly1305 is linear in the ciphertext's blocks: two blocks solve two equations, one for each key.
    """
    (r1, s1), (r2, s2) = (_one_time_key(key, nonce_of(0, final=True)) for key in (first, second))
    prime, low = _POLY1305_PRIME, 1 << 128
    inverse = pow(r1 * r1 * r2 - r2 * r2 * r1, -1, prime)
    for tag in range(1000):
        for carries in range(9):
            a = (tag - s1) % low + carries // 3 * low
            b = (tag - s2) % low + carries % 3 * low
            x = (a * r2 - b * r1) * inverse % prime
            y = (r1 * r1 * b - r2 * r2 * a) * inverse % prime
            if low <= x < 2 * low and low <= y < 2 * low:
                blocks = (x - low).to_bytes(16, "little") + (y - low).to_bytes(16, "little")
                return tag.to_bytes(16, "little") + blocks
    raise SystemExit("no two-key chunk found")


def _one_time_key(key: bytes, nonce: bytes) -> tuple[int, int]:
    """Give Poly1305's (r, s): the first 32 octets of XSalsa20's stream."""
    inner = _salsa20(key, nonce[:16], add=False)
    words = [0, 5, 10, 15, 6, 7, 8, 9]
    stream = _salsa20(struct.pack("<8I", *(inner[i] for i in words)), nonce[16:] + bytes(8), add=True)
    raw = struct.pack("<8I", *stream[:8])
    return int.from_bytes(raw[:16], "little") & _POLY1305_CLAMP, int.from_bytes(raw[16:], "little")


def _salsa20(key: bytes, sixteen: bytes, *, add: bool) -> list[int]:
    k, n, c = (
        struct.unpack("<8I", key),
        struct.unpack("<4I", sixteen),
        struct.unpack("<4I", b"expand 32-byte k"),
    )
    start = [c[0], *k[:4], c[1], *n, c[2], *k[4:], c[3]]
    state = list(start)
    columns = ((0, 4, 8, 12), (5, 9, 13, 1), (10, 14, 2, 6), (15, 3, 7, 11))
    rows = ((0, 1, 2, 3), (5, 6, 7, 4), (10, 11, 8, 9), (15, 12, 13, 14))
    for _ in range(10):
        for a, b, c_, d in columns + rows:
            state[b] ^= _rotate(state[a] + state[d], 7)
            state[c_] ^= _rotate(state[b] + state[a], 9)
            state[d] ^= _rotate(state[c_] + state[b], 13)
            state[a] ^= _rotate(state[d] + state[c_], 18)
    return [(x + y) & 0xFFFFFFFF for x, y in zip(state, start, strict=True)] if add else state


def _rotate(value: int, by: int) -> int:
    value &= 0xFFFFFFFF
    return (value << by | value >> (32 - by)) & 0xFFFFFFFF
