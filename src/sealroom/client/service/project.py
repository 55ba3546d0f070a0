"""A service's project as it lies on its provider's machine: configuration, code, tests and secrets.

Reads, and changes nothing. Must never name a file of secrets, or the code key, among those that travel.
Spec: docs/spec/service-package.md, "Project".
"""

import json
from dataclasses import dataclass
from pathlib import Path

from sealroom.client.private_files import read_bounded
from sealroom.client.service.ignoring import read_ignored
from sealroom.client.source_tree import check_importable, walk_files
from sealroom.core.errors import MalformedError
from sealroom.core.measurement.service_config import MAX_CONFIG_BYTES, ServiceConfig
from sealroom.core.measurement.service_package import CONFIG, TESTS_FOLDER
from sealroom.core.wire.bundle import MAX_SOURCE_BYTES
from sealroom.core.wire.code_list import REQUIREMENTS, SERVICE_FOLDER

SECRETS = "secrets.json"
SECRETS_TO_SEAL = "secrets_to_seal.json"
CODE_KEY = "code.key"
MAX_SECRETS_BYTES = 512 * 1024

_NEVER = frozenset({SECRETS, SECRETS_TO_SEAL, CODE_KEY})


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project whose configuration was read; `raw_config` is the file that said so."""

    folder: Path
    config: ServiceConfig
    raw_config: bytes

    @classmethod
    def open(cls, folder: Path) -> "Project":
        """Read the configuration in `folder`; raises `MalformedError`, also where there is none."""
        try:
            raw = read_bounded(folder / CONFIG, max_bytes=MAX_CONFIG_BYTES, what=CONFIG)
        except FileNotFoundError as exc:
            raise MalformedError(f"project: {folder} has no {CONFIG}") from exc
        # Programs that are started in it must find it as well.
        return cls(folder=folder.absolute(), config=ServiceConfig.from_toml(raw), raw_config=raw)

    @property
    def source(self) -> Path:
        """Where the application lies."""
        return self.folder / SERVICE_FOLDER

    @property
    def tests(self) -> Path:
        """Where its tests lie, if it has any."""
        return self.folder / TESTS_FOLDER

    def requirements(self) -> bytes | None:
        """Return `requirements.txt`, not yet understood, or `None`."""
        try:
            return read_bounded(self.folder / REQUIREMENTS, max_bytes=MAX_SOURCE_BYTES, what=REQUIREMENTS)
        except FileNotFoundError:
            return None

    def source_files(self) -> tuple[str, ...]:
        """Return the paths under `src/` that travel; raises `MalformedError` for what cannot run inside."""
        ignored = read_ignored(self.source)
        found = walk_files(
            self.source,
            what=SERVICE_FOLDER,
            ignore=lambda path, is_folder: _never(path) or ignored(path, is_folder),
        )
        for path in found:
            check_importable(path, what=SERVICE_FOLDER)
        _check_application(self.config.application, found)
        return tuple(found)

    def test_files(self) -> tuple[str, ...]:
        """Return the paths under `tests/` that travel; none where there is no such folder."""
        if not self.tests.is_dir():
            return ()
        return tuple(walk_files(self.tests, what=TESTS_FOLDER, ignore=lambda path, _: _never(path)))

    def secrets(self) -> dict[str, object]:
        """Return `secrets.json`, or nothing where there is none."""
        return read_secrets(self.folder / SECRETS)

    def secrets_to_seal(self) -> dict[str, object]:
        """Return `secrets_to_seal.json`, or nothing where there is none."""
        return read_secrets(self.folder / SECRETS_TO_SEAL)


def read_secrets(path: Path) -> dict[str, object]:
    """Return the JSON object in `path`, or an empty one where there is no file; raises `MalformedError`."""
    try:
        raw = read_bounded(path, max_bytes=MAX_SECRETS_BYTES, what=path.name)
    except FileNotFoundError:
        return {}
    try:
        value = json.loads(raw, object_pairs_hook=_each_once)
    except (ValueError, RecursionError):
        # What the library says may quote the secret, and so may what it raises from.
        raise MalformedError(f"{path.name}: expected one JSON object, each name once") from None
    if not isinstance(value, dict):
        raise MalformedError(f"{path.name}: expected one JSON object, each name once")
    return value


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _never(path: str) -> bool:
    return path.rpartition("/")[2] in _NEVER


def _check_application(application: str, paths: list[str]) -> None:
    module = application.partition(":")[0].replace(".", "/")
    if f"{module}.py" not in paths and f"{module}/__init__.py" not in paths:
        raise MalformedError(
            f"{CONFIG}: python_application is {application}, and {SERVICE_FOLDER}{module}.py is missing"
        )
