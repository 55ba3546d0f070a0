"""The archive of a service: one encoding, everything else refused."""

import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealroom.core.errors import MalformedError
from sealroom.core.measurement import service_package
from sealroom.core.measurement.service_config import ServiceConfig
from sealroom.core.measurement.service_package import (
    end_of_package,
    member_header,
    padding,
    read_member,
    read_package,
)
from sealroom.core.wire.service_arguments import Interface

CONFIG = b'name = "scoring"\npython_application = "app:api"\nhealthcheck_endpoint = "/health"\n'
MEMBERS = {
    "config.toml": CONFIG,
    "requirements.txt": b"x==1\n",
    "src/app.py": b"a" * 700,
    "src/empty.py": b"",
    "tests/test_app.py": b"b" * 512,
}


def package(members: dict[str, bytes]) -> bytes:
    parts = [
        part
        for path, content in members.items()
        for part in (member_header(path, len(content)), content, padding(len(content)))
    ]
    return b"".join(parts) + end_of_package()


WHOLE = package(MEMBERS)


def test_what_is_written_is_read_again_with_its_digests():
    read = read_package(io.BytesIO(WHOLE))
    assert [member.path for member in read.members] == list(MEMBERS)
    assert read.requirements == b"x==1\n"
    assert read.config.application == "app:api"
    assert [file.path for file in read.code.files] == ["requirements.txt", "src/app.py", "src/empty.py"]
    member = read.find("src/app.py")
    assert b"".join(read_member(io.BytesIO(WHOLE), member)) == b"a" * 700


def test_any_tar_program_reads_a_package():
    long = "src/" + "/".join(["folder"] * 20) + "/module.py"
    with tarfile.open(fileobj=io.BytesIO(package({"config.toml": CONFIG, long: b"x"}))) as archive:
        assert archive.getnames() == ["config.toml", long]
        assert {(entry.mode, entry.mtime, entry.uid) for entry in archive} == {(0o644, 0, 0)}


def tar_of(**changes: object) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, content in MEMBERS.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            for name, value in changes.items():
                setattr(entry, name, value)
            archive.addfile(entry, io.BytesIO(content))
    return raw.getvalue()


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "ends early"),
        (WHOLE[:-1], "ends early"),
        (WHOLE + b"\0", "something follows"),
        (tar_of(), "a header of another form"),
        (tar_of(mtime=1), "a header of another form"),
        (tar_of(mode=0o755), "a header of another form"),
        (tar_of(uname="root"), "a header of another form"),
        (tar_of(type=tarfile.SYMTYPE, size=0), "a header of another form"),
        (package({"src/app.py": b"x"}), "config.toml is missing"),
        (package({"config.toml": CONFIG}), "service code: expected files"),
        (package({"src/app.py": b"x", "config.toml": CONFIG}), "not sorted"),
        (package({"config.toml": CONFIG, "src/a": b"", "src/a/b": b""}), "both a file and a folder"),
        (package({"config.toml": b"x" * 70_000, "src/a": b""}), "at most 65536"),
        (package({"config.toml": CONFIG, "other": b""}), "neither configuration nor under"),
        (package({"config.toml": CONFIG, "src/../a": b""}), "neither one dot nor two"),
        (WHOLE.replace(b"a" * 700 + b"\0", b"a" * 700 + b"x"), "not padded with zeros"),
        (WHOLE[:124] + b"-0000000001" + WHOLE[135:], "a header of another form"),
        (WHOLE[:124] + b"x0000000001" + WHOLE[135:], "cannot be read"),
    ],
)
def test_refuses_another_archive(raw, message):
    with pytest.raises(MalformedError, match=message):
        read_package(io.BytesIO(raw))


@pytest.mark.parametrize("limit", ["MAX_MEMBERS", "MAX_PACKAGE_BYTES"])
def test_refuses_more_than_a_package_may_have(monkeypatch, limit):
    monkeypatch.setattr(service_package, limit, 3)
    with pytest.raises(MalformedError, match="more than"):
        read_package(io.BytesIO(WHOLE))


def test_refuses_a_path_that_no_header_has_room_for():
    with pytest.raises(MalformedError, match="longer than an archive has room for"):
        member_header("src/" + "a" * 120, 0)


@settings(max_examples=200)
@given(place=st.integers(0, len(WHOLE) - 1), bit=st.integers(0, 7))
def test_one_changed_bit_is_another_package_or_none(place, bit):
    raw = bytearray(WHOLE)
    raw[place] ^= 1 << bit
    try:
        assert read_package(io.BytesIO(raw)).sha256 != read_package(io.BytesIO(WHOLE)).sha256
    except MalformedError:
        return


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"name = ", "not TOML"),
        (CONFIG + b"color = 1\n", "unknown key 'color'"),
        (b'name = "x"\n', "python_application: missing"),
        (CONFIG + b"interface = 1\n", "interface: expected a string"),
        (CONFIG + b'interface = "cgi"\n', "interface: expected one of"),
        (CONFIG + b"max_memory = 0\n", "max_memory: expected a number"),
        (CONFIG + b"max_memory = true\n", "max_memory: expected a number"),
        (CONFIG + b'tests_requirements = "x"\n', "tests_requirements: expected a list"),
        (CONFIG.replace(b"app:api", b"app"), "module:variable"),
        (CONFIG.replace(b"/health", b"health"), "expected a path"),
        (CONFIG.replace(b"scoring", b"Scoring"), "name: expected"),
        (b"#" * 70_000, "at most 65536"),
    ],
)
def test_refuses_another_configuration(raw, message):
    with pytest.raises(MalformedError, match=message):
        ServiceConfig.from_toml(raw)


def test_reads_the_configuration_of_the_published_service():
    config = ServiceConfig.from_toml(
        CONFIG + b'tests_cmd = "pytest"\ntests_requirements = ["pytest==7.2.0"]\ninterface = "wsgi"\n'
    )
    assert config.interface is Interface.WSGI
    assert config.tests_requirements == ("pytest==7.2.0",)
    assert config.max_memory == 1 << 30
