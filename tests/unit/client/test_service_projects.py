"""Services at home: projects, keys, packages, and what stays at home."""

import io
import json
import sys
import tomllib
from pathlib import Path

import pytest

from made_wheels import make_wheel, pin
from sealroom.client.home import Home
from sealroom.client.service import local_server
from sealroom.client.service.code_keys import CodeKeyError, create_code_key, load_code_key
from sealroom.client.service.ignoring import read_ignored
from sealroom.client.service.packing import NotLockedError, pack, unpack
from sealroom.client.service.project import Project, read_secrets
from sealroom.client.service.scaffold import scaffold
from sealroom.client.service.stack import STACK
from sealroom.client.service.trying import TrialError, find_interface, try_service
from sealroom.client.wheel_store import WheelStore
from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.measurement.requirements import Requirement, write_requirements
from sealroom.core.measurement.service_package import read_package
from sealroom.core.sealing.service_key import CodeKey, service_id
from sealroom.core.wire.byte_fields import sha256
from sealroom.core.wire.service_arguments import Interface

NAMES = sorted(line.partition(">")[0] for line in STACK)
LOCKED = write_requirements(
    tuple(Requirement(name=name, version="1.0", sha256=sha256(name.encode())) for name in NAMES)
)
PUBLISHED = """name = "published"
python_application = "app:app"
healthcheck_endpoint = "/health"
tests_cmd = "pytest"
tests_requirements = ["pytest==7.2.0", "intel-sgx-ra==2.0a7"]"""


@pytest.fixture
def key() -> CodeKey:
    return CodeKey.from_bytes(b"k" * 32)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = scaffold(tmp_path / "scores", name="scores", interface=Interface.ASGI)
    (made.folder / "requirements.txt").write_bytes(LOCKED)
    return made


def packed(project: Project, key: CodeKey, name: str = "scores.package") -> Path:
    target = project.folder.parent / name
    pack(project, key, target, interface=Interface.ASGI)
    return target


@pytest.mark.parametrize("interface", list(Interface))
def test_a_new_project_passes_its_own_test_at_once(tmp_path: Path, interface: Interface) -> None:
    project = scaffold(tmp_path / "new", name="new", interface=interface)
    with (tmp_path / "said").open("w+") as said:
        trial = try_service(project, WheelStore(Home.open(tmp_path / "home")), output=said)
        assert (trial.interface, trial.exit_code) == (interface, 0), (tmp_path / "said").read_text()
    assert "Ran 3 tests" in (tmp_path / "said").read_text()


def test_a_project_is_not_made_over_another(project: Project) -> None:
    with pytest.raises(FileExistsError):
        scaffold(project.folder, name="scores", interface=Interface.WSGI)


def test_secrets_of_a_new_project_are_for_its_owner_alone(project: Project) -> None:
    for name in ("secrets.json", "secrets_to_seal.json"):
        assert (project.folder / name).stat().st_mode & 0o077 == 0


def test_one_project_and_one_key_are_one_file_byte_for_byte(project: Project, key: CodeKey) -> None:
    first = packed(project, key).read_bytes()
    (project.source / "app.py").touch()
    (project.source / "app.py").chmod(0o600)
    assert packed(project, key, "again.package").read_bytes() == first
    assert packed(project, CodeKey.from_bytes(b"o" * 32), "other.package").read_bytes() != first


def test_code_and_tests_travel_encrypted_and_open_with_the_key(project: Project, key: CodeKey) -> None:
    target = packed(project, key)
    raw = target.read_bytes()
    assert b"adds up" not in raw
    assert b"unittest.TestCase" not in raw
    with target.open("rb") as file:
        opened = unpack(file, key, project.folder.parent / "opened")
    assert opened.service == service_id(key, "scores")
    for path in ("src/app.py", "tests/test_app.py", "config.toml", "requirements.txt"):
        found = project.folder.parent / "opened" / path
        assert found.read_bytes() == (project.folder / path).read_bytes()


def test_neither_secrets_nor_the_key_enter_a_package(project: Project, key: CodeKey) -> None:
    create_code_key(project.folder / "code.key")
    for name in ("secrets.json", "secrets_to_seal.json", "code.key"):
        (project.source / name).write_text('{"canary": 1}')
        (project.tests / name).write_text('{"canary": 1}')
    with packed(project, key).open("rb") as file:
        paths = [member.path for member in read_package(file).members]
    assert paths == ["config.toml", "requirements.txt", "src/app.py", "tests/test_app.py"]


def test_what_the_ignore_file_names_stays_at_home(project: Project, key: CodeKey) -> None:
    for path in ("notes.orig", "data/raw.csv", "data/kept.csv", "build/x.py", "deep/build/y.py"):
        (project.source / path).parent.mkdir(parents=True, exist_ok=True)
        (project.source / path).write_text("x")
    (project.source / ".sealroomignore").write_text("# a comment\n*.orig\n/data/raw.*\nbuild/\n\n")
    with packed(project, key).open("rb") as file:
        paths = [member.path for member in read_package(file).members if member.path.startswith("src/")]
    assert paths == ["src/app.py", "src/data/kept.csv"]


def test_the_ignore_file_of_the_published_service_is_read(tmp_path: Path) -> None:
    (tmp_path / ".mseignore").write_text("__pycache__\n*.py[cod]\n.git*\n.vscode/\n*.egg-info/\n")
    ignored = read_ignored(tmp_path)
    assert ignored("a.pyc", False)
    assert ignored("x.egg-info", True)
    assert not ignored("app.py", False)


@pytest.mark.parametrize("line", ["!app.py", "a/**/b", "a\\*"])
def test_refuses_an_ignore_line_that_would_be_read_in_two_ways(tmp_path: Path, line: str) -> None:
    (tmp_path / ".sealroomignore").write_text(line)
    with pytest.raises(MalformedError, match="no meaning"):
        read_ignored(tmp_path)


def test_a_project_of_the_published_service_is_taken_as_it_is(project: Project, key: CodeKey) -> None:
    (project.folder / "config.toml").write_text(PUBLISHED)
    with packed(Project.open(project.folder), key).open("rb") as file:
        config = read_package(file).config
    assert (config.name, config.tests_command) == ("published", "pytest")
    # What was found out travels, for the operator cannot look at the application.
    assert config.interface is Interface.ASGI


def test_refuses_to_pack_under_another_interface_than_the_configuration_says(
    project: Project, key: CodeKey
) -> None:
    with pytest.raises(MalformedError, match="interface is asgi"):
        pack(project, key, project.folder / "x", interface=Interface.WSGI)


def test_refuses_to_pack_what_is_not_locked_and_what_nothing_would_serve(
    project: Project, key: CodeKey
) -> None:
    (project.folder / "requirements.txt").write_bytes(LOCKED.replace(b"uvicorn", b"uvicorm"))
    with pytest.raises(MalformedError, match="uvicorn missing"):
        packed(project, key)
    (project.folder / "requirements.txt").unlink()
    with pytest.raises(NotLockedError):
        packed(project, key)
    assert list(project.folder.parent.iterdir()) == [project.folder]


def test_refuses_to_pack_an_application_that_is_not_there(project: Project, key: CodeKey) -> None:
    (project.source / "app.py").rename(project.source / "other.py")
    with pytest.raises(MalformedError, match=r"src/app\.py is missing"):
        packed(project, key)


def test_refuses_to_pack_links_and_native_code(project: Project, key: CodeKey) -> None:
    (project.source / "fast.so").write_bytes(b"\x7fELF")
    with pytest.raises(MalformedError, match="native code"):
        packed(project, key)
    (project.source / "fast.so").unlink()
    (project.source / "link.py").symlink_to("/etc/passwd")
    with pytest.raises(MalformedError, match="is a link"):
        packed(project, key)


def test_refuses_to_open_a_package_with_another_key_or_altered(project: Project, key: CodeKey) -> None:
    raw = bytearray(packed(project, key).read_bytes())
    with pytest.raises(VerificationError):
        unpack(io.BytesIO(raw), CodeKey.from_bytes(b"o" * 32), project.folder.parent / "a")
    with packed(project, key).open("rb") as file:
        member = read_package(file).find("src/app.py")
    assert member is not None
    raw[member.offset + member.size - 1] ^= 1
    with pytest.raises(VerificationError):
        unpack(io.BytesIO(raw), key, project.folder.parent / "b")
    assert not (project.folder.parent / "b").exists()
    # Nor of the folders on the way to it; what was there before stays.
    with pytest.raises(VerificationError):
        unpack(io.BytesIO(raw), key, project.folder.parent / "c" / "d")
    assert not (project.folder.parent / "c").exists()
    assert project.folder.is_dir()


def test_a_package_that_cannot_be_written_is_told_by_its_own_name(project: Project, key: CodeKey) -> None:
    for target in (project.folder.parent / "no" / "x.package", project.source):
        with pytest.raises(OSError) as failed:
            packed(project, key, str(target))
        assert failed.value.filename == str(target)


def test_what_serves_an_application_is_the_extra_of_that_name() -> None:
    extras = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    assert tuple(extras["optional-dependencies"]["service"]) == STACK


def test_a_code_key_is_its_owners_alone_and_never_replaced(tmp_path: Path) -> None:
    made = create_code_key(tmp_path / "code.key")
    assert (tmp_path / "code.key").stat().st_mode & 0o077 == 0
    assert load_code_key(tmp_path / "code.key").equals(made)
    with pytest.raises(FileExistsError):
        create_code_key(tmp_path / "code.key")
    with pytest.raises(CodeKeyError):
        load_code_key(tmp_path / "none.key")


@pytest.mark.parametrize("text", ["", "ab" * 31, "AB" * 32, "ab" * 32 + "\n\n", "zz" * 32])
def test_refuses_another_form_of_code_key_and_shows_none_of_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "code.key").write_text(text)
    with pytest.raises(MalformedError) as refused:
        load_code_key(tmp_path / "code.key")
    assert "abab" not in str(refused.value)


@pytest.mark.parametrize("text", ['["a"]', "{", '{"canary": 1, "canary": 2}'])
def test_refuses_secrets_that_are_no_object_and_shows_none_of_them(tmp_path: Path, text: str) -> None:
    (tmp_path / "secrets.json").write_text(text)
    with pytest.raises(MalformedError) as refused:
        read_secrets(tmp_path / "secrets.json")
    assert "canary" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_how_an_application_is_called_is_found_out() -> None:
    class Asgi:
        async def __call__(self, scope: object, receive: object, send: object) -> None: ...

    class Wsgi:
        def __call__(self, environ: object, start_response: object) -> None: ...

    async def asgi(scope: object, receive: object, send: object) -> None: ...

    found = [local_server.interface_of(each) for each in (Asgi(), asgi, Wsgi(), lambda e, s: [])]
    assert found == [Interface.ASGI, Interface.ASGI, Interface.WSGI, Interface.WSGI]
    with pytest.raises(TypeError):
        local_server.interface_of(7)


def test_an_application_that_cannot_be_imported_says_why(project: Project, tmp_path: Path) -> None:
    (project.folder / "config.toml").write_text(PUBLISHED)
    (project.folder / "requirements.txt").unlink()
    (project.source / "app.py").write_text("import no_such_module\n")
    with pytest.raises(TrialError, match="no_such_module"):
        find_interface(Project.open(project.folder), WheelStore(Home.open(tmp_path / "home")))


def test_packages_are_those_of_the_wheels_as_an_enclave_gets_them(project: Project, tmp_path: Path) -> None:
    store = WheelStore(Home.open(tmp_path / "home"))
    wheel = make_wheel("greet", "1.0", {"greet.py": b"async def app(s, r, w): ...\n"})
    pinned = pin(wheel, "greet", "1.0")
    store.add(pinned, lambda sink: sink.write(wheel))
    (project.folder / "requirements.txt").write_bytes(write_requirements((pinned,)))
    (project.folder / "config.toml").write_text(PUBLISHED)
    (project.source / "app.py").write_text("from greet import app\n")
    assert find_interface(Project.open(project.folder), store) is Interface.ASGI


def test_failing_tests_are_told_from_an_application_that_is_not_well(
    project: Project, tmp_path: Path
) -> None:
    store = WheelStore(Home.open(tmp_path / "home"))
    (project.folder / "requirements.txt").unlink()
    (project.folder / "secrets_to_seal.json").write_text(json.dumps({"weight": 7}))
    with (tmp_path / "said").open("w") as said:
        assert try_service(project, store, output=said).exit_code == 1
    raw = (project.folder / "config.toml").read_text().replace("/health", "/nowhere")
    (project.folder / "config.toml").write_text(raw)
    with pytest.raises(TrialError, match="answers 404"):
        try_service(Project.open(project.folder), store, output=sys.stdout)
