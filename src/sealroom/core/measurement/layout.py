"""Lay out the memory an enclave starts with, as Gramine 1.9 does from a manifest and its PAL.

Regions are stacked downwards from the top of the enclave; what is returned is in the order in which pages are
added. All addresses are relative to the enclave's base. Never hashes anything: see `mrenclave`.

Spec: docs/spec/manifest.md, "Layout".
"""

import struct
from dataclasses import dataclass, field

from sealroom.core.errors import MalformedError
from sealroom.core.measurement.elf import PAGE_SIZE, ElfImage, page_up
from sealroom.core.measurement.manifest import EnclaveSettings

# SECINFO.FLAGS: page type in bits 8..15, permissions in bits 0..2 (SDM vol. 3D, 37.11).
_TYPE_TCS = 0x100
_TYPE_REG = 0x200
_READ, _WRITE, _EXECUTE = 1, 2, 4

_HEAP_MIN = 0x10000
_SSA_FRAME_PAGES = 4
_SSA_FRAMES = 2
_SSA_SIZE = _SSA_FRAMES * _SSA_FRAME_PAGES * PAGE_SIZE
_STACK_SIZE = 64 * PAGE_SIZE
_SIGNAL_STACK_SIZE = 16 * PAGE_SIZE
_GPR_SIZE = 184
_STACK_PROTECTOR_CANARY = 0xBADBADBADBAD


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """Consecutive pages of one kind; beyond `content` they are zero, unmeasured ones are only added."""

    name: str
    address: int
    size: int
    flags: int
    content: bytes = field(default=b"", repr=False)
    measured: bool = True

    @property
    def end(self) -> int:
        """Address after the last byte."""
        return self.address + self.size

    @property
    def kind(self) -> str:
        """Page type and permissions, as the signer prints them: `REG:RW-`."""
        letters = zip("RWX", (_READ, _WRITE, _EXECUTE), strict=True)
        rights = "".join(letter if self.flags & bit else "-" for letter, bit in letters)
        return f"{'TCS' if self.flags & _TYPE_TCS else 'REG'}:{rights}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Addresses:
    """Where everything lies, before any page is filled."""

    manifest: int
    ssa: int
    tcs: int
    tls: int
    stacks: tuple[int, ...]
    signal_stacks: tuple[int, ...]
    pal: int


def lay_out(*, manifest: bytes, settings: EnclaveSettings, pal: ElfImage) -> tuple[Region, ...]:
    """Return the enclave's regions in the order in which their pages are added.

    Raises `MalformedError` if the enclave is too small for what must be in it.
    """
    at = _addresses(len(manifest), settings, pal)
    threads = settings.max_threads
    read_write = _TYPE_REG | _READ | _WRITE
    regions = [
        Region(
            name="manifest",
            address=at.manifest,
            size=page_up(len(manifest) + 1),
            flags=_TYPE_REG | _READ,
            content=manifest,
        ),
        Region(name="ssa", address=at.ssa, size=threads * _SSA_SIZE, flags=read_write),
        Region(
            name="tcs",
            address=at.tcs,
            size=threads * PAGE_SIZE,
            flags=_TYPE_TCS,
            content=_tcs_pages(at, pal.entry),
        ),
        Region(
            name="tls",
            address=at.tls,
            size=threads * PAGE_SIZE,
            flags=read_write,
            content=_tls_pages(at, settings.enclave_size, len(manifest) + 1),
        ),
    ]
    regions += [Region(name="stack", address=a, size=_STACK_SIZE, flags=read_write) for a in at.stacks]
    regions += [
        Region(name="sig_stack", address=a, size=_SIGNAL_STACK_SIZE, flags=read_write)
        for a in at.signal_stacks
    ]
    regions += _pal_regions(at.pal, pal)
    if not settings.edmm_enable and at.pal > _HEAP_MIN:
        everything = _TYPE_REG | _READ | _WRITE | _EXECUTE
        free = at.pal - _HEAP_MIN
        regions.append(Region(name="free", address=_HEAP_MIN, size=free, flags=everything, measured=False))
    return tuple(regions)


def _addresses(manifest_length: int, settings: EnclaveSettings, pal: ElfImage) -> _Addresses:
    threads = settings.max_threads
    manifest = settings.enclave_size - page_up(manifest_length + 1)
    ssa = manifest - threads * _SSA_SIZE
    tcs = ssa - threads * PAGE_SIZE
    tls = tcs - threads * PAGE_SIZE
    # The first thread's stack is the highest one.
    stacks = tuple(tls - (t + 1) * _STACK_SIZE for t in range(threads))
    signal_stacks = tuple(stacks[-1] - (t + 1) * _SIGNAL_STACK_SIZE for t in range(threads))
    pal_address = signal_stacks[-1] - pal.size
    if pal_address < _HEAP_MIN:
        raise MalformedError(f"sgx.enclave_size: {settings.enclave_size} bytes do not hold {threads} threads")
    return _Addresses(
        manifest=manifest,
        ssa=ssa,
        tcs=tcs,
        tls=tls,
        stacks=stacks,
        signal_stacks=signal_stacks,
        pal=pal_address,
    )


def _tcs_pages(at: _Addresses, entry: int) -> bytes:
    pages = bytearray(len(at.stacks) * PAGE_SIZE)
    for thread in range(len(at.stacks)):
        base = thread * PAGE_SIZE
        struct.pack_into("<Q", pages, base + 0x10, at.ssa + thread * _SSA_SIZE)  # OSSA
        struct.pack_into("<I", pages, base + 0x1C, _SSA_FRAMES)  # NSSA
        struct.pack_into("<Q", pages, base + 0x20, at.pal + entry)  # OENTRY
        struct.pack_into("<Q", pages, base + 0x38, at.tls + thread * PAGE_SIZE)  # OGSBASE
        struct.pack_into("<II", pages, base + 0x40, 0xFFF, 0xFFF)  # OFSLIMIT, OGSLIMIT
    return bytes(pages)


def _tls_pages(at: _Addresses, enclave_size: int, manifest_size: int) -> bytes:
    """Gramine's per-thread control block, whose offsets are those of its `struct pal_enclave_tcb`."""
    pages = bytearray(len(at.stacks) * PAGE_SIZE)
    for thread, (stack, signal_stack) in enumerate(zip(at.stacks, at.signal_stacks, strict=True)):
        ssa = at.ssa + thread * _SSA_SIZE
        fields = {
            0x000: at.tls + thread * PAGE_SIZE,
            0x008: _STACK_PROTECTOR_CANARY,
            0x110: enclave_size,
            0x118: at.tcs + thread * PAGE_SIZE,
            0x120: stack + _STACK_SIZE,
            0x130: signal_stack,
            0x138: signal_stack + _SIGNAL_STACK_SIZE,
            0x148: ssa,
            0x150: ssa + _SSA_FRAME_PAGES * PAGE_SIZE - _GPR_SIZE,
            0x1A0: manifest_size,
            0x1A8: _HEAP_MIN,
            0x1B0: at.pal,
        }
        for offset, value in fields.items():
            struct.pack_into("<Q", pages, thread * PAGE_SIZE + offset, value)
    return bytes(pages)


def _pal_regions(pal_address: int, pal: ElfImage) -> list[Region]:
    return [
        Region(
            name="code" if segment.executable else "data",
            address=pal_address + segment.first_page,
            size=segment.end_page - segment.first_page,
            flags=_TYPE_REG
            | (_READ if segment.readable else 0)
            | (_WRITE if segment.writable else 0)
            | (_EXECUTE if segment.executable else 0),
            # Neighbouring bytes of the file are not loaded: what precedes the segment in its page is zero.
            content=bytes(segment.address - segment.first_page) + segment.content,
        )
        for segment in pal.segments
    ]
