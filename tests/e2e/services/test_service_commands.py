"""An operator's commands, from spawn to removal."""

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from service_world import Hosted, Project, free_port

from installed_wheels import requirement_of, wheel_of
from sealroom.cli.main import run as run_words
from sealroom.client.home import Home
from sealroom.client.wheel_store import WheelStore
from sealroom.core.wire.service_evidence import ServiceEvidence
from sealroom.server.hosting.folder import HostedState, Hosting

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

APP = """
import sys
print("seen by the operator")


async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})
"""
Run = Callable[..., dict[str, Any]]
HELLO = Project(name="hello", sources={"app.py": APP}, health="/health")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    store = WheelStore(Home.open(tmp_path / "home"))
    for name in HELLO.requirement_names:
        store.add(requirement_of(name), lambda sink, name=name: sink.write(wheel_of(name)))
    HELLO.package(tmp_path / "hello.package")
    yield tmp_path
    for service in Hosting(tmp_path / "operator").list():
        Hosting(tmp_path / "operator").remove(service.name)


@pytest.fixture
def run(folder: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*words: str, code: int = 0) -> dict[str, Any]:
        own = ("--data", str(folder / "operator"), "--home", str(folder / "home"), "--json")
        found = run_words(["service", *words, *own])
        shown = capsys.readouterr().out
        assert found == code, shown
        return json.loads(shown)

    return call


def test_an_operator_spawns_shows_restarts_stops_and_removes(folder: Path, run: Run) -> None:
    package, port = str(folder / "hello.package"), str(free_port())
    spawn = ("spawn", package, "--service", str(HELLO.service), "--port", port, "--interface", "asgi")
    spawned = run(*spawn, "--logs", "operator")
    assert (spawned["state"], spawned["start"], spawned["tee"]) == ("Waiting", 1, "simulated")
    assert run(*spawn, code=64)["error"]["code"] == "service_exists"

    run("evidence", "hello", "--to", str(folder / "evidence.json"))
    first = ServiceEvidence.from_bytes((folder / "evidence.json").read_bytes())
    service = Hosted(Hosting(folder / "operator"), HELLO)
    service.provision()
    assert service.request("GET", "/")[2] == b"hello"
    status = run("status", "hello")
    assert (status["state"], status["health"]) == ("Running", 200)
    assert {row["name"]: row["on"] for row in status["protections"]}["no-network"] is False
    assert "seen by the operator" in run("logs", "hello")["lines"]

    restarted = run("restart", "hello")
    assert (restarted["state"], restarted["start"]) == ("Waiting", 2)
    run("evidence", "hello", "--to", str(folder / "evidence.json"))
    second = ServiceEvidence.from_bytes((folder / "evidence.json").read_bytes())
    assert (first.manifest, first.arguments) == (second.manifest, second.arguments)
    assert first.certificate != second.certificate
    assert [row["state"] for row in run("list")["services"]] == ["Waiting"]

    assert run("stop", "hello")["state"] == HostedState.STOPPED.value
    assert run("stop", "hello", "--remove")["removed"]
    assert run("status", "hello", code=64)["error"]["code"] == "no_service"
    assert run("list")["services"] == []


def test_an_operator_whose_port_is_taken_is_told_and_restarts_when_it_is_free(folder: Path, run: Run) -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = str(taken.getsockname()[1])
        package = str(folder / "hello.package")
        words = ("spawn", package, "--service", str(HELLO.service), "--port", port, "--interface", "asgi")
        error = run(*words, code=1)["error"]
        assert (error["code"], f"port {port} is taken" in error["message"]) == ("port_taken", True)
    assert run("restart", "hello")["state"] == "Waiting"


def test_an_application_that_fails_is_told_by_its_place(folder: Path, run: Run) -> None:
    broken = Project(name="broken", sources={"app.py": "import sys\n\nraise LookupError('kept to itself')\n"})
    broken.package(folder / "broken.package")
    spawn = ("spawn", str(folder / "broken.package"), "--service", str(broken.service))
    run(*spawn, "--port", str(free_port()), "--interface", "asgi")
    service = Hosted(Hosting(folder / "operator"), broken)
    status, _, _ = service.request("POST", "/", body=service.body(sealed=service.box()))
    assert status == 200
    while (seen := service.seen).state not in (HostedState.FAILED, HostedState.STOPPED):
        pass
    assert seen.state is HostedState.FAILED
    found = run("status", "broken")
    assert found["failure"] == {"type": "LookupError", "file": "app.py", "line": 3}
    assert "kept to itself" not in json.dumps(run("logs", "broken"))
