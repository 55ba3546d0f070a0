"""What the simulated TEE checks before it starts anything, over a small folder and a runtime of two files."""

import hashlib
import json
import os
from pathlib import Path
from uuid import uuid4

import nacl.signing
import pytest

from sealroom.core.errors import MalformedError, SealroomError, VerificationError
from sealroom.core.measurement.known_pals import KnownPal
from sealroom.core.measurement.mrenclave import measure
from sealroom.core.measurement.template import MeasuredFile, computation_manifest
from sealroom.core.wire.arguments import Arguments
from sealroom.core.wire.participants import Participant, Role
from sealroom.core.wire.terms import DeliveryForm, Limits, LogRelease, Tee, Terms
from sealroom.insecure.launch_folder import check_launch_folder
from sealroom.insecure.synthetic_pal import synthetic_pal

FILES = {
    "start.py": b"start",
    "lib/sealroom/__init__.py": b"first",
    "code/run.py": b"run",
    "code/model/__init__.py": b"model",
}
RUNTIME = {"runtime/bin/python3": b"interpreter", "runtime/lib/libc.so.6": b"library"}


def arguments(tee: Tee = Tee.SIMULATED) -> Arguments:
    terms = Terms(
        tee=tee,
        delivery=DeliveryForm.V1,
        computation=uuid4(),
        owner="owner@example.org",
        code_provider="code@example.org",
        data_providers=(),
        result_consumers=(),
        logs=LogRelease.NONE,
        limits=Limits(max_output_bytes=1, max_log_bytes=1, max_seconds=1, max_memory=1),
    )
    key = bytes(nacl.signing.SigningKey.generate().verify_key)
    provider = Participant(role=Role.CODE_PROVIDER, index=0, email="code@example.org", public_key=key)
    return Arguments(
        terms=terms,
        participants=(provider,),
        code_digest=bytes(32),
        packages_digest=bytes(32),
        launch=bytes(16),
    )


def measured(path: str, content: bytes) -> MeasuredFile:
    return MeasuredFile(path=path, sha256=hashlib.sha256(content).digest())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path, arguments())


def make_folder(tmp_path: Path, agreed: Arguments) -> Path:
    folder, tree = tmp_path / "launch", tmp_path / "tree"
    for path, content in FILES.items():
        write(folder / path, content)
    for path, content in RUNTIME.items():
        write(tree / path.removeprefix("runtime/"), content)
    rows = [
        [path, str(tree / path.removeprefix("runtime/")), hashlib.sha256(content).hexdigest()]
        for path, content in RUNTIME.items()
    ]
    (folder / "packages").mkdir()
    (folder / "spool").mkdir()
    write(folder / "runtime.json", json.dumps(rows).encode())
    write(folder / "args", agreed.to_bytes())
    pal = synthetic_pal()
    write(folder / "pal", pal)
    digest = hashlib.sha256(pal).digest()
    manifest = computation_manifest(
        arguments_sha256=hashlib.sha256(agreed.to_bytes()).digest(),
        first_party=[measured(p, c) for p, c in FILES.items() if not p.startswith("code/")],
        code=[measured(p, c) for p, c in FILES.items() if p.startswith("code/")],
        packages=[],
        runtime=[measured(p, c) for p, c in RUNTIME.items()],
        max_memory=1,
        pal=KnownPal(
            name="synthetic",
            source="a test",
            tee=Tee.SIMULATED,
            sha256=digest,
            libos_uri="file:pal",
            libos_sha256=digest,
        ),
    )
    write(folder / "manifest.sgx", manifest)
    return folder


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def test_a_whole_folder_is_taken_as_its_manifest_says(folder: Path) -> None:
    launch = check_launch_folder(folder)
    manifest, pal = (folder / "manifest.sgx").read_bytes(), (folder / "pal").read_bytes()
    assert launch.mrenclave == measure(manifest, pal).mrenclave
    assert launch.interpreter == "/runtime/bin/python3"
    assert launch.argv[:5] == ("python3", "-I", "-S", "-B", "/sealroom/start.py")
    assert launch.runtime == folder.parent / "tree"
    assert {m.inside: m.writable for m in launch.mounts} == {
        "/runtime": False,
        "/sealroom/start.py": False,
        "/sealroom/lib": False,
        "/sealroom/packages": False,
        "/sealroom/code": False,
        "/sealroom/spool": True,
    }


@pytest.mark.parametrize("path", ["start.py", "lib/sealroom/__init__.py", "code/run.py", "args", "pal"])
def test_one_changed_byte_is_refused_and_named(folder: Path, path: str) -> None:
    content = bytearray((folder / path).read_bytes())
    # The last letter of the launch number, for the arguments: they must still be arguments.
    position = -2 if path == "args" else -1
    content[position] = ord("1") if path == "args" else content[position] ^ 1
    (folder / path).write_bytes(content)
    with pytest.raises(
        VerificationError, match=f"trusted file {path}: got sha256 [0-9a-f]+, the manifest names"
    ):
        check_launch_folder(folder)


def test_a_changed_file_of_the_runtime_is_refused_and_named(folder: Path) -> None:
    (folder.parent / "tree" / "lib" / "libc.so.6").write_bytes(b"another library")
    with pytest.raises(VerificationError, match=r"trusted file runtime/lib/libc.so.6: got sha256"):
        check_launch_folder(folder)


@pytest.mark.parametrize("path", ["lib/json.py", "code/more.py", "packages/thing/__init__.py", "lib/.hidden"])
def test_a_file_that_nobody_measured_is_refused_and_named(folder: Path, path: str) -> None:
    write(folder / path, b"")
    with pytest.raises(
        VerificationError, match=f"file {path}: in a measured folder, and not in the manifest"
    ):
        check_launch_folder(folder)


def test_a_file_more_in_the_runtime_is_refused(folder: Path) -> None:
    write(folder.parent / "tree" / "lib" / "python3.11" / "os.py", b"")
    with pytest.raises(VerificationError, match=r"file runtime/lib/python3.11/os.py: in a measured folder"):
        check_launch_folder(folder)


def test_anything_may_lie_in_the_spool(folder: Path) -> None:
    write(folder / "spool" / "inbox" / "0", b"delivery")
    check_launch_folder(folder)


def test_a_link_to_the_right_content_is_refused(folder: Path) -> None:
    (folder / "real").write_bytes(FILES["code/run.py"])
    (folder / "code" / "run.py").unlink()
    (folder / "code" / "run.py").symlink_to(folder / "real")
    with pytest.raises(VerificationError, match=r"trusted file code/run.py: cannot be read"):
        check_launch_folder(folder)


def test_a_pipe_in_place_of_a_file_is_refused(folder: Path) -> None:
    (folder / "code" / "run.py").unlink()
    os.mkfifo(folder / "code" / "run.py")
    with pytest.raises(VerificationError, match=r"trusted file code/run.py: not a regular file"):
        check_launch_folder(folder)


def test_arguments_for_sgx_are_refused(tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match="tee is sgx"):
        check_launch_folder(make_folder(tmp_path, arguments(Tee.SGX)))


def test_a_runtime_spread_over_the_machine_is_refused(folder: Path) -> None:
    rows = json.loads((folder / "runtime.json").read_bytes())
    (folder.parent / "elsewhere").write_bytes(RUNTIME["runtime/lib/libc.so.6"])
    rows[1][1] = str(folder.parent / "elsewhere")
    (folder / "runtime.json").write_text(json.dumps(rows))
    with pytest.raises(VerificationError, match="not in the tree of the runtime"):
        check_launch_folder(folder)


def test_a_file_of_the_runtime_that_is_not_listed_is_refused(folder: Path) -> None:
    rows = json.loads((folder / "runtime.json").read_bytes())
    (folder / "runtime.json").write_text(json.dumps(rows[:1]))
    with pytest.raises(VerificationError, match=r"trusted file runtime/lib/libc.so.6: the list"):
        check_launch_folder(folder)


MALFORMED_LISTS = [
    "",
    "{}",
    "[]",
    "[1]",
    '[["runtime/x", "/y"]]',
    '[["lib/x", "/y", ""]]',
    '[["runtime/../x", "/y", ""]]',
    '[["runtime/x", "/y", ""], ["runtime/x", "/y", ""]]',
    "[" * 100_000,
]


@pytest.mark.parametrize("content", MALFORMED_LISTS, ids=range(len(MALFORMED_LISTS)))
def test_a_malformed_list_of_the_runtime_is_refused(folder: Path, content: str) -> None:
    (folder / "runtime.json").write_text(content)
    with pytest.raises(MalformedError, match=r"runtime.json"):
        check_launch_folder(folder)


def change_manifest(folder: Path, old: str, new: str) -> None:
    text = (folder / "manifest.sgx").read_text()
    assert old in text
    (folder / "manifest.sgx").write_text(text.replace(old, new))


CHANGES = [
    ('argv_src_file = "file:args"', 'argv_src_file = "file:other"'),
    ('argv_src_file = "file:args"', 'argv_src_file = "file:code/run.py"'),
    ('argv_src_file = "file:args"', 'argv_src_file = "file:../args"'),
    ('argv_src_file = "file:args"', "argv_src_file = 1"),
    ('uri = "file:code/run.py"', 'uri = "file:/etc/passwd"'),
    ('uri = "file:code/run.py"', 'uri = "file:code/../../run.py"'),
    ('uri = "file:code/run.py"', 'uri = "dev:tty"'),
    (
        'uri = "file:code/run.py"',
        'uri = "file:code/run.py"\nsha256 = "00"\n[[sgx.trusted_files]]\nuri = "file:a"',
    ),
    ("[loader.env]", "[loader.other]"),
    ("[[sgx.trusted_files]]", "[[sgx.other]]"),
    ('entrypoint = "/runtime/bin/python3"', "entrypoint = 7"),
    ("allowed_files = [", "other = ["),
    ('path = "/runtime", uri', 'other = "/runtime", uri'),
]


@pytest.mark.parametrize(("old", "new"), CHANGES, ids=range(len(CHANGES)))
def test_a_manifest_that_says_something_else_is_refused(folder: Path, old: str, new: str) -> None:
    change_manifest(folder, old, new)
    with pytest.raises(SealroomError):
        check_launch_folder(folder)


@pytest.mark.parametrize("name", ["manifest.sgx", "pal", "args", "runtime.json"])
def test_a_missing_part_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(MalformedError, match=f"{name} cannot be read: No such file"):
        check_launch_folder(folder)
