import io
import tarfile
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from server_world import make_tar

from sealroom.core.errors import MalformedError
from sealroom.server.archive import (
    BLOCK,
    END_OF_ARCHIVE,
    ArchiveLimits,
    Entry,
    padding,
    read_archive,
    write_header,
)

LIMITS = ArchiveLimits(max_files=3, max_bytes=1000)


def read(tar: bytes, limits: ArchiveLimits = LIMITS) -> dict[str, bytes]:
    files: dict[str, bytes] = {}

    def sink(entry: Entry, contents: Iterator[bytes]) -> None:
        files[entry.path] = b"".join(contents)
        assert len(files[entry.path]) == entry.size

    read_archive(io.BytesIO(tar), limits, sink)
    return files


def with_member(**fields: object) -> bytes:
    info = tarfile.TarInfo("run.py")
    for name, value in fields.items():
        setattr(info, name, value)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(info, io.BytesIO(b"x" * info.size))
    return buffer.getvalue()


def patched(tar: bytes, offset: int, value: bytes) -> bytes:
    """Change a header's field and mend its checksum."""
    block = bytearray(tar[:BLOCK])
    block[offset : offset + len(value)] = value
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + tar[BLOCK:]


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_reads_what_the_usual_programs_write(form: int) -> None:
    path = "models/" + "deep/" * 25 + "net.py"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name, content in {"run.py": b"r", path: b"n" * 600}.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(content), 1.5
            archive.addfile(info, io.BytesIO(content))
    assert read(buffer.getvalue()) == {"run.py": b"r", path: b"n" * 600}


def test_reads_an_empty_file_and_an_empty_archive() -> None:
    assert read(make_tar({"run.py": b""})) == {"run.py": b""}
    assert read(END_OF_ARCHIVE) == {}


def test_reads_a_path_in_other_letters() -> None:
    assert list(read(make_tar({"modèle.py": b"m"}))) == ["modèle.py"]


def test_python_reads_what_is_written_here() -> None:
    files = {"run.py": b"r" * 600, "a/" * 80 + "long.py": b""}
    tar = b"".join(write_header(p, len(x)) + x + padding(len(x)) for p, x in files.items()) + END_OF_ARCHIVE
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        assert {member.name: member.size for member in archive} == {p: len(x) for p, x in files.items()}
    assert read(tar) == files


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.LNKTYPE,
        tarfile.SYMTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.DIRTYPE,
        tarfile.FIFOTYPE,
        tarfile.GNUTYPE_SPARSE,
        tarfile.XGLTYPE,
        b"?",
    ],
)
def test_refuses_anything_but_a_regular_file(kind: bytes) -> None:
    with pytest.raises(MalformedError, match="regular files only"):
        read(patched(make_tar({"run.py": b""}), 156, kind))


@pytest.mark.parametrize(
    "path",
    ["../run.py", "a/../run.py", "/etc/passwd", "./run.py", "a//b", "a/", ".", "..", "a\nb", "e\u0301.py"],
)
def test_refuses_a_path_that_leads_elsewhere(path: str) -> None:
    with pytest.raises(MalformedError, match="path"):
        read(make_tar({path: b"x"}))


def test_refuses_a_path_that_is_not_utf8() -> None:
    with pytest.raises(MalformedError, match="UTF-8"):
        read(patched(make_tar({"run.py": b""}), 0, b"\xff\xfe"))


def test_refuses_a_path_twice() -> None:
    two = make_tar({"run.py": b"1"})[: 2 * BLOCK]
    with pytest.raises(MalformedError, match="twice"):
        read(two + make_tar({"run.py": b"2"}))


def test_refuses_too_many_files_and_too_many_bytes() -> None:
    with pytest.raises(MalformedError, match="at most 3 files"):
        read(make_tar({f"{number}.py": b"" for number in range(4)}))
    with pytest.raises(MalformedError, match="at most 1000 bytes"):
        read(make_tar({"run.py": b"x" * 600, "b.py": b"x" * 401}))


def test_refuses_a_bomb_by_its_header_before_reading_it() -> None:
    bomb = patched(make_tar({"run.py": b""}), 124, b"77777777777\0")
    with pytest.raises(MalformedError, match="at most 1000 bytes"):
        read(bomb)


@pytest.mark.parametrize(
    "size", [b"\x80" + b"\0" * 10 + b"\x01", b"-1234567890\0", b" " * 12, b"12345678 9x\0"]
)
def test_refuses_a_size_in_another_notation(size: bytes) -> None:
    with pytest.raises(MalformedError, match="octal"):
        read(patched(make_tar({"run.py": b""}), 124, size))


def test_refuses_a_wrong_checksum_and_another_format() -> None:
    tar = make_tar({"run.py": b"x"})
    with pytest.raises(MalformedError, match="checksum"):
        read(b"R" + tar[1:])
    with pytest.raises(MalformedError, match="ustar"):
        read(patched(tar, 257, b"other\0"))


@pytest.mark.parametrize("size", [10, BLOCK, BLOCK + 1, 2 * BLOCK - 1])
def test_refuses_an_archive_that_ends_early(size: int) -> None:
    with pytest.raises(MalformedError, match="cut off"):
        read(make_tar({"run.py": b"x" * 10})[:size])


def test_refuses_what_follows_the_end() -> None:
    with pytest.raises(MalformedError, match="follows"):
        read(make_tar({"run.py": b"x"}) + b"more")


@pytest.mark.parametrize("key", ["size", "linkpath", "GNU.sparse.major"])
def test_refuses_an_extension_that_changes_size_or_kind(key: str) -> None:
    with pytest.raises(MalformedError, match="size or kind"):
        read(with_member(pax_headers={key: "1"}, mtime=1.5))


def test_refuses_an_extension_without_its_file_or_too_long() -> None:
    extension = write_header("x" * 200, 1)[: 2 * BLOCK]
    with pytest.raises(MalformedError, match="without its file"):
        read(extension + END_OF_ARCHIVE)
    with pytest.raises(MalformedError, match="two long names"):
        read(extension + extension + END_OF_ARCHIVE)
    with pytest.raises(MalformedError, match="an extension of"):
        read(patched(extension, 124, b"00000400000\0"))


@pytest.mark.parametrize(
    "record", [b"9 path=x", b"x path=a\n", b"999999 path=a\n", b"6 path\n", b"0 =\n", b"\xb2 a=b\n"]
)
def test_refuses_an_extended_header_that_cannot_be_read(record: bytes) -> None:
    header = patched(patched(write_header("x", len(record)), 156, b"x"), 124, b"%011o\0" % len(record))
    with pytest.raises(MalformedError, match="cannot be read"):
        read(header + record + padding(len(record)) + END_OF_ARCHIVE)


@given(st.binary(max_size=3 * BLOCK), st.integers(0, 2 * BLOCK))
def test_any_bytes_are_read_or_refused(noise: bytes, at: int) -> None:
    tar = make_tar({"run.py": b"x" * 100})
    for candidate in (noise, tar[:at] + noise + tar[at + len(noise) :]):
        try:
            read(candidate)
        except MalformedError:
            continue
