"""Logs as Gramine 1.9 and Python 3.11 wrote them, and what is made of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealroom.core.measurement.manifest import parse_manifest
from sealroom.core.measurement.refused_files import Refusal, RefusedFile, parse_refused_files, remedy_for

_MANIFEST = parse_manifest(
    b"""
loader.env.LD_LIBRARY_PATH = "/lib:/usr/lib/x86"
fs.mounts = [
  { path = "/lib", uri = "file:/opt/gramine/lib" },
  { path = "/usr", uri = "file:/usr" },
  { path = "/app", uri = "file:app" },
  { path = "/app/one.py", uri = "file:other/one.py" },
  { type = "tmpfs", path = "/tmp" },
]
"""
)
_IMPORT = """\
[P1:T1:python3.11] warning: Unsupported system call rseq
[P1:T1:python3.11] warning: Disallowing access to file 'shutil.cpython-311.pyc'; file is not allowed.
[P1:T1:python3.11] warning: Disallowing access to file 'shutil.py'; file is not allowed.
Traceback (most recent call last):
  File "/app/main.py", line 6, in <module>
    import shutil
  File "<frozen importlib._bootstrap>", line 1178, in _find_and_load
  File "<frozen importlib._bootstrap_external>", line 1130, in get_data
PermissionError: [Errno 13] Permission denied: '/usr/lib/python3.11/shutil.py'
"""


def _only(log: str) -> RefusedFile:
    (file,) = parse_refused_files(log)
    return file


def _line(file: RefusedFile, *files: str) -> str | None:
    return remedy_for(file, _MANIFEST, is_file=lambda path: path in files).line


def test_a_refused_module_is_named_with_who_imports_it_and_the_line_to_add() -> None:
    file = _only(_IMPORT)
    assert file.name == "/usr/lib/python3.11/shutil.py"
    assert file.needed_by == "/app/main.py, line 6: import shutil"
    assert remedy_for(file, _MANIFEST, is_file=lambda _: False).key == "sgx.trusted_files"
    assert _line(file) == '"file:/usr/lib/python3.11/shutil.py",'


def test_an_error_that_was_caught_and_printed_is_read_too() -> None:
    file = _only("uuid <class 'PermissionError'> [Errno 13] Permission denied: '/app/uuid.py' None")
    assert (file.name, file.needed_by, _line(file)) == ("/app/uuid.py", None, '"file:app/uuid.py",')


def test_a_library_of_a_module_is_found_in_the_folders_of_libraries() -> None:
    log = "ImportError: libcrypto.so.3: cannot open shared object file: Permission denied"
    file = _only(log)
    assert _line(file, "/usr/lib/x86/libcrypto.so.3") == '"file:/usr/lib/x86/libcrypto.so.3",'
    assert _line(file) is None
    assert _line(file, "/usr/lib/x86/libcrypto.so.3", "/opt/gramine/lib/libcrypto.so.3") is None


def test_a_library_that_the_program_itself_needs_is_read() -> None:
    log = (
        "python3: error while loading shared libraries: libm.so.6: cannot open shared object file: "
        "No such file or directory"
    )
    assert _only(log) == RefusedFile(refusal=Refusal.UNLISTED, name="libm.so.6")


def test_a_changed_file_needs_a_new_manifest_and_no_line() -> None:
    log = "python3: can't open file '/app/main.py': [Errno 1] Operation not permitted: '/app/main.py'"
    hashed = (
        "[P1:T1:] warning: Hash of trusted file 'app/x.py' does not match with the reference hash in manifest"
    )
    library = "ImportError: libz.so.1: cannot open shared object file: Operation not permitted"
    for text in (log, hashed, library):
        file = _only(text)
        assert file.refusal is Refusal.CHANGED
        assert "expand and sign" in remedy_for(file, _MANIFEST, is_file=lambda _: True).sentence


def test_a_file_that_cannot_be_made_belongs_into_the_enclaves_memory() -> None:
    file = _only("[P1] warning: Disallowing creating file '/app/out/x'; file is not trusted or allowed.")
    assert file.refusal is Refusal.NEW
    assert _line(file) == '{ type = "tmpfs", path = "/app/out" },'
    bare = _only("[P1] warning: Disallowing creating file 'x'; file is not trusted or allowed.")
    assert _line(bare) == '{ type = "tmpfs", path = "/tmp" },'


def test_the_line_is_toml_whatever_the_name_is() -> None:
    assert _line(RefusedFile(refusal=Refusal.UNLISTED, name='/app/a"b')) == '"file:app/a\\"b",'


@pytest.mark.parametrize("words", ["write/append to a trusted file 'a'", "creating a trusted file 'a'"])
def test_a_trusted_file_is_read_only(words: str) -> None:
    file = _only(f"[P1] error: Disallowing {words}")
    assert (file.refusal, _line(file)) == (Refusal.WRITTEN, None)


def test_a_mount_of_one_file_goes_before_its_folders() -> None:
    assert _line(RefusedFile(refusal=Refusal.UNLISTED, name="/app/one.py")) == '"file:other/one.py",'
    assert _line(RefusedFile(refusal=Refusal.UNLISTED, name="/srv/x")) is None
    assert _line(RefusedFile(refusal=Refusal.UNLISTED, name="/tmp/x")) is None


def test_a_file_is_named_once_and_by_the_fuller_name() -> None:
    caught = "[Errno 13] Permission denied: '/usr/lib/python3.11/shutil.py'\n"
    assert [file.needed_by for file in parse_refused_files(caught + _IMPORT + caught)] == [
        "/app/main.py, line 6: import shutil"
    ]


def test_frames_of_an_earlier_traceback_are_not_blamed() -> None:
    earlier = 'Traceback (most recent call last):\n  File "/a.py", line 1, in f\n    g()\nValueError: x\n'
    later = "Traceback (most recent call last):\nPermissionError: [Errno 13] Permission denied: '/b'\n"
    assert _only(earlier + later).needed_by is None


@pytest.mark.parametrize("manifest", [{}, {"fs": 1, "loader": 1}, {"fs": {"mounts": [1, {"path": 1}]}}])
def test_any_manifest_will_do(manifest: dict) -> None:
    file = RefusedFile(refusal=Refusal.UNLISTED, name="libz.so.1")
    assert remedy_for(file, manifest, is_file=lambda _: True).line is None


@given(st.text())
def test_any_text_is_read(log: str) -> None:
    assert isinstance(parse_refused_files(log), tuple)
