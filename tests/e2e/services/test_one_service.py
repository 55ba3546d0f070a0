"""One service from spawn to stop: an encrypted application, its secrets, its certificate, its callers."""

import json

import pytest
from service_world import Project, hosted

from sealroom.server.hosting.folder import HostedState

pytestmark = pytest.mark.e2e

APP = """
import json, os, sys
from pathlib import Path
from parts.words import GREETING

WEIGHTS = Path(__file__).with_name("weights.bin").read_bytes()
print("printed by the application")


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    said = {
        "path": scope["path"],
        "scheme": scope["scheme"],
        "greeting": GREETING,
        "weights": WEIGHTS.hex(),
        "secrets": json.loads(Path(os.environ["SECRETS_PATH"]).read_text()),
        "sealed": json.loads(Path(os.environ["SEALED_SECRETS_PATH"]).read_text()),
    }
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(said).encode()})
"""
HELLO = Project(
    name="hello",
    sources={
        "app.py": APP,
        "parts/words.py": "GREETING = 'kanarie-of-the-code'\n",
        "weights.bin": bytes(range(8)),
    },
)


def test_a_service_goes_from_spawned_to_stopped(tmp_path):
    with hosted(tmp_path, HELLO) as service:
        service.wait_for(HostedState.WAITING)
        status, headers, body = service.request("GET", "/")
        assert (status, headers["Mse-Status"], body) == (200, "0", b"")
        service.provision(
            service.body(
                secrets={"for": "the operator"},
                sealed=service.box(secrets={"database": "kanarie-sealed"}),
            )
        )
        status, _, body = service.request("GET", "/anything?x=1")
        assert status == 200
        assert json.loads(body) == {
            "path": "/anything",
            "scheme": "https",
            "greeting": "kanarie-of-the-code",
            "weights": "0001020304050607",
            "secrets": {"for": "the operator"},
            "sealed": {"database": "kanarie-sealed"},
        }
        folder = service.seen.folder
        files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
        assert files
        assert [path for path in files if b"kanarie" in path.read_bytes()] == []
        assert "printed by the application" in service.console()
        service.hosting.stop("hello")
        service.wait_for(HostedState.STOPPED)
        metrics = json.loads(service.seen.spool.read("metrics", max_bytes=4096))
        assert metrics["requests"]["2xx"] == 1
        assert metrics["bytes"]["2xx"] == len(body)
