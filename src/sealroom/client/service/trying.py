"""A service tried at home: its application served without an enclave, and its own tests run against it.

The packages are those of `requirements.txt`, unpacked from the wheels of this home as an enclave gets them.
Nothing here says anything about an enclave: no confinement, no TLS, no encrypted import.
Spec: docs/spec/service-package.md, "Trying".
"""

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sealroom.client.service import local_server
from sealroom.client.service.project import SECRETS, SECRETS_TO_SEAL, Project
from sealroom.client.wheel_store import WheelStore
from sealroom.core.errors import SealroomError
from sealroom.core.measurement.requirements import Requirement, parse_requirements
from sealroom.core.measurement.wheel import unpack_wheel
from sealroom.core.wire.service_arguments import Interface

START_SECONDS = 120
_STOP_SECONDS = 10
_LOOK_SECONDS = 0.05
_MOST_WORDS = 4000


class TrialError(SealroomError):
    """The application, or something that it needs, could not be started; the message says what it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """How a trial went. `exit_code` is that of the tests, `None` where the project has none."""

    interface: Interface
    exit_code: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalService:
    """An application that is served on this machine: where, and how it is called."""

    url: str
    interface: Interface


def find_interface(project: Project, store: WheelStore) -> Interface:
    """Return how the application is called: as its configuration says, or by importing it.

    Raises `TrialError` where it cannot be imported.
    """
    if project.config.interface is not None:
        return project.config.interface
    with tempfile.TemporaryDirectory() as name, _started(project, store, Path(name), serve=False) as service:
        return service.interface


def try_service(project: Project, store: WheelStore, *, output: IO[str]) -> Trial:
    """Serve the application on this machine, ask for its health, and run its tests against it.

    What the tests print goes to `output`. Raises `TrialError` where the application does not come up, or is
    not well.
    """
    with (
        tempfile.TemporaryDirectory() as name,
        _started(project, store, Path(name), serve=True) as service,
    ):
        _check_health(project, service)
        command = project.config.tests_command
        if command is None:
            return Trial(interface=service.interface, exit_code=None)
        exit_code = _run_tests(project, service, shlex.split(command), Path(name), output)
        return Trial(interface=service.interface, exit_code=exit_code)


@contextmanager
def _started(project: Project, store: WheelStore, folder: Path, *, serve: bool) -> Iterator[LocalService]:
    packages = _unpack(_requirements(project), store, folder / "packages")
    report, log = folder / "report.json", folder / "log"
    words = [local_server.__file__, project.config.application, str(report), "serve" if serve else "look"]
    environment = _environment(project, folder, [project.source, packages])
    with log.open("wb") as sink:
        process = subprocess.Popen(  # noqa: S603 - this interpreter and a file of ours
            [sys.executable, "-s", "-B", "-P", *words],
            cwd=project.source,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
        try:
            yield _wait(process, report, log)
        finally:
            _stop(process)


def _requirements(project: Project) -> tuple[Requirement, ...]:
    return parse_requirements(project.requirements() or b"")


def _unpack(requirements: Sequence[Requirement], store: WheelStore, folder: Path) -> Path:
    """Write the files of the wheels, as an enclave gets them; they are in the store by now."""

    def write(path: str, contents: Iterator[bytes]) -> None:
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("xb") as file:
            for piece in contents:
                file.write(piece)

    folder.mkdir()
    for requirement in requirements:
        with store.open(requirement.sha256) as wheel:
            unpack_wheel(wheel, write)
    return folder


def _environment(project: Project, folder: Path, paths: Sequence[Path]) -> dict[str, str]:
    chosen = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    chosen["PYTHONPATH"] = os.pathsep.join(str(path) for path in paths)
    for variable, name, value in (
        ("SECRETS_PATH", SECRETS, project.secrets()),
        ("SEALED_SECRETS_PATH", SECRETS_TO_SEAL, project.secrets_to_seal()),
    ):
        copy = folder / name
        copy.write_text(json.dumps(value))
        copy.chmod(0o600)
        chosen[variable] = str(copy)
    return chosen


def _wait(process: subprocess.Popen[bytes], report: Path, log: Path) -> LocalService:
    ends = time.monotonic() + START_SECONDS
    while not report.exists():
        if process.poll() is not None and not report.exists():
            raise TrialError(f"the application could not be started: {_words(log)}")
        if time.monotonic() > ends:
            raise TrialError(f"the application was not imported within {START_SECONDS} s")
        time.sleep(_LOOK_SECONDS)
    said = json.loads(report.read_text())
    return LocalService(url=f"http://127.0.0.1:{said['port']}", interface=Interface(said["interface"]))


def _check_health(project: Project, service: LocalService) -> None:
    import httpx

    if not project.config.health:
        return
    try:
        # What the machine has for a proxy is not for this address.
        answer = httpx.get(f"{service.url}{project.config.health}", timeout=START_SECONDS, trust_env=False)
    except httpx.HTTPError as exc:
        raise TrialError(f"{project.config.health}: no answer: {exc}") from exc
    if answer.status_code != httpx.codes.OK:
        raise TrialError(
            f"{project.config.health}: the application answers {answer.status_code}, expected 200"
        )


def _run_tests(
    project: Project, service: LocalService, command: Sequence[str], folder: Path, output: IO[str]
) -> int:
    installed = _install(project.config.tests_requirements, folder / "for-tests")
    programs = [str(installed / "bin"), str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
    environment = {
        **os.environ,
        "PATH": os.pathsep.join(programs),
        "PYTHONPATH": str(installed),
        "PYTHONDONTWRITEBYTECODE": "1",
        "TEST_REMOTE_URL": service.url,
    }
    for variable, name in (
        ("TEST_SECRET_JSON", SECRETS),
        ("TEST_SEALED_SECRET_JSON", SECRETS_TO_SEAL),
    ):
        if (project.folder / name).exists():
            environment[variable] = str((project.folder / name).absolute())
    try:
        # S603: the command line is the project's own, and runs as its provider would run it.
        done = subprocess.run(  # noqa: S603
            command, cwd=project.tests, env=environment, stdout=output, stderr=output, check=False
        )
    except OSError as exc:
        raise TrialError(f"tests_cmd: {command[0]} cannot be run: {exc.strerror}") from exc
    return done.returncode


def _install(requirements: Sequence[str], folder: Path) -> Path:
    folder.mkdir()
    if requirements:
        command = [
            sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input",
            "--target", str(folder), "--", *requirements,
        ]  # fmt: skip
        done = subprocess.run(  # noqa: S603 - pip, and what the project itself names
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise TrialError(f"tests_requirements: pip: {' '.join(done.stderr.split())[-_MOST_WORDS:]}")
    return folder


def _words(log: Path) -> str:
    said = log.read_bytes()[-_MOST_WORDS:].decode("utf-8", "replace")
    return " ".join(said.split()) or "it said nothing"


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
