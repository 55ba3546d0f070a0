"""The application's memory file system: its secrets, and the files beside its code that are no Python.

All of it lies in the enclave's own temporary folder, which is memory of the enclave. Must never write below a
folder that the host can see. Spec: docs/spec/services.md, "Secrets" and "Files beside the code".
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, MutableMapping
from pathlib import Path

from sealroom.core.wire.bootstrap import (
    SEALED_SECRETS_VARIABLE,
    SECRETS_VARIABLE,
    Secrets,
    secrets_file,
)
from sealroom.enclave.service.sealed_code import ServiceFiles

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_SOURCE_SUFFIX = ".py"
_COPY_BLOCK = 1 << 18


def make_memory_folder() -> Path:
    """Make the folder that everything decrypted lies in, open to this process alone."""
    return Path(tempfile.mkdtemp(prefix="service-"))


def write_secrets(
    folder: Path, environment: MutableMapping[str, str], *, secrets: Secrets, sealed: Secrets
) -> None:
    """Write both files, also where nothing came, and name their paths in `environment`."""
    for variable, name, content in (
        (SECRETS_VARIABLE, "secrets.json", secrets),
        (SEALED_SECRETS_VARIABLE, "sealed_secrets.json", sealed),
    ):
        path = folder / name
        with os.fdopen(os.open(path, _NEW, 0o400), "wb") as file:
            file.write(secrets_file(content))
        environment[variable] = str(path)


def write_other_files(folder: Path, code: ServiceFiles) -> None:
    """Write what is no Python source to its path below `folder`: templates, weights, tables.

    Sources stay out: they are decrypted when they are imported, and lie nowhere.
    """
    folder.mkdir(mode=0o700)
    for path in _other_files(code.paths):
        target = folder / path
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with code.open(path) as source, os.fdopen(os.open(target, _NEW, 0o400), "wb") as file:
            shutil.copyfileobj(source, file, _COPY_BLOCK)


def _other_files(paths: Iterable[str]) -> list[str]:
    return sorted(path for path in paths if not path.endswith(_SOURCE_SUFFIX))
