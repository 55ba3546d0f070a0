import pytest

from sealroom.core.errors import MalformedError
from sealroom.core.measurement.known_pals import LIBOS_URI, KnownPal, parse_known_pals
from sealroom.core.measurement.manifest import parse_manifest, write_manifest
from sealroom.core.measurement.template import (
    MeasuredFile,
    computation_manifest,
    enclave_size,
    service_manifest,
)
from sealroom.core.wire.terms import Tee

_PAL = KnownPal(
    name="synthetic",
    source="a test",
    tee=Tee.SIMULATED,
    sha256=bytes(32),
    libos_uri="file:pal",
    libos_sha256=bytes(32),
)
_GIB = 1 << 30


def _manifest(**changes) -> bytes:
    members = {
        "arguments_sha256": bytes([1]) * 32,
        "first_party": [MeasuredFile(path="start.py", sha256=bytes([2]) * 32)],
        "code": [MeasuredFile(path="code/run.py", sha256=bytes([3]) * 32)],
        "packages": [],
        "runtime": [MeasuredFile(path="runtime/bin/python3", sha256=bytes([4]) * 32)],
        "max_memory": 1 << 28,
        "pal": _PAL,
    }
    return computation_manifest(**(members | changes))


def test_is_in_the_signers_form_already() -> None:
    assert write_manifest(parse_manifest(_manifest())) == _manifest()


def test_says_what_confines_the_program() -> None:
    manifest = parse_manifest(_manifest())
    assert manifest["sgx"]["allowed_files"] == ["file:spool/"]
    assert manifest["sgx"]["debug"] is False
    assert manifest["sgx"]["file_check_policy"] == "strict"
    assert manifest["sys"]["disallow_subprocesses"] is True
    assert manifest["loader"]["log_level"] == "none"
    assert manifest["loader"]["argv_src_file"] == "file:args"
    assert manifest["loader"]["env"]["PYTHONDONTWRITEBYTECODE"] == "1"
    assert manifest["fs"]["root"] == {"type": "tmpfs"}
    mounted = {mount["path"] for mount in manifest["fs"]["mounts"] if mount["path"] not in ("/lib", "/tmp")}
    assert all(path == "/runtime" or path.startswith("/sealroom/") for path in mounted)


def test_nothing_can_be_passed_in_from_the_host() -> None:
    text = _manifest().decode()
    assert "insecure__" not in text
    assert "passthrough" not in text


def test_files_are_in_the_order_of_their_bytes_whatever_order_they_came_in() -> None:
    code = [
        MeasuredFile(path=f"code/{name}", sha256=bytes(32))
        for name in ("b", "a", "B", "\u017c", "a/c", "a-c")
    ]
    assert _manifest(code=code) == _manifest(code=code[::-1])
    uris = [row["uri"] for row in parse_manifest(_manifest(code=code))["sgx"]["trusted_files"]]
    assert uris == sorted(uris, key=str.encode)


@pytest.mark.parametrize(
    "path", ["other/x", "code", "code/", "code/../x", "code//x", "code/./x", "/code/x", "start.py"]
)
def test_refuses_a_file_outside_its_folder(path: str) -> None:
    with pytest.raises(MalformedError, match="not a path under"):
        _manifest(code=[MeasuredFile(path=path, sha256=bytes(32))])


def test_refuses_one_path_twice() -> None:
    file = MeasuredFile(path="code/run.py", sha256=bytes(32))
    with pytest.raises(MalformedError, match="twice"):
        _manifest(code=[file, file])


@pytest.mark.parametrize(
    ("max_memory", "size"),
    [
        (1, "1G"),
        (_GIB // 2, "1G"),
        (_GIB // 2 + 1, "2G"),
        (4 * _GIB, "8G"),
        (512 * _GIB, "1024G"),
    ],
)
def test_enclave_is_the_next_power_of_two_with_room_for_the_runtime(max_memory: int, size: str) -> None:
    assert enclave_size(max_memory) == size


@pytest.mark.parametrize("max_memory", [0, -1, 512 * _GIB + 1])
def test_refuses_memory_that_no_enclave_has(max_memory: int) -> None:
    with pytest.raises(MalformedError, match="max-memory"):
        enclave_size(max_memory)


_ROW = f"""
[[pal]]
name = "a"
source = "a package"
tee = "sgx"
sha256 = "{"0" * 64}"
libos_uri = "file:gramine/libsysdb.so"
libos_sha256 = "{"1" * 64}"
"""


def test_reads_known_pals() -> None:
    (pal,) = parse_known_pals(f"format = 1\n{_ROW}".encode())
    assert (pal.name, pal.tee, pal.libos_uri) == ("a", Tee.SGX, LIBOS_URI)


@pytest.mark.parametrize(
    "text",
    [
        "",
        _ROW,
        f"format = 2\n{_ROW}",
        f"format = 1\n{_ROW}{_ROW}",
        f"format = 1\nmore = 1\n{_ROW}",
        f"format = 1\n{_ROW}more = 1\n",
        f"format = 1\n{_ROW}".replace('"sgx"', '"tdx"'),
        f"format = 1\n{_ROW}".replace("0" * 64, "0" * 63),
        f"format = 1\n{_ROW}".replace("file:gramine", "gramine"),
        f"format = 1\n{_ROW}".replace("file:gramine", "file:/usr/lib/gramine"),
        f"format = 1\n{_ROW}".replace('name = "a"', "name = 1"),
        f"format = 1\n{_ROW}".replace('source = "a package"\n', ""),
        f"format = 1\n{_ROW}".replace("a package", ""),
        f"format = 1\n{_ROW}".replace("a package", "p" * 501),
        "format = 1\npal = 1\n",
        "]",
        "\n" * 70_000,
    ],
)
def test_refuses_an_unclear_list_of_pals(text: str) -> None:
    with pytest.raises(MalformedError):
        parse_known_pals(text.encode())


def _service(*, connects: bool, **changes) -> dict:
    members = {
        "arguments_sha256": bytes([1]) * 32,
        "first_party": [MeasuredFile(path="start.py", sha256=bytes([2]) * 32)],
        "code": [MeasuredFile(path="code/src/app.py", sha256=bytes([3]) * 32)],
        "packages": [],
        "runtime": [MeasuredFile(path="runtime/bin/python3", sha256=bytes([4]) * 32)],
        "max_memory": 1 << 28,
        "pal": _PAL,
    }
    raw = service_manifest(connects=connects, **(members | changes))
    assert write_manifest(parse_manifest(raw)) == raw
    return parse_manifest(raw)


def test_a_service_differs_from_a_computation_in_threads_and_names_alone() -> None:
    computation = parse_manifest(
        _manifest(code=[MeasuredFile(path="code/src/app.py", sha256=bytes([3]) * 32)])
    )
    service = _service(connects=False)
    assert service["sgx"].pop("max_threads") == 64
    assert computation["sgx"].pop("max_threads") == 16
    assert service == computation
    connects = _service(connects=True)
    assert connects["sys"] == service["sys"] | {"enable_extra_runtime_domain_names_conf": True}


def test_a_service_has_no_file_outside_its_folders() -> None:
    with pytest.raises(MalformedError, match="not a path under code/"):
        _service(connects=False, code=[MeasuredFile(path="src/app.py", sha256=bytes(32))])
