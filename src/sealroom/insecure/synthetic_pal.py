"""The simulated TEE's PAL: a small, valid ELF file that says what it is, and could start nothing.

The simulated enclave is measured by the real algorithm, over the real manifest and this file. Its digest
stands in the list of known PALs for `tee = simulated`, so its bytes never change.

Spec: docs/spec/manifest.md, "The synthetic PAL".
"""

import struct

_PAGE = 0x1000
_TEXT_OFFSET = 0x100
_TEXT = (
    b"\x0f\x0b"  # ud2: whoever runs this stops here
    b"SIMULATED: this file stands for a platform adaptation layer and is none. "
    b"An enclave measured with it proves nothing to anybody."
)
_DATA = b"SIMULATED\0".ljust(32, b"\0")
_DATA_MEMORY = 0x1800
_READ_EXECUTE = 5
_READ_WRITE = 6


def synthetic_pal() -> bytes:
    """Return the synthetic PAL, the same bytes each time: one segment of text, one of data and zeros."""
    text_end = _TEXT_OFFSET + len(_TEXT)
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        b"\x7fELF\x02\x01\x01",
        3,  # ET_DYN
        62,  # EM_X86_64
        1,
        _TEXT_OFFSET,
        64,
        0,
        0,
        64,
        56,
        2,
        0,
        0,
        0,
    )
    load = struct.Struct("<IIQQQQQQ")
    headers = load.pack(1, _READ_EXECUTE, 0, 0, 0, text_end, text_end, _PAGE)
    headers += load.pack(1, _READ_WRITE, _PAGE, _PAGE, _PAGE, len(_DATA), _DATA_MEMORY, _PAGE)
    text = (header + headers).ljust(_TEXT_OFFSET, b"\0") + _TEXT
    return text.ljust(_PAGE, b"\0") + _DATA
