"""Importing through the hook: as Python does from a folder, and in its own way where it decides itself."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest
from import_trees import OWN_WAY, SAME_AS_PYTHON

_ENVIRONMENT = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8"}


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each program printed when its files were sealed."""
    own_way = {
        name: {path.replace(".EXT", EXTENSION_SUFFIXES[0]): text for path, text in tree.items()}
        for name, (tree, _) in OWN_WAY.items()
    }
    driver = Path(__file__).with_name("import_driver.py")
    done = subprocess.run(
        [sys.executable, "-B", "-s", driver, tmp_path_factory.mktemp("sealed")],
        input=json.dumps(SAME_AS_PYTHON | own_way).encode(),
        env=_ENVIRONMENT,
        stdout=subprocess.PIPE,
        check=True,
    )
    return dict(json.loads(done.stdout))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What Python itself printed for the same files in a folder."""
    base = tmp_path_factory.mktemp("plain")
    with ThreadPoolExecutor(2) as pool:
        shown = pool.map(
            lambda item: _run_plainly(base / str(item[0]), item[1]), enumerate(SAME_AS_PYTHON.values())
        )
        return dict(zip(SAME_AS_PYTHON, shown, strict=True))


def _run_plainly(folder: Path, files: dict[str, str]) -> str:
    for path, text in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text.encode("latin-1" if "latin-1" in text else "utf-8"))
    done = subprocess.run(
        [sys.executable, "-B", "-s", folder / "run.py"],
        cwd="/",
        env=_ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return done.stdout.decode().replace(str(folder), "ROOT")


@pytest.mark.parametrize("sentence", SAME_AS_PYTHON)
def test_imports_as_python_does(sentence: str, sealed: dict[str, str], plain: dict[str, str]) -> None:
    assert plain[sentence].endswith("\nend\n"), plain[sentence]
    assert sealed[sentence] == plain[sentence]


@pytest.mark.parametrize("sentence", OWN_WAY)
def test_imports_in_its_own_way(sentence: str, sealed: dict[str, str]) -> None:
    assert sealed[sentence] == OWN_WAY[sentence][1]
