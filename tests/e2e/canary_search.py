"""Looking for planted bytes in everything an operator can read, in every form that they could hide in.

A word is looked for raw, in hexadecimal, in base64 at each of its three alignments, and all of that again in
whatever the content holds in hexadecimal, base64, gzip, zlib, bzip2 or LZMA.
"""

import base64
import bz2
import hashlib
import lzma
import re
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

_DEPTH = 3
_MOST_DECOMPRESSED = 1 << 24
_LZMA_MEMORY = 1 << 26
# Where a compressed stream may begin: gzip, xz, LZMA alone, bzip2, and zlib at its four usual levels.
_STREAMS = re.compile(b"\x1f\x8b\x08|\xfd7zXZ\x00|\x5d\x00\x00|BZh[1-9]|\x78[\x01\x5e\x9c\xda]", re.DOTALL)
_HEX = re.compile(rb"(?:[0-9a-fA-F]{2}){16,}")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{24,}={0,2}")


@dataclass(frozen=True, slots=True)
class Found:
    """One place where a planted word can be read."""

    word: str
    place: str
    form: str


def forms(word: bytes) -> dict[str, bytes]:
    """Every spelling of `word` that is looked for."""
    spelled = {
        "raw": word,
        "reversed": word[::-1],
        "hex": word.hex().encode(),
        "hex in capitals": word.hex().upper().encode(),
        "utf-16": b"".join(bytes([byte, 0]) for byte in word),
    }
    for shift in range(3):
        text = base64.b64encode(bytes(shift) + word)
        # Without the characters that depend on the bytes before and after it.
        inner = text[-(-shift * 8 // 6) : (shift + len(word)) * 8 // 6]
        spelled[f"base64, {shift} bytes on"] = inner
        spelled[f"base64 for addresses, {shift} bytes on"] = inner.translate(bytes.maketrans(b"+/", b"-_"))
    return spelled


class Search:
    """All forms of all planted words, and what of them was found where."""

    def __init__(self, words: Mapping[str, bytes]) -> None:
        self._forms = [
            (name, form, spelled) for name, word in words.items() for form, spelled in forms(word).items()
        ]
        self.found: list[Found] = []
        self._clean: set[bytes] = set()

    def look(self, place: str, content: bytes, *, depth: int = _DEPTH) -> None:
        """Look through `content`, and through what can be decoded or decompressed from it."""
        for name, form, spelled in self._forms:
            if spelled in content:
                self.found.append(Found(name, place, form))
        if depth:
            for where, inner in _inside(content):
                self.look(f"{place}, {where}", inner, depth=depth - 1)

    def look_at_all(self, contents: Mapping[str, bytes]) -> None:
        """Look through everything and its names; the same bytes that held nothing before hold nothing now."""
        for place, content in contents.items():
            self.look(f"the name {place}", place.encode(), depth=0)
            digest, before = hashlib.sha256(content).digest(), len(self.found)
            if digest not in self._clean:
                self.look(place, content)
            if len(self.found) == before:
                self._clean.add(digest)

    def places(self) -> set[str]:
        return {found.place for found in self.found}


def read_files(root: Path, *, but: Iterable[str] = ()) -> dict[str, bytes]:
    """Return the content of every regular file below `root`, but not below a folder of those names."""
    found = {}
    for path in sorted(root.rglob("*")):
        below = path.relative_to(root)
        if path.is_file() and not path.is_symlink() and not set(but) & set(below.parts):
            found[str(below)] = path.read_bytes()
    return found


def _inside(content: bytes) -> Iterator[tuple[str, bytes]]:
    for match in _STREAMS.finditer(content):
        inner = _decompressed(memoryview(content)[match.start() :])
        if inner:
            yield f"decompressed from {match.start()}", inner
    for match in _HEX.finditer(content):
        yield f"hex from {match.start()}", bytes.fromhex(match.group().decode())
    for match in _BASE64.finditer(content):
        text = match.group().rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
        for skipped in range(4):
            whole = text[skipped : skipped + (len(text) - skipped) // 4 * 4]
            inner = base64.b64decode(whole)
            # Text in base64 again, or something compressed; the words themselves were found by their forms.
            if skipped == 0 or _STREAMS.match(inner):
                yield f"base64 from {match.start() + skipped}", inner


def _decompressed(content: memoryview) -> bytes:
    start = bytes(content[:2])
    try:
        if start == b"\x1f\x8b":
            return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(content, _MOST_DECOMPRESSED)
        if start[:1] == b"\x78":
            return zlib.decompressobj().decompress(content, _MOST_DECOMPRESSED)
        if start == b"BZ":
            return bz2.BZ2Decompressor().decompress(content, _MOST_DECOMPRESSED)
        form = lzma.FORMAT_XZ if start == b"\xfd7" else lzma.FORMAT_ALONE
        return lzma.LZMADecompressor(form, memlimit=_LZMA_MEMORY).decompress(content, _MOST_DECOMPRESSED)
    except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError):
        return b""


def leaks(word: bytes) -> dict[str, bytes]:
    """Content that holds `word` in each form, as somebody could leak it: what the search is proven on."""
    around = b"some text before " + word + b" and behind"
    archive = BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        member = tarfile.TarInfo("a file")
        member.size = len(around)
        tar.addfile(member, BytesIO(around))
    compressed = {
        "zlib": zlib.compress(around),
        "zlib, fast": zlib.compress(around, 1),
        "zlib, best": zlib.compress(around, 9),
        "gzip": zlib.compress(around, wbits=31),
        "lzma": lzma.compress(around),
        "lzma alone": lzma.compress(around, format=lzma.FORMAT_ALONE),
        "bzip2": bz2.compress(around),
        "an archive": archive.getvalue(),
        "hex, then zlib": zlib.compress(around.hex().encode()),
        "zlib, then gzip": zlib.compress(zlib.compress(around), wbits=31),
        "zlib, then base64": b'{"payload": "' + base64.b64encode(zlib.compress(around)) + b'"}',
        "zlib, then hex": zlib.compress(around).hex().encode(),
        "base64, then base64": base64.b64encode(base64.b64encode(b"x" + around)),
    }
    plain = {
        "raw": around,
        "reversed": around[::-1],
        "hex": around.hex().encode(),
        "hex in capitals": around.hex().upper().encode(),
        "utf-16": around.decode("latin-1").encode("utf-16"),
        "base64 for addresses": base64.urlsafe_b64encode(b"\xfb\xff" + word + b"\xff"),
    }
    encoded = {f"base64, {shift} bytes on": base64.b64encode(bytes(shift) + around) for shift in range(3)}
    inside = {f"{name}, inside a file": b"\x00" * 37 + content for name, content in compressed.items()}
    return plain | encoded | compressed | inside
