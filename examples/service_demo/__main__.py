"""`make demo-service`: a web application whose model is secret, in an enclave, called over verified HTTPS.

    python -m examples.service_demo

A code provider packs it, an operator runs it, a caller calls it; then three attempts to cheat. Ends with 0
only when every step did what it says. Everything stays in one folder; nothing is left running.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from examples.ready_wheels import ready
from examples.service_demo.imposter import imposter
from examples.service_demo.telling import Telling
from sealroom.adapters.package_index import PackageIndexError
from sealroom.client import connect, load_policy
from sealroom.client.home import Home
from sealroom.core.errors import SealroomError

FOLDER = Path("demo-service-run")
PROJECT = Path(__file__).parents[1] / "service-scoring"
ACCEPT = "--insecure-accept-simulated"
CHOICES = f"--package scoring.package --policy up-to-date {ACCEPT}"
APPLICANT = {"age": 40, "income": 3.0, "late_payments": 1}


class DemoError(Exception):
    """A step did not do what the demonstration says that it does."""


class Stage:
    """A folder where three people type; each has a home of their own."""

    def __init__(self, folder: Path, telling: Telling) -> None:
        self.folder = folder
        self.telling = telling

    def home(self, who: str) -> Home:
        """Return the home of one of the people."""
        return Home.open(self.folder / "homes" / who)

    def type(self, who: str, words: str, *, code: int = 0, shown: bool = True) -> dict[str, object]:
        """Let `who` type a `sealroom service` command, and return what it answers as JSON."""
        if shown:
            self.telling.command(who, f"sealroom service {words}")
        command = [sys.executable, "-m", "sealroom.cli.main", "service", *words.split(), "--json"]
        environment = {
            **os.environ,
            "SEALROOM_HOME": str(self.home(who).root),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode != code:
            raise DemoError(
                f"sealroom service {words}: exit code {done.returncode}: {done.stdout}{done.stderr}"
            )
        answer: dict[str, object] = json.loads(done.stdout)
        return answer


def main() -> int:
    """Play everything; returns the exit code."""
    telling = Telling()
    folder = FOLDER.absolute()
    try:
        _empty(folder)
        stage = Stage(folder, telling)
        try:
            _play(stage)
        finally:
            if (folder / "operator").exists():
                stage.type("operator", "stop scoring --remove", shown=False)
    except (DemoError, SealroomError) as failure:
        telling.failed(str(failure))
        return 1
    telling.done(folder)
    return 0


def _empty(folder: Path) -> None:
    """Make the folder anew; one that this program did not make is left alone."""
    mark = folder / "made-by-sealroom-demo"
    if folder.exists():
        if not mark.exists():
            raise DemoError(f"{folder} is not a folder of this demonstration: move it away")
        shutil.rmtree(folder)
    folder.mkdir()
    mark.touch()


def _play(stage: Stage) -> None:
    port = _free_port()
    _pack(stage)
    _spawn(stage, port)
    _seal_and_run(stage)
    _call(stage, port)
    _attacks(stage)


def _pack(stage: Stage) -> None:
    stage.telling.chapter("The code provider packs an application whose model is secret")
    try:
        program = ready(PROJECT, stage.folder / "scoring")
    except PackageIndexError as failure:
        raise DemoError(f"the packages of the example are needed once: {failure}") from failure
    for who in ("code-provider", "operator", "caller"):
        program.give_wheels_to(stage.home(who))
    stage.type("code-provider", "test scoring")
    packed = stage.type("code-provider", "package scoring")
    files = packed["files"]
    assert isinstance(files, list)
    stage.telling.says("code-provider", f"{len(files)} files; src/app.py and src/weights.json are encrypted")


def _spawn(stage: Stage, port: int) -> None:
    stage.telling.chapter("The operator, who is not trusted, starts an enclave with it")
    service = stage.type("code-provider", "package scoring --to scoring.package", shown=False)["service"]
    stage.type("operator", f"spawn scoring.package --service {service} --port {port}")
    stage.type("operator", "evidence scoring --to evidence.json")
    stage.telling.says("operator", "cannot read the weights: they are nowhere in its folder")
    _check_unseen(stage, b"late_payments")


def _seal_and_run(stage: Stage) -> None:
    stage.telling.chapter("The code provider verifies the enclave, and seals its key to it alone")
    command = f"seal evidence.json {CHOICES} --project scoring --to sealed.json"
    stage.telling.verdict(stage.type("code-provider", command))
    stage.type("operator", f"run scoring sealed.json {CHOICES}")
    stage.telling.says("enclave", "opened the code in its memory, wiped the key, and serves the application")
    _check_unseen(stage, b"late_payments")


def _call(stage: Stage, port: int) -> None:
    stage.telling.chapter("A caller verifies, then sends a person's data")
    url = f"https://localhost:{port}"
    stage.telling.command("caller", f"with connect({url!r}, policy=…, evidence=…, package=…) as service:")
    with connect(
        url,
        policy=load_policy("up-to-date"),
        evidence=(stage.folder / "evidence.json").read_bytes(),
        package=stage.folder / "scoring.package",
        home=stage.home("caller"),
        insecure_accept_simulated=True,
    ) as service:
        score = service.post("/score", json=APPLICANT).json()["score"]
    stage.telling.says(
        "caller", f"{APPLICANT}: score {score}, over a connection proven to end in the enclave"
    )
    stage.type("caller", f"verify evidence.json {CHOICES} --host localhost --save service.pem")
    curl = ["curl", "--silent", "--cacert", str(stage.folder / "service.pem"), f"{url}/health"]
    stage.telling.command("caller", f"curl --cacert service.pem {url}/health")
    said = subprocess.run(curl, capture_output=True, text=True, check=False).stdout
    if json.loads(said or "{}") != {"healthy": True}:
        raise DemoError(f"curl: got {said!r}")
    stage.telling.says("caller", "curl pins the certificate; it cannot ask where its connection ends")


def _attacks(stage: Stage) -> None:
    stage.telling.chapter("Three attempts to cheat")
    source = stage.folder / "scoring" / "src" / "app.py"
    source.write_text(source.read_text() + "\n# one line that nobody agreed to\n")
    stage.type("code-provider", "package scoring --to other.package", shown=False)
    other = CHOICES.replace("scoring.package", "other.package")
    refused = stage.type("caller", f"verify evidence.json {other}", code=1)
    stage.telling.refused("the enclave runs another version than the caller's package", _failed(refused))
    with imposter() as port:
        _expect_refusal(stage, port)
    stage.type("operator", "restart scoring")
    refused = stage.type("operator", f"run scoring sealed.json {CHOICES}", code=1)
    stage.telling.refused("the operator gives the old box to another start of the enclave", _message(refused))


def _expect_refusal(stage: Stage, port: int) -> None:
    with connect(
        f"https://localhost:{port}",
        policy=load_policy("up-to-date"),
        evidence=(stage.folder / "evidence.json").read_bytes(),
        package=stage.folder / "scoring.package",
        home=stage.home("caller"),
        insecure_accept_simulated=True,
    ) as service:
        try:
            service.post("/score", json=APPLICANT)
        except SealroomError as refusal:
            stage.telling.refused("somebody else answers at the service's address", str(refusal))
            return
    raise DemoError("an imposter was believed")


def _failed(document: dict[str, object]) -> str:
    groups = document["checks"]
    assert isinstance(groups, list)
    failures = [c for group in groups for c in group["checks"] if c["outcome"] == "failed"]
    # What was observed begins with the member that it is about.
    return str(failures[0]["observed"])


def _message(document: dict[str, object]) -> str:
    error = document["error"]
    assert isinstance(error, dict)
    return str(error["message"])


def _check_unseen(stage: Stage, secret: bytes) -> None:
    for file in (stage.folder / "operator").rglob("*"):
        if file.is_file() and not file.is_symlink() and secret in file.read_bytes():
            raise DemoError(f"{file} has what nobody may see")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
