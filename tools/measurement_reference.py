"""MRENCLAVE and SIGSTRUCT written a second time, straight from docs/spec, to make vectors with.

Shares no code with sealroom, reuses no buffer and takes no short cut: one record after the other. The
key below is public by being here; it signs test vectors and nothing else.
"""

import hashlib
import struct
import tomllib

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

PAGE = 4096
HEAP_MIN = 0x10000
_UNITS = {"K": 10, "M": 20, "G": 30}

_P = int(
    "f1271440693bd31c9410e5ceb0cde9dc1401adead9683322ffbb743566f98f5820b18d13a73153d1fec2e5347d0dfcce"
    "39f1e09ac9e7ed8b47e1c17ce3d4961dcb81018c38bbf9305f0c09430ecf5b793b71471192cf286e15b9c75f9cb55d21"
    "aac40cfc74930ec365d212a4d5cb3c236cd9bba2fd94e2ebd79168441b5680edeb136fc24c7ca0edefddadc687cf76c2"
    "c5f2c9d2cfc4425dbd7275ed8ff8a9de85cc5c4193a9de973747d6c9772d10b78f98846da1ebd23e3488cfe157cce329",
    16,
)
_Q = int(
    "e071b415107782ec933122fc3fb80b1f9a6ec5a350c4fb724b20a45814d2e0b4777b02deac10ea588a1c03562a08bcbd"
    "85d66e1e00b04a266333a8563037ae4a6efa5d0da90254e2eb9fc69d4e271e8b262d84a851b57645c40b787af7d853c8"
    "d0d3b08fdfaea1a27637724c91e7afe3fa511e533b79dfb1f33e0a3a7dad7650ebfe001c56125d25b5f6ff1f61315b66"
    "44c9f575f06f594acf385e7fb88b70fe33d392dbac9c4917fc853214e3f659c9278d3356bd26ed06cb31bc5db973a45f",
    16,
)
N = _P * _Q
_D = pow(3, -1, (_P - 1) * (_Q - 1))


def key_pem() -> bytes:
    """Return the key as a file."""
    public = rsa.RSAPublicNumbers(3, N)
    exponents = (rsa.rsa_crt_dmp1(_D, _P), rsa.rsa_crt_dmq1(_D, _Q), rsa.rsa_crt_iqmp(_P, _Q))
    key = rsa.RSAPrivateNumbers(_P, _Q, _D, *exponents, public).private_key()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def make_pal(*, text: bytes = b"\x0f\x0bvector", entry: int = 0x100) -> bytes:
    """Return a small ELF of two segments: code at 0, data that begins within a page and ends in zeros."""
    data = b"data of a vector"
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 3, 62, 1, entry, 64, 0, 0, 64, 56, 2, 64, 0, 0
    )
    code = struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, entry + len(text), entry + len(text), PAGE)
    rest = struct.pack("<IIQQQQQQ", 1, 6, 0xE38, 0x2E38, 0x2E38, len(data), 0x1548, PAGE)
    whole = (header + code + rest).ljust(entry, b"\0") + text
    return whole.ljust(0xE38, b"\xee") + data + b"\xee" * 9


def mrenclave(manifest: bytes, pal: bytes) -> bytes:
    """Return MRENCLAVE, one record after the other."""
    sgx = tomllib.loads(manifest.decode())["sgx"]
    size = int(sgx["enclave_size"][:-1]) << _UNITS[sgx["enclave_size"][-1]]
    digest = hashlib.sha256(struct.pack("<8sIQ44x", b"ECREATE", 4, size))
    regions = list(_regions(manifest, pal, size, sgx["max_threads"]))
    if not sgx["edmm_enable"]:
        regions.append((HEAP_MIN, 0x207, bytes(min(a for a, *_ in regions) - HEAP_MIN), False))
    for address, kind, content, measured in regions:
        for page in range(0, len(content), PAGE):
            digest.update(struct.pack("<8sQQ40x", b"EADD", address + page, kind))
            for chunk in range(page, page + PAGE, 256) if measured else ():
                digest.update(struct.pack("<8sQ48x", b"EEXTEND", address + chunk))
                digest.update(content[chunk : chunk + 256])
    return digest.digest()


def _regions(manifest: bytes, pal: bytes, size: int, threads: int):  # noqa: ANN202
    entry, segments = _segments(pal)
    span = max(address + len(content) for address, _, content in segments)
    whole = _padded(manifest + b"\0")
    low = size - len(whole)
    yield low, 0x201, whole, True
    ssa = low = low - threads * 0x8000
    tcs = low = low - threads * PAGE
    tls = low = low - threads * PAGE
    stacks = [low := low - 0x40000 for _ in range(threads)]
    signals = [low := low - 0x10000 for _ in range(threads)]
    base = low - span
    yield ssa, 0x203, bytes(threads * 0x8000), True
    for t in range(threads):
        own = {0x10: ssa + t * 0x8000, 0x18: 2 << 32, 0x20: base + entry, 0x38: tls + t * PAGE}
        yield tcs + t * PAGE, 0x100, _page(own | {0x40: 0xFFF << 32 | 0xFFF}), True
    for t in range(threads):
        fields = {
            0x0: tls + t * PAGE, 0x8: 0xBADBADBADBAD, 0x110: size, 0x118: tcs + t * PAGE,
            0x120: stacks[t] + 0x40000, 0x130: signals[t], 0x138: signals[t] + 0x10000,
            0x148: ssa + t * 0x8000, 0x150: ssa + t * 0x8000 + 0x4000 - 0xB8,
            0x1A0: len(manifest) + 1, 0x1A8: HEAP_MIN, 0x1B0: base,
        }  # fmt: skip
        yield tls + t * PAGE, 0x203, _page(fields), True
    yield from ((stack, 0x203, bytes(0x40000), True) for stack in stacks)
    yield from ((stack, 0x203, bytes(0x10000), True) for stack in signals)
    yield from ((base + address, kind, content, True) for address, kind, content in segments)


def _segments(pal: bytes) -> tuple[int, list[tuple[int, int, bytes]]]:
    segments = []
    for number in range(struct.unpack_from("<H", pal, 56)[0]):
        kind, flags, offset, address, _, length, memory, _ = struct.unpack_from(
            "<IIQQQQQQ", pal, 64 + 56 * number
        )
        if kind == 1:
            first = address // PAGE * PAGE
            content = bytes(address - first) + pal[offset : offset + length] + bytes(memory - length)
            rights = (flags & 4) >> 2 | flags & 2 | (flags & 1) << 2
            segments.append((first, 0x200 | rights, _padded(content)))
    return struct.unpack_from("<Q", pal, 24)[0], segments


def _page(fields: dict[int, int]) -> bytes:
    page = bytearray(PAGE)
    for offset, value in fields.items():
        page[offset : offset + 8] = value.to_bytes(8, "little")
    return bytes(page)


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % PAGE)


def sigstruct(measured: bytes, *, date: bytes, attributes: bytes, product: int = 0, svn: int = 0) -> bytes:
    """Return a signed SIGSTRUCT. `date` and `attributes` (MISCSELECT to the masks) stand as they are."""
    head = bytes.fromhex("06000000e10000000000010000000000") + bytes(4) + date
    head += bytes.fromhex("01010000600000006000000001000000")
    head = head.ljust(128, b"\0")
    body = attributes[:12] + bytes(16) + attributes[12:] + measured + bytes(32)
    body += struct.pack("<HH", product, svn)
    information = (
        bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(head + body).digest()
    )
    padded = b"\x00\x01".ljust(384 - len(information) - 1, b"\xff") + b"\x00" + information
    signature = pow(int.from_bytes(padded, "big"), _D, N)
    square = signature * signature
    numbers = (square // N, signature * (square % N) // N)
    parts = [head, _number(N), b"\x03\0\0\0", _number(signature), body, bytes(12)]
    return b"".join(parts) + b"".join(_number(number) for number in numbers)


def _number(number: int) -> bytes:
    return number.to_bytes(384, "little")
