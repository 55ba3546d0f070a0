"""Read the loadable segments of an ELF64 file, as the enclave's loader places them.

Guarantees that every returned segment lies inside the file, that segments ascend without sharing a page, and
that the whole image is small. Never applies relocations: Gramine measures the image before they are applied.

Spec: docs/spec/manifest.md, "The PAL".
"""

import struct
from dataclasses import dataclass, field
from itertools import pairwise

from sealroom.core.errors import MalformedError

PAGE_SIZE = 0x1000
MAX_ELF_BYTES = 16 * 1024 * 1024
MAX_IMAGE_BYTES = 64 * 1024 * 1024
MAX_PROGRAM_HEADERS = 64

# System V ABI, "ELF Header" and "Program Header", 64-bit, little-endian.
_FILE_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")
_IDENT_PREFIX = b"\x7fELF\x02\x01\x01"
_EM_X86_64 = 62
_ET_DYN = 3
_PT_LOAD = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One PT_LOAD: `content` are its file bytes, `memory_size` what it covers once loaded."""

    address: int
    memory_size: int
    readable: bool
    writable: bool
    executable: bool
    content: bytes = field(repr=False)

    @property
    def first_page(self) -> int:
        """Address of the first page that the segment touches."""
        return page_down(self.address)

    @property
    def end_page(self) -> int:
        """Address after the last page that the segment touches."""
        return page_up(self.address + self.memory_size)


@dataclass(frozen=True, slots=True, kw_only=True)
class ElfImage:
    """What the loader needs of an ELF file: its entry point and its segments in file order."""

    entry: int
    segments: tuple[Segment, ...]

    @property
    def size(self) -> int:
        """Bytes of address space from zero to the end of the last segment, in whole pages."""
        return self.segments[-1].end_page


def page_down(address: int) -> int:
    """Round `address` down to a page boundary."""
    return address & -PAGE_SIZE


def page_up(address: int) -> int:
    """Round `address` up to a page boundary."""
    return page_down(address + PAGE_SIZE - 1)


def parse_elf(raw: bytes) -> ElfImage:
    """Parse a position-independent x86-64 ELF file.

    Raises `MalformedError` for anything that Gramine's loader would not place at the address computed here.
    """
    if not _FILE_HEADER.size <= len(raw) <= MAX_ELF_BYTES:
        raise MalformedError(
            f"elf size: got {len(raw)}, expected {_FILE_HEADER.size} to {MAX_ELF_BYTES} bytes"
        )
    header = _FILE_HEADER.unpack_from(raw)
    ident, kind, machine, entry, table_offset = header[0], header[1], header[2], header[4], header[5]
    entry_size, entries = header[9], header[10]
    if not ident.startswith(_IDENT_PREFIX):
        raise MalformedError("elf identification: expected a 64-bit little-endian ELF of version 1")
    if (kind, machine) != (_ET_DYN, _EM_X86_64):
        raise MalformedError(
            f"elf kind: got type {kind} for machine {machine}, expected a shared x86-64 object"
        )
    if entry_size != _PROGRAM_HEADER.size or not 0 < entries <= MAX_PROGRAM_HEADERS:
        raise MalformedError(f"elf program headers: got {entries} of {entry_size} bytes")
    if table_offset + entries * entry_size > len(raw):
        raise MalformedError("elf program headers: they reach past the end of the file")
    segments = tuple(_load_segments(raw, table_offset, entries))
    _check_order(segments)
    return ElfImage(entry=_checked_entry(entry, segments), segments=segments)


def _load_segments(raw: bytes, table_offset: int, entries: int) -> list[Segment]:
    segments = []
    for index in range(entries):
        fields = _PROGRAM_HEADER.unpack_from(raw, table_offset + index * _PROGRAM_HEADER.size)
        kind, flags, offset, address, _, file_size, memory_size, _ = fields
        if kind != _PT_LOAD:
            continue
        if offset + file_size > len(raw) or file_size > memory_size or memory_size == 0:
            raise MalformedError(f"elf segment {index}: its sizes do not fit the file")
        if (offset - address) % PAGE_SIZE:
            # System V ABI: congruent modulo the page size. Pages of the file are mapped, not bytes.
            raise MalformedError(f"elf segment {index}: file offset and address differ within their pages")
        if address + memory_size > MAX_IMAGE_BYTES:
            raise MalformedError(f"elf segment {index}: ends beyond {MAX_IMAGE_BYTES} bytes")
        segments.append(
            Segment(
                address=address,
                memory_size=memory_size,
                readable=bool(flags & 4),
                writable=bool(flags & 2),
                executable=bool(flags & 1),
                content=raw[offset : offset + file_size],
            )
        )
    return segments


def _check_order(segments: tuple[Segment, ...]) -> None:
    if not segments or segments[0].first_page != 0:
        # An image that does not start at zero is loaded at a fixed address; no PAL of Gramine's does.
        raise MalformedError("elf segments: the first loadable segment must start at address zero")
    for before, after in pairwise(segments):
        if after.first_page < before.end_page:
            raise MalformedError("elf segments: two of them share a page or are out of order")


def _checked_entry(entry: int, segments: tuple[Segment, ...]) -> int:
    if not any(s.executable and s.address <= entry < s.address + s.memory_size for s in segments):
        raise MalformedError(f"elf entry point: {entry:#x} lies in no executable segment")
    return entry
