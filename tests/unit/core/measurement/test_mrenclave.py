import hashlib
import struct

import pytest

from sealroom.core.errors import MalformedError
from sealroom.core.measurement.mrenclave import measure
from sealroom.insecure.synthetic_pal import synthetic_pal

_MANIFEST = b'[sgx]\nenclave_size = "%s"\nmax_threads = %d\nedmm_enable = %s\n'


def _manifest(*, size: bytes = b"64M", threads: int = 2, edmm: bytes = b"false") -> bytes:
    return _MANIFEST % (size, threads, edmm)


def _plainly_measured(manifest: bytes, pal: bytes) -> bytes:
    """The same hash, one record at a time over the same regions: slow, and without any reused buffer."""
    measurement = measure(manifest, pal)
    size = measurement.regions[0].end
    stream = [struct.pack("<8sIQ44x", b"ECREATE", 4, size)]
    for region in measurement.regions:
        content = region.content.ljust(region.size, b"\0")
        for page in range(region.address, region.end, 4096):
            stream.append(struct.pack("<8sQQ40x", b"EADD", page, region.flags))
            for chunk in range(page, page + 4096, 256) if region.measured else ():
                stream.append(struct.pack("<8sQ48x", b"EEXTEND", chunk))
                stream.append(content[chunk - region.address :][:256])
    return hashlib.sha256(b"".join(stream)).digest()


@pytest.mark.parametrize("size", [b"8M", b"16M", b"64M"])
@pytest.mark.parametrize("edmm", [b"false", b"true"])
def test_agrees_with_a_plain_computation(size: bytes, edmm: bytes) -> None:
    manifest = _manifest(size=size, edmm=edmm)
    assert measure(manifest, synthetic_pal()).mrenclave == _plainly_measured(manifest, synthetic_pal())


def test_every_byte_of_the_manifest_counts() -> None:
    manifest = _manifest()
    commented = measure(manifest + b"# a comment\n", synthetic_pal())
    assert measure(manifest, synthetic_pal()).mrenclave != commented.mrenclave


def test_a_changed_byte_of_the_pal_changes_the_identity() -> None:
    pal = bytearray(synthetic_pal())
    pal[0x120] ^= 1
    assert measure(_manifest(), bytes(pal)).mrenclave != measure(_manifest(), synthetic_pal()).mrenclave


def test_manifest_that_fills_its_page_takes_another_for_its_nul() -> None:
    manifest = _manifest()
    full = manifest + b"#" * (4096 - len(manifest))
    assert measure(full[:-1], synthetic_pal()).regions[0].size == 4096
    assert measure(full, synthetic_pal()).regions[0].size == 8192


@pytest.mark.parametrize(
    ("manifest", "why"),
    [
        (b"[sgx]\n", "max_threads"),
        (b"", "sgx"),
        (b"sgx = 1\n", "sgx"),
        (_manifest(size=b"3000M"), "power of two"),
        (_manifest(size=b"0M"), "power of two"),
        (_manifest(size=b"2048G"), "power of two"),
        (_manifest(size=b"0x10000000"), "enclave_size"),
        (_manifest(size=b"64m"), "enclave_size"),
        (_manifest(size=b"064M"), "enclave_size"),
        (_manifest(threads=0), "max_threads"),
        (_manifest(threads=4097), "max_threads"),
        (_manifest(edmm=b"1"), "edmm_enable"),
        (b'[sgx]\nenclave_size = "64M"\nmax_threads = true\nedmm_enable = false\n', "max_threads"),
        (b"[sgx]\nenclave_size = 67108864\nmax_threads = 1\nedmm_enable = false\n", "enclave_size"),
        (_manifest(size=b"1M", threads=4), "do not hold"),
        (_manifest() + b"\xff", "UTF-8"),
        (_manifest() + b"a = " + b"[" * 5000, "TOML"),
        (_manifest() + b"a = " + b"9" * 5000, "TOML"),
        (_manifest() + b"[sgx]\n", "TOML"),
    ],
)
def test_refuses_what_could_not_start(manifest: bytes, why: str) -> None:
    with pytest.raises(MalformedError, match=why):
        measure(manifest, synthetic_pal())
