import hashlib
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealroom.client.code_archive import (
    CodeOwner,
    find_code_files,
    pack_code,
    read_code,
    read_requirements,
)
from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.sealing.container_streams import open_bytes
from sealroom.core.sealing.context import Context
from sealroom.core.sealing.keys import DataKey, SigningKey
from sealroom.core.wire.code_list import CodeFile, CodeList

COMPUTATION = UUID("11111111-1111-4111-8111-111111111111")
ENTRY = b"import model\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "program"
    (root / "pkg" / "__pycache__").mkdir(parents=True)
    (root / "run.py").write_bytes(ENTRY)
    (root / "model.py").write_bytes(b"SECRET = 1\n")
    (root / "pkg" / "__init__.py").write_bytes(b"")
    (root / "pkg" / "__pycache__" / "x.pyc").write_bytes(b"compiled")
    (root / ".git").mkdir()
    (root / ".git" / "config").write_bytes(b"hidden")
    (root / ".env").write_bytes(b"hidden")
    return root


@pytest.fixture
def owner() -> CodeOwner:
    return CodeOwner(
        computation=COMPUTATION,
        public_key=SigningKey.from_seed(bytes([7]) * 32).public_key,
        data_key=DataKey.generate(),
    )


def test_everything_but_the_readable_files_is_sealed_under_its_own_path(
    folder: Path, owner: CodeOwner, tmp_path: Path
) -> None:
    files = pack_code(folder, tmp_path / "code.tar", owner)
    assert [file.path for file in files.files] == ["model.py", "pkg/__init__.py", "run.py"]
    raw = (tmp_path / "code.tar").read_bytes()
    assert ENTRY in raw
    assert b"SECRET" not in raw
    assert b"hidden" not in raw
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        for file in files.files:
            content = archive.extractfile(file.path)
            assert content is not None
            stored = content.read()
            assert (len(stored), hashlib.sha256(stored).digest()) == (file.size, file.sha256)
            if file.path != "run.py":
                context = Context.code(computation=COMPUTATION, owner_pk=owner.public_key, path=file.path)
                opened = open_bytes(stored, key=owner.data_key, context=context)
                assert opened == (folder / file.path).read_bytes()


def test_the_archive_tells_nothing_about_this_machine(folder: Path, owner: CodeOwner, tmp_path: Path) -> None:
    pack_code(folder, tmp_path / "code.tar", owner)
    with tarfile.open(tmp_path / "code.tar") as archive:
        for member in archive:
            assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "", "")
            assert (member.mtime, member.mode) == (0, 0o644)


def test_what_was_packed_is_read_again(folder: Path, owner: CodeOwner, tmp_path: Path) -> None:
    files = pack_code(folder, tmp_path / "code.tar", owner)
    with (tmp_path / "code.tar").open("rb") as archive:
        code = read_code(archive, files)
    assert (code.files, code.entry_point, code.requirements) == (files, ENTRY, None)


def test_long_paths_travel(folder: Path, owner: CodeOwner, tmp_path: Path) -> None:
    deep = folder / ("d" * 90) / ("e" * 90)
    deep.mkdir(parents=True)
    (deep / "módulo.py").write_bytes(b"x")
    files = pack_code(folder, tmp_path / "code.tar", owner)
    with (tmp_path / "code.tar").open("rb") as archive:
        assert read_code(archive, files).files == files


def test_a_program_needs_its_entry_point(folder: Path) -> None:
    (folder / "run.py").unlink()
    with pytest.raises(MalformedError, match=r"run\.py is missing"):
        find_code_files(folder)


@pytest.mark.parametrize("target", ["/etc/passwd", "model.py", "pkg"])
def test_a_link_is_refused(folder: Path, target: str) -> None:
    (folder / "link.py").symlink_to(target)
    with pytest.raises(MalformedError, match="link"):
        find_code_files(folder)


def test_what_is_no_file_is_refused(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(MalformedError, match="neither"):
        find_code_files(folder)


def test_a_name_in_two_spellings_is_refused(folder: Path) -> None:
    (folder / "mo\u0301dulo.py").write_bytes(b"x")
    with pytest.raises(MalformedError, match="normalisation"):
        find_code_files(folder)


@pytest.mark.parametrize(
    "name", ["fast.so", "pkg/fast.cpython-311-x86_64-linux-gnu.so", "x.pyd", "libx.so.3"]
)
def test_native_code_stays_at_home_with_the_reason(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"\x7fELF")
    with pytest.raises(MalformedError, match=f"{name} is native code.*requirements.txt"):
        find_code_files(folder)


@pytest.mark.parametrize("name", ["sealroom.py", "sealroom/enclave.py"])
def test_the_name_of_the_enclave_library_is_taken(folder: Path, name: str) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"")
    with pytest.raises(MalformedError, match=f"{name} is named like sealroom itself"):
        find_code_files(folder)


def test_requirements_are_checked_before_anything_is_sent(folder: Path) -> None:
    (folder / "requirements.txt").write_text("")
    assert "requirements.txt" in find_code_files(folder)
    assert read_requirements(folder) == ()
    (folder / "requirements.txt").write_text("numpy>=2.0\n")
    for look in (find_code_files, read_requirements):
        with pytest.raises(MalformedError, match=r"line 1: got 'numpy>=2\.0', expected name==version"):
            look(folder)
    (folder / "requirements.txt").unlink()
    (folder / "requirements.txt").symlink_to("/etc/passwd")
    with pytest.raises(MalformedError):
        read_requirements(folder)


def tar_of(*members: tuple[tarfile.TarInfo, bytes]) -> io.BytesIO:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    out.seek(0)
    return out


def file_of(path: str, content: bytes) -> CodeFile:
    return CodeFile(path=path, size=len(content), sha256=hashlib.sha256(content).digest())


LISTED = CodeList.from_files((file_of("run.py", ENTRY), file_of("model.py", b"sealed")))
RUN = (tarfile.TarInfo("run.py"), ENTRY)
MODEL = (tarfile.TarInfo("model.py"), b"sealed")


def link(name: str) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type = tarfile.SYMTYPE
    info.linkname = "run.py"
    return info, b""


@pytest.mark.parametrize(
    "make",
    [
        lambda: tar_of(RUN),
        lambda: tar_of(MODEL),
        lambda: tar_of(RUN, MODEL, (tarfile.TarInfo("more.py"), b"x")),
        lambda: tar_of(RUN, MODEL, RUN),
        lambda: tar_of((tarfile.TarInfo("run.py"), b"import hacked"), MODEL),
        lambda: tar_of((tarfile.TarInfo("run.py"), ENTRY + b" "), MODEL),
        lambda: tar_of(RUN, link("model.py")),
        lambda: tar_of((tarfile.TarInfo("../run.py"), ENTRY), MODEL),
        lambda: tar_of((tarfile.TarInfo("/run.py"), ENTRY), MODEL),
    ],
)
def test_an_archive_that_is_not_the_signed_list_is_refused(make: Callable[[], io.BytesIO]) -> None:
    with pytest.raises(VerificationError):
        read_code(make(), LISTED)


@given(st.binary(max_size=2000))
def test_any_bytes_are_an_archive_or_refused(raw: bytes) -> None:
    with pytest.raises((MalformedError, VerificationError)):
        read_code(io.BytesIO(raw), LISTED)


@given(st.integers(0, 3000), st.integers(0, 255))
def test_a_damaged_archive_is_refused_or_unchanged(place: int, value: int) -> None:
    raw = bytearray(tar_of(RUN, MODEL).getvalue())
    raw[place % len(raw)] = value
    try:
        code = read_code(io.BytesIO(bytes(raw)), LISTED)
    except (MalformedError, VerificationError):
        return
    assert (code.files, code.entry_point) == (LISTED, ENTRY)
