"""Sealed modules in a real enclave. Importing in detail, and without one: test_enclave_importing.py."""

from enclave_world import World

CANARY = "canary_of_the_source"


def printed(world: World, program: str, files: dict[str, str | bytes]) -> list[str]:
    world.code = {"run.py": program, **files}
    world.run()
    return world.log(world.consumers[0]).splitlines()


def test_a_program_of_many_files_runs_with_its_data(world: World) -> None:
    lines = printed(
        world,
        "import sys, os, __main__\n"
        "from sealroom.enclave import Enclave\n"
        "from importlib.resources import files\n"
        "import pack.deep.leaf, spaces.inner.leaf, uuid\n"
        "with Enclave() as enclave:\n"
        "    print(enclave.open_code_file('weights.bin').read(), (files('pack') / 'table.csv').read_text())\n"
        "print(pack.deep.leaf.y, spaces.inner.leaf.x, uuid.x, sys.argv, os.path.exists(sys.path[0]))\n"
        "import dataclasses, pickle\n@dataclasses.dataclass\nclass C:\n    x: int\n"
        "print(pickle.loads(pickle.dumps(C(3))).x, __main__.__dict__ is globals())\n",
        {
            "weights.bin": b"\x00\x01",
            "uuid.py": "x = 'own uuid'\n",
            "pack/__init__.py": "",
            "pack/table.csv": "a,b",
            "pack/deep/__init__.py": "from .. import deep as again\n",
            "pack/deep/leaf.py": "from . import again\ny = again.__name__\n",
            "spaces/inner/leaf.py": "x = 3\n",
        },
    )
    assert lines == ["b'\\x00\\x01' a,b", "pack.deep 3 own uuid ['run.py'] False", "3 True"]


def test_a_traceback_has_files_and_lines_and_no_source_of_a_sealed_file(world: World) -> None:
    lines = printed(
        world,
        "import model\nmodel.fail()\n",
        {
            "model.py": (
                "import pack.broken_guard\n\n"
                f"def low(x):\n    {CANARY} = {{}}[x]\n\n"
                "def fail():\n    errors = []\n    for x in range(2):\n        try:\n            low(x)\n"
                "        except KeyError as error:\n            error.add_note('a note')\n"
                "            errors.append(error)\n"
                f"    raise ExceptionGroup('several', errors) from pack.broken_guard.error  # {CANARY}\n"
            ),
            "pack/broken_guard.py": (
                "try:\n    from . import types\nexcept SyntaxError as caught:\n    error = caught\n"
            ),
            # A file of this name is in the standard library, where Python would look for its lines.
            "pack/types.py": f"x = 1\n{CANARY} = = 2\n",
        },
    )
    shown = "\n".join(lines)
    assert CANARY not in shown
    assert '  File "pack/types.py", line 2\nSyntaxError: invalid syntax' in shown
    assert '    | Traceback (most recent call last):\n    |   File "model.py", line 10, in fail\n' in shown
    assert '    |   File "model.py", line 4, in low\n    | KeyError: 1\n    | a note\n' in shown
    assert '  |   File "run.py", line 2, in <module>\n  |     model.fail()' in shown
    failure = world.closing().failure
    assert failure is not None
    assert (failure.type, failure.file, failure.line) == ("ExceptionGroup", "model.py", 14)


def test_a_compiled_module_of_the_archive_fails_the_run_with_the_reason(world: World) -> None:
    lines = printed(world, "import fast\n", {"fast.so": b"\x7fELF"})
    assert lines[-1].startswith("ImportError: native code is loaded from measured packages alone")


def test_a_syntax_error_of_the_entry_point_shows_as_at_home(world: World) -> None:
    lines = printed(world, "x = 1\ny = = 2\n", {})
    assert lines == ['  File "run.py", line 2', "SyntaxError: invalid syntax"]
