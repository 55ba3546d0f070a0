"""Importing sealed modules: everything that works beside a `run.py` at home works inside."""

from enclave_world import World


def printed(world: World, program: str, files: dict[str, str | bytes]) -> list[str]:
    world.code = {"run.py": program, **files}
    world.run()
    return world.log(world.consumers[0]).splitlines()


def test_imports_packages_subpackages_and_relatives(world: World) -> None:
    lines = printed(
        world,
        "import pack.deep.leaf, plain\nfrom pack import *\nprint(pack.deep.leaf.name, plain.x, shown)\n"
        "print(pack.deep.leaf.__name__, pack.__path__ == [pack.__file__.removesuffix('/__init__.py')])\n",
        {
            "plain.py": "from pack.deep import leaf\nx = leaf.y\n",
            "pack/__init__.py": "__all__ = ['shown']\nfrom .side import shown\n",
            "pack/side.py": "shown = 'shown'\n",
            "pack/deep/__init__.py": "from ..side import shown as again\n",
            "pack/deep/leaf.py": "from . import again\nfrom .. import side\nname, y = again, 7\n",
        },
    )
    assert lines == ["shown 7 shown", "pack.deep.leaf True"]


def test_imports_in_a_circle(world: World) -> None:
    lines = printed(
        world,
        "import a\nprint(a.b.a is a, a.b.late())\n",
        {"a.py": "import b\nx = 1\n", "b.py": "import a\ndef late():\n    return a.x\n"},
    )
    assert lines == ["True 1"]


def test_imports_from_a_folder_without_init(world: World) -> None:
    lines = printed(
        world,
        "import spaces.inner.leaf, json.decoder\nprint(spaces.inner.leaf.x, json.decoder.__name__)\n",
        {"spaces/inner/leaf.py": "x = 3\n", "json/other.py": "x = 1\n"},
    )
    assert lines == ["3 json.decoder"]


def test_a_module_of_the_program_comes_before_one_of_the_runtime(world: World) -> None:
    assert printed(world, "import colorsys\nprint(colorsys.x)\n", {"colorsys.py": "x = 'ours'\n"}) == ["ours"]


def test_a_missing_module_is_an_import_error(world: World) -> None:
    lines = printed(
        world,
        "for name in ('nothing', 'pack.nothing', 'plain.nothing'):\n"
        "    try:\n        __import__(name)\n    except ImportError as error:\n        print(error)\n",
        {"pack/__init__.py": "", "plain.py": ""},
    )
    assert lines == [
        "No module named 'nothing'",
        "No module named 'pack.nothing'",
        "No module named 'plain.nothing'; 'plain' is not a package",
    ]


def test_reads_files_of_the_program_beside_its_modules(world: World) -> None:
    lines = printed(
        world,
        "import pkgutil, pack\nprint(pkgutil.get_data('pack', 'data/table.bin'))\n"
        "for name in ('none', '../../args'):\n"
        "    try:\n        pkgutil.get_data('pack', name)\n    except OSError:\n        print('no', name)\n",
        {"pack/__init__.py": "", "pack/data/table.bin": b"\x00\x01secret table"},
    )
    assert lines == ["b'\\x00\\x01secret table'", "no none", "no ../../args"]


def test_source_of_sealed_modules_is_not_at_hand(world: World) -> None:
    lines = printed(
        world,
        "import inspect, model\n"
        "try:\n    inspect.getsource(model)\nexcept OSError as error:\n    print(error)\n"
        "print(model.__spec__.loader.get_source('model'))\n"
        "print(open(model.__file__, 'rb').read(8))\n",
        {"model.py": "x = 1\n"},
    )
    assert lines == ["could not get source code", "None", "b'sealroom'"]


def test_source_in_another_encoding_and_with_other_line_ends(world: World) -> None:
    lines = printed(
        world,
        "import model, latin\nprint(latin.name == 'caf\\xe9')\nmodel.f()\n",
        {
            "latin.py": "# coding: latin-1\nname = 'café'\n".encode("latin-1"),
            "model.py": "def f():\r\n    1 / 0\r\n",
        },
    )
    assert lines[0] == "True"
    assert '  File "model.py", line 2, in f' in lines


def test_runs_as_main_with_its_own_name_alone(world: World) -> None:
    lines = printed(
        world,
        "import sys, __main__\nprint(__name__, __main__.__dict__ is globals(), sys.argv)\n"
        "import dataclasses, pickle\n@dataclasses.dataclass\nclass C:\n    x: int\n"
        "print(pickle.loads(pickle.dumps(C(3))).x)\n",
        {},
    )
    assert lines == ["__main__ True ['run.py']", "3"]
