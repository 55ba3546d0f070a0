"""A new service's project: an application that answers, its tests, and files for its secrets.

Spec: docs/spec/service-package.md, "Project".
"""

from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from sealroom.client.private_files import placing
from sealroom.client.service.project import SECRETS, SECRETS_TO_SEAL, Project
from sealroom.core.wire.service_arguments import Interface, check_service_name

# Hidden files do not travel with every tool that packs a Python package, so they get their names here.
_NAMES = {"gitignore": ".gitignore", "sealroomignore": "src/.sealroomignore"}
_SHARED = (
    "config.toml",
    "requirements.in",
    SECRETS,
    SECRETS_TO_SEAL,
    "gitignore",
    "sealroomignore",
    "tests/test_app.py",
)
_PRIVATE = frozenset({SECRETS, SECRETS_TO_SEAL})


def scaffold(folder: Path, *, name: str, interface: Interface) -> Project:
    """Make the project `name` in the new folder `folder`; raises `FileExistsError` where it is there."""
    check_service_name(name)
    folder.mkdir(parents=True)
    templates = resources.files("sealroom.client.service") / "templates"
    for path in _SHARED:
        text = _read(templates / "shared", path)
        if path == "config.toml":
            text = text.replace("{name}", name).replace("{interface}", interface.value)
        _write(folder, _NAMES.get(path, path), text)
    _write(folder, "src/app.py", _read(templates / interface.value, "src/app.py"))
    return Project.open(folder)


def _read(folder: Traversable, path: str) -> str:
    return folder.joinpath(*path.split("/")).read_text(encoding="utf-8")


def _write(folder: Path, path: str, text: str) -> None:
    place = folder / path
    place.parent.mkdir(exist_ok=True)
    with placing(place, mode=0o600 if path in _PRIVATE else 0o644) as file:
        file.write(text.encode())
