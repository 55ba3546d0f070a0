"""What `manifest check` finds, each by the one line that causes it."""

import pytest

from sealroom.core.measurement.findings import Severity, Weight, find_faults
from sealroom.core.measurement.known_pals import KnownPal
from sealroom.core.measurement.manifest import parse_manifest
from sealroom.core.measurement.template import MeasuredFile, computation_manifest
from sealroom.core.wire.terms import Tee

_LIGHT = Weight(files=10, size=1000, missing=0)
_GOOD = """
libos.entrypoint = "/usr/bin/python3.11"
loader.argv = ["python3", "-I", "-S", "-B", "x.py"]
loader.env.PYTHONDONTWRITEBYTECODE = "1"
loader.log_level = "error"
fs.mounts = []
fs.root = { type = "tmpfs" }
sgx.remote_attestation = "dcap"
sgx.enclave_size = "4G"
sgx.trusted_files = ["file:a.py", "file:lib/"]
"""


def _found(line: str, weight: Weight = _LIGHT, *, without: str = "") -> list[tuple[Severity, str]]:
    kept = [row for row in _GOOD.splitlines() if not without or not row.startswith(without)]
    manifest = parse_manifest("\n".join([*kept, line]).encode())
    return [(finding.severity, finding.key) for finding in find_faults(manifest, weight)]


def test_nothing_is_found_in_a_good_manifest() -> None:
    assert _found("") == []


def test_nothing_serious_is_found_in_the_manifest_of_a_computation() -> None:
    pal = KnownPal(
        name="p", source="a test", tee=Tee.SGX, sha256=bytes(32), libos_uri="file:l", libos_sha256=bytes(32)
    )
    manifest = computation_manifest(
        arguments_sha256=bytes(32),
        first_party=[MeasuredFile(path="start.py", sha256=bytes(32))],
        code=[],
        packages=[],
        runtime=[],
        max_memory=1 << 30,
        pal=pal,
    )
    assert find_faults(parse_manifest(manifest), _LIGHT) == ()


@pytest.mark.parametrize(
    ("line", "without", "severity", "key"),
    [
        ("sgx.thread_num = 4", "", Severity.BROKEN, "sgx.thread_num"),
        ("sgx.require_avx = true", "", Severity.BROKEN, "sgx.require_avx"),
        ('fs.mount.a = { path = "/" }', "", Severity.BROKEN, "fs.mount"),
        ('loader.entrypoint = "file:x"', "", Severity.BROKEN, "loader.entrypoint"),
        ("sgx.remote_attestation = true", "sgx.remote", Severity.BROKEN, "sgx.remote_attestation"),
        ("sgx.max_thread = 4", "", Severity.BROKEN, "sgx.max_thread"),
        ("sgxx.a = 1", "", Severity.BROKEN, "sgxx"),
        ('sgx.enclave_size = "3G"', "sgx.enclave", Severity.BROKEN, "sgx.enclave_size"),
        ("sgx.enclave_size = 4096", "sgx.enclave", Severity.BROKEN, "sgx.enclave_size"),
        ('loader.argv_src_file = "file:args"', "loader.argv", Severity.BROKEN, "loader.argv_src_file"),
        ('loader.env_src_file = "file:env"', "", Severity.BROKEN, "loader.env_src_file"),
        ('loader.argv_src_file = "file:a.py"', "", Severity.BROKEN, "loader.argv_src_file"),
        ("", "fs.mounts", Severity.BROKEN, "fs.mounts"),
        ("sgx.debug = true", "", Severity.INSECURE, "sgx.debug"),
        ("", "sgx.remote", Severity.INSECURE, "sgx.remote_attestation"),
        ('sgx.file_check_policy = "allow_all_but_log"', "", Severity.INSECURE, "sgx.file_check_policy"),
        ("loader.env.X = { passthrough = true }", "", Severity.INSECURE, "loader.env.X"),
        ("loader.insecure__use_host_env = true", "", Severity.INSECURE, "loader.insecure__use_host_env"),
        ('fs.insecure__keys.default = "00"', "", Severity.INSECURE, "fs.insecure__keys"),
        ('loader.log_level = "debug"', "loader.log", Severity.INSECURE, "loader.log_level"),
        ('sgx.allowed_files = ["file:"]', "", Severity.INSECURE, "sgx.allowed_files"),
        ('sgx.allowed_files = ["file:lib"]', "", Severity.INSECURE, "sgx.allowed_files"),
        ('loader.argv = ["python3", "x.py"]', "loader.argv", Severity.INSECURE, "loader.argv"),
        ("", "fs.root", Severity.LOOSE, "fs.root"),
        ('sgx.enclave_size = "64G"', "sgx.enclave", Severity.SLOW, "sgx.enclave_size"),
        ("sgx.max_threads = 512", "", Severity.SLOW, "sgx.max_threads"),
        ("sgx.preheat_enclave = true", "", Severity.SLOW, "sgx.preheat_enclave"),
        ("", "loader.env.PYTHON", Severity.SLOW, "loader.env.PYTHONDONTWRITEBYTECODE"),
        ('sgx.trusted_files = ["file:a.pyc"]', "sgx.trusted", Severity.SLOW, "sgx.trusted_files"),
    ],
)
def test_each_fault_is_found_by_its_key(line: str, without: str, severity: Severity, key: str) -> None:
    assert _found(line, without=without) == [(severity, key)]


def test_what_is_switched_off_is_no_fault() -> None:
    assert _found("loader.insecure__use_host_env = false") == []
    assert _found('sgx.enclave_size = "64G"\nsgx.edmm_enable = true', without="sgx.enclave") == []
    assert _found('loader.argv_src_file = "file:lib/args"', without="loader.argv") == []
    assert _found('loader.env.X.value = "y"') == []


def test_weight_is_found() -> None:
    assert _found("", Weight(files=2001, size=0, missing=0)) == [(Severity.SLOW, "sgx.trusted_files")]
    assert _found("", Weight(files=1, size=(1 << 30) + 1, missing=0)) == [
        (Severity.SLOW, "sgx.trusted_files")
    ]


def test_the_worst_comes_first() -> None:
    found = _found("sgx.debug = true\nsgx.max_threads = 512\nsgx.thread_num = 1")
    assert [severity for severity, _ in found] == [Severity.BROKEN, Severity.INSECURE, Severity.SLOW]


@pytest.mark.parametrize(
    "text", [b"", b"sgx = 1", b"loader = []\nfs = 1", b"sgx.allowed_files = 1", b"loader.env = 1"]
)
def test_any_manifest_is_read(text: bytes) -> None:
    assert isinstance(find_faults(parse_manifest(text), _LIGHT), tuple)
