"""A wheel's zip: one reading or none."""

import contextlib
import io
import struct
import zipfile
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from made_wheels import make_wheel, make_zip
from sealroom.core.errors import MalformedError
from sealroom.core.measurement import zip_archive
from sealroom.core.measurement.zip_archive import read_contents, read_entries

FILES = {"a/": b"", "a/one.py": b"1" * 5000, "two.txt": b"", "drei\u00df.txt": b"utf-8"}
END = 22


def read(raw: bytes) -> dict[str, bytes]:
    file = io.BytesIO(raw)
    return {entry.path: b"".join(read_contents(file, entry)) for entry in read_entries(file)}


def changed(raw: bytes, at: int, new: bytes) -> bytes:
    at %= len(raw)
    return raw[:at] + new + raw[at + len(new) :]


def directory(raw: bytes) -> int:
    return struct.unpack_from("<L", raw, len(raw) - 6)[0]


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_reads_stored_and_deflated_files_and_leaves_folders_out(compression: int) -> None:
    found = read(make_zip(FILES, compression=compression))
    assert found == {path: raw for path, raw in FILES.items() if not path.endswith("/")}


def test_unpacks_in_bounded_pieces() -> None:
    raw = make_zip({"zeros": bytes(3 << 20)})
    file = io.BytesIO(raw)
    (entry,) = read_entries(file)
    assert {len(piece) for piece in read_contents(file, entry)} <= {0, 1 << 18}


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_refuses_other_methods(compression: int) -> None:
    with pytest.raises(MalformedError, match="compressed by method"):
        read(make_zip(FILES, compression=compression))


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../up.py", "a/../up.py", "a//b.py", "./a.py", "a\\b.py", "a\nb.py", "C:\\a.py"]
)
def test_refuses_a_path_that_leads_elsewhere(path: str) -> None:
    with pytest.raises(MalformedError, match="path"):
        read(make_zip({path: b"x"}))


def test_refuses_a_path_in_another_encoding() -> None:
    raw = make_zip({"drei\u00df.txt": b"x"})
    # Without the flag that says UTF-8.
    at = directory(raw)
    with pytest.raises(MalformedError, match="neither ASCII nor said to be UTF-8"):
        read(changed(changed(raw, 6, bytes(2)), at + 8, bytes(2)))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_refuses_a_path_twice() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.py", b"1")
        archive.writestr("a.py", b"2")
    with pytest.raises(MalformedError, match="one path stands twice"):
        read(buffer.getvalue())


@pytest.mark.parametrize("other", ["a/b.py", "a/"])
def test_refuses_a_path_that_is_file_and_folder(other: str) -> None:
    with pytest.raises(MalformedError, match="a: a file and a folder"):
        read(make_zip({"a": b"1", other: b""}))


@pytest.mark.parametrize("kind", [0o120777, 0o010644, 0o020644, 0o040755])
def test_refuses_a_file_that_is_a_link_or_a_device(kind: int) -> None:
    raw = make_zip({"a.py": b"/etc/passwd"})
    with pytest.raises(MalformedError, match="regular files only"):
        read(changed(raw, directory(raw) + 38, struct.pack("<L", kind << 16)))


def test_refuses_a_folder_with_contents() -> None:
    with pytest.raises(MalformedError, match="a folder with contents"):
        read(make_zip({"a/": b"hidden"}))


@pytest.mark.parametrize("flag", [0x1, 0x8, 0x40, 0x2000])
def test_refuses_encryption_and_sizes_that_follow(flag: int) -> None:
    raw = make_zip({"a.py": b"1"})
    both = changed(changed(raw, 6, struct.pack("<H", flag)), directory(raw) + 8, struct.pack("<H", flag))
    with pytest.raises(MalformedError, match="encrypted, or sizes that follow"):
        read(both)


@pytest.mark.parametrize("at", [6, 8, 14, 18, 22, 26, 30])
def test_refuses_a_local_header_that_differs_from_the_directory(at: int) -> None:
    raw = make_zip({"a.py": b"1" * 100, "b.py": b"2"})
    with pytest.raises(MalformedError, match="differs from the directory"):
        read(changed(raw, at, bytes([raw[at] ^ 1])))


def test_refuses_bytes_between_entries_and_overlapping_entries() -> None:
    raw = make_zip({"a.py": b"1", "b.py": b"2"}, compression=zipfile.ZIP_STORED)
    start = directory(raw)
    second = start + 46 + 4 + 42
    for offset in (0, 34, 36):
        with pytest.raises(MalformedError, match="does not begin where"):
            read(changed(raw, second, struct.pack("<L", offset)))
    gap = raw[:start] + b"?" + raw[start:-6] + struct.pack("<L", start + 1) + raw[-2:]
    with pytest.raises(MalformedError, match="belong to no entry"):
        read(gap)


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw + b"x",
        lambda raw: b"x" + raw,
        lambda raw: raw[:-1],
        lambda raw: raw[:10],
        lambda raw: b"",
        lambda raw: changed(raw, -2, b"\1\0") + b"c",
        lambda raw: changed(raw, -END + 4, b"\1"),
        lambda raw: changed(raw, -END + 8, b"\7\0\7\0"),
        lambda raw: changed(raw, -END + 8, b"\1\0\1\0"),
        lambda raw: changed(raw, directory(raw), b"??"),
    ],
)
def test_refuses_what_is_not_one_whole_archive(change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(MalformedError, match="archive"):
        read(change(make_zip(FILES)))


def test_refuses_contents_with_another_checksum() -> None:
    raw = make_zip({"a.py": b"1" * 100}, compression=zipfile.ZIP_STORED)
    with pytest.raises(MalformedError, match=r"a\.py: wrong checksum"):
        read(changed(raw, 40, b"2"))


@pytest.mark.parametrize("size", [99, 101, 0])
def test_refuses_contents_of_another_size(size: int) -> None:
    """A bomb that says it is small is not unpacked beyond what it said."""
    raw = make_zip({"a.py": b"1" * 100})
    said = struct.pack("<L", size)
    both = changed(changed(raw, 22, said), directory(raw) + 24, said)
    with pytest.raises(MalformedError, match="bytes of the directory"):
        read(both)


def deflated(raw: bytes, stored: bytes) -> bytes:
    """Return an archive whose one file says it is `raw` and is stored as `stored`."""
    name = b"a.py"
    head = struct.pack("<5H3L2H", 20, 0, 8, 0, 33, zlib.crc32(raw), len(stored), len(raw), len(name), 0)
    local = b"PK\3\4" + head + name + stored
    central = b"PK\1\2" + struct.pack("<H", 20) + head + bytes(14) + name
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(central), len(local), 0)
    return local + central + end


def packed(raw: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(raw) + packer.flush()


def test_refuses_contents_that_end_too_early_or_go_on() -> None:
    raw = b"1" * 100
    assert read(deflated(raw, packed(raw))) == {"a.py": raw}
    for stored, reason in (
        (packed(raw)[:-1], "cut off"),
        (packed(raw) + b"?", "after the end"),
        (packed(raw) + bytes(1 << 19), "after the end"),
        (b"\xff" * 10, "cannot be unpacked"),
    ):
        with pytest.raises(MalformedError, match=reason):
            read(deflated(raw, stored))


@pytest.mark.parametrize("kind", [0x0001, 0x7075, 0x9901])
def test_refuses_extra_fields_that_change_sizes_or_names(kind: int) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        entry = zipfile.ZipInfo("a.py")
        entry.extra = struct.pack("<2H", kind, 4) + bytes(4)
        archive.writestr(entry, b"1")
    with pytest.raises(MalformedError, match="extra field"):
        read(buffer.getvalue())


def test_takes_extra_fields_that_say_nothing_of_that_kind() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        entry = zipfile.ZipInfo("a.py")
        entry.extra = struct.pack("<2H", 0x5455, 5) + bytes(5)
        archive.writestr(entry, b"1")
    raw = buffer.getvalue()
    assert read(raw) == {"a.py": b"1"}
    with pytest.raises(MalformedError, match="extra field that is cut off"):
        read(changed(raw, 30 + 4 + 2, b"\6"))


def test_bounds_files_and_bytes_before_anything_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = make_zip({"a": bytes(600), "b": bytes(600)})
    monkeypatch.setattr(zip_archive, "MAX_UNPACKED_BYTES", 1000)
    with pytest.raises(MalformedError, match="1000 bytes unpacked"):
        read_entries(io.BytesIO(raw))
    monkeypatch.setattr(zip_archive, "MAX_UNPACKED_BYTES", 2000)
    monkeypatch.setattr(zip_archive, "MAX_ENTRIES", 1)
    with pytest.raises(MalformedError, match="at most 1 entries"):
        read_entries(io.BytesIO(raw))
    monkeypatch.setattr(zip_archive, "MAX_ENTRIES", 2)
    monkeypatch.setattr(zip_archive, "MAX_WHEEL_BYTES", len(raw) - 1)
    with pytest.raises(MalformedError, match="expected 22 to"):
        read_entries(io.BytesIO(raw))


WHEEL = make_wheel()


@given(st.integers(0, len(WHEEL) - 1), st.binary(min_size=1, max_size=4))
def test_reads_or_says_malformed(at: int, new: bytes) -> None:
    with contextlib.suppress(MalformedError):
        read(changed(WHEEL, at, new[: len(WHEEL) - at]))
