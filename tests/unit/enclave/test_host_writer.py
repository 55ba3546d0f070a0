"""Who may change the host's folders while a program runs: one thread of ours, also in C."""

import subprocess
import sys
from pathlib import Path

import pytest
from enclave_world import World

from sealroom.enclave.messages import HostFolder
from sealroom.enclave.write_rights import _CREATE_RULESET, _QUERY_VERSION, _call

SRC = Path(__file__).parents[3] / "src"

needs_landlock = pytest.mark.skipif(
    _call(_CREATE_RULESET, None, 0, _QUERY_VERSION) < 2, reason="this kernel has no Landlock of version 2"
)

# Past Python and its audit hook, as a library's own C code would.
IN_C = """
import ctypes, errno, os, threading
libc = ctypes.CDLL(None, use_errno=True)
def attempt(name, *arguments):
    if getattr(libc, name)(*arguments) < 0:
        return errno.errorcode[ctypes.get_errno()]
    return "done"
create = os.O_WRONLY | os.O_CREAT
def attempts(folder, scratch):
    return {
        "create": attempt("open", os.fsencode(f"{folder}/x"), create, 0o600),
        "write": attempt("open", os.fsencode(f"{folder}/there"), os.O_WRONLY),
        "truncate": attempt("truncate", os.fsencode(f"{folder}/there"), ctypes.c_long(0)),
        "remove": attempt("unlink", os.fsencode(f"{folder}/there")),
        "rename": attempt("rename", os.fsencode(f"{folder}/there"), os.fsencode(f"{scratch}/there")),
        "link": attempt("link", os.fsencode(f"{scratch}/own"), os.fsencode(f"{folder}/linked")),
        "folder": attempt("mkdir", os.fsencode(f"{folder}/made"), 0o700),
        "read": attempt("open", os.fsencode(f"{folder}/there"), os.O_RDONLY),
        "scratch": attempt("open", os.fsencode(f"{scratch}/y"), create, 0o600),
        "nowhere": attempt("open", b"/dev/null", os.O_WRONLY | os.O_TRUNC),
    }
"""
REFUSED = ("create", "write", "truncate", "remove", "rename", "link", "folder")
OUTCOMES = dict.fromkeys(REFUSED, "EACCES") | dict.fromkeys(("read", "scratch", "nowhere"), "done")


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    spool, scratch = tmp_path / "spool", tmp_path / "scratch"
    spool.mkdir()
    scratch.mkdir()
    (spool / "there").write_bytes(b"the host's")
    (scratch / "own").write_bytes(b"")
    return spool, scratch


def _python(program: str) -> None:
    subprocess.run(
        [sys.executable, "-c", f"import sys\nsys.path.insert(0, {str(SRC)!r})\n{program}"], check=True
    )


@needs_landlock
def test_c_code_changes_nothing_outside_the_scratch_folder_in_any_thread(folders: tuple[Path, Path]) -> None:
    spool, scratch = map(str, folders)
    _python(f"""{IN_C}
from sealroom.enclave.host_writer import HostWriter
HostWriter().take_over(writable=({scratch!r},))
found = [attempts({spool!r}, {scratch!r})]
thread = threading.Thread(target=lambda: found.append(attempts({spool!r}, {scratch!r})))
thread.start(); thread.join()
assert found == [{OUTCOMES!r}] * 2, found
""")
    assert (folders[0] / "there").read_bytes() == b"the host's"


@needs_landlock
def test_our_own_changes_go_on_after_the_program_gave_up_its_rights(folders: tuple[Path, Path]) -> None:
    spool, scratch = map(str, folders)
    _python(f"""
import pathlib
from sealroom.enclave.host_writer import HostWriter
from sealroom.enclave.messages import HostFolder
writer = HostWriter()
folder = HostFolder(pathlib.Path({spool!r}), writer)
before = folder.create("results/0")
writer.take_over(writable=({scratch!r},))
folder.write("a", b"content")
file = folder.create("results/1")
assert file.write(b"__more") == 6
assert before.write(b"__earlier") == 9
file.close(); before.close()
folder.complete("results/1", start=b"no", name="results/2")
folder.discard("results/0")
""")
    assert (folders[0] / "a").read_bytes() == b"content"
    assert (folders[0] / "results/2").read_bytes() == b"nomore"
    assert sorted(path.name for path in (folders[0] / "results").iterdir()) == ["2"]


@needs_landlock
def test_what_a_program_drops_ends_in_its_own_threads(world: World) -> None:
    # Each is one of a cycle, so the collector finds it, in whatever thread something is made just then.
    world.code = {
        "run.py": "import tempfile, threading\nfrom sealroom.enclave import Enclave\n"
        "enclave, closed_by = Enclave(), set()\n"
        "class Notes:\n"
        "    def __init__(self):\n"
        "        self.own, self.file = self, open(tempfile.mktemp(), 'w')\n"
        "        self.file.write('canary' + '-7c1f')\n"
        "    def __del__(self):\n"
        "        closed_by.add(threading.get_native_id())\n"
        "        self.file.close()\n"
        "tables = [enclave.output(f'table-{k}') for k in range(20)]\n"
        "for number in range(400):\n"
        "    Notes()\n"
        "    enclave.write(b'row', name=f'row-{number}')\n"
        "for table in tables:\n"
        "    table.write(b'all')\n"
        "    table.close()\n"
        "print(closed_by == {threading.get_native_id()})\n"
    }
    (world.base / "scratch").mkdir()
    world.environment = {"TMPDIR": str(world.base / "scratch")}
    assert world.run() == 0
    assert world.log(world.consumers[0]) == "True\n"
    assert [world.result(0, k, f"table-{k}") for k in range(20)] == [b"all"] * 20


def test_a_change_that_asks_for_another_does_not_wait_for_itself() -> None:
    _python("""
from sealroom.enclave.host_writer import HostWriter
writer = HostWriter()
writer.take_over(writable=("/tmp",))
assert writer.do(lambda: writer.do(lambda: "done")) == "done"
""")


def test_an_exception_that_was_dropped_leaves_nothing_to_the_writing_thread() -> None:
    _python("""
import gc, threading
from sealroom.enclave.host_writer import HostWriter
writer, ended_by = HostWriter(), set()
writer.take_over(writable=("/tmp",))
gc.disable()
class Local:
    def __del__(self):
        ended_by.add(threading.get_ident())
def fail():
    raise OSError
def attempt():
    local = Local()
    try:
        writer.do(fail)
    except OSError:
        pass
for _ in range(1000):
    attempt()
assert ended_by == {threading.get_ident()}, ended_by
assert not gc.isenabled() and writer.do(gc.isenabled) is False
gc.enable()
assert writer.do(gc.isenabled) is False and gc.isenabled()
""")


def test_threads_of_ours_are_not_among_those_that_a_program_joins(world: World) -> None:
    world.code = {
        "run.py": "import threading\nfor thread in threading.enumerate():\n"
        "    if thread is not threading.main_thread():\n        thread.join()\n"
    }
    assert world.run() == 0


def test_what_a_change_raises_is_raised_where_it_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        HostFolder(tmp_path).complete("a", start=b"", name="b")
    _python(f"""
import pathlib
from sealroom.enclave.host_writer import HostWriter
from sealroom.enclave.messages import HostFolder
writer = HostWriter()
folder = HostFolder(pathlib.Path({str(tmp_path)!r}), writer)
writer.take_over(writable=({str(tmp_path)!r},))
try:
    folder.complete("a", start=b"", name="b")
except FileNotFoundError:
    sys.exit(0)
sys.exit(1)
""")


@needs_landlock
def test_c_code_of_a_program_leaves_nothing_in_the_spool(world: World) -> None:
    world.code = {
        "run.py": f"{IN_C}\nimport tempfile\nfound = attempts({str(world.spool)!r}, tempfile.gettempdir())\n"
        "print(found['create'], found['scratch'])\n"
    }
    (world.base / "scratch").mkdir()
    world.environment = {"TMPDIR": str(world.base / "scratch")}
    assert world.run() == 0
    assert world.log(world.consumers[0]) == "EACCES done\n"
    assert not (world.spool / "x").exists()


def test_a_program_finds_no_descriptor_of_a_result_to_write_to(world: World) -> None:
    world.code = {
        "run.py": "import os\nfrom sealroom.enclave import Enclave\n"
        "out = Enclave().output('table')\nout.write(bytes(100_000))\n"
        "for descriptor in range(3, 200):\n"
        "    try:\n        os.write(descriptor, b'canary' + b'-7c1f')\n    except OSError:\n        pass\n"
        "out.close()\n"
    }
    assert world.run() == 0
    assert b"canary-7c1f" not in world.everything_outside()
    assert world.result(0, 0, "table") == bytes(100_000)
