"""A hostile operator for the demonstration: a proxy in front of an honest server.

It stands where the operator stands, ends the participants' TLS (its certificate is the one that the
invitation names) and passes every request on, except where the attack on a computation says otherwise. It
sees access tokens pass by, and uses the victim's. The first computation created through it suffers the first
attack of its settings, the second one the second.

Run as `python -m examples.demo.hostile_operator SETTINGS.json`; prints one JSON line when it listens.
"""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from examples.demo.attacks import ATTACKS, Attack, Seen
from sealroom.client.tls import server_context
from sealroom.server.tls import load_or_make_certificate

METHODS = ["GET", "POST", "PUT", "DELETE"]
PASSED_ON = ("authorization", "content-type", "idempotency-key", "sealroom-code-signature", "range")
PASSED_BACK = ("content-type", "content-range")
COMPUTATIONS = "/v1/computations"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the demonstration tells its hostile operator."""

    attacks: list[str]
    victim: str
    upstream: str
    upstream_certificate: str
    folder: str

    @classmethod
    def from_json(cls, path: Path) -> Settings:
        """Read the settings' file."""
        return cls(**json.loads(path.read_text()))


@dataclass(frozen=True, slots=True, kw_only=True)
class VictimsServer:
    """The honest server, spoken to about one computation with the victim's token."""

    client: httpx.AsyncClient
    computation: str
    token: str

    async def call(self, method: str, what: str, body: object = None) -> dict[str, object]:
        """Send one request as the victim; tells what the server objects to."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        headers = {
            "authorization": f"Bearer {self.token}",
            "idempotency-key": str(uuid.uuid4()),
            "content-type": kind,
        }
        path = f"{COMPUTATIONS}/{self.computation}/{what}"
        answer = await self.client.request(method, path, content=raw, headers=headers)
        if answer.is_error:
            print(json.dumps({"event": "answer", "what": answer.text}), flush=True)
        found: dict[str, object] = answer.json() if answer.content else {}
        return found


@dataclass(slots=True, kw_only=True)
class HostileOperator:
    """Passes requests on, and lets each computation's attack have its way."""

    settings: Settings
    client: httpx.AsyncClient
    token: str = ""
    attacks: dict[str, Attack] = field(default_factory=dict)

    async def handle(self, request: Request) -> Response:
        """Answer one request of a participant."""
        body = await request.body()
        computation, _, what = request.url.path.removeprefix(f"{COMPUTATIONS}/").partition("/")
        attack = self.attacks.get(computation)
        if attack is None:
            answer = await self._pass_on(request, body)
            self._learn(request, body, answer)
            content = answer.content
        else:
            by_victim = request.headers.get("authorization") == f"Bearer {self.token}"
            seen = Seen(method=request.method, what=what, by_victim=by_victim, body=body)
            server = VictimsServer(client=self.client, computation=computation, token=self.token)
            answer = await self._pass_on(request, await attack.before(seen, server))
            content = await attack.after(seen, answer.content, server)
        kept = {name: answer.headers[name] for name in PASSED_BACK if name in answer.headers}
        return Response(content, status_code=answer.status_code, headers=kept)

    async def _pass_on(self, request: Request, body: bytes) -> httpx.Response:
        headers = {name: request.headers[name] for name in PASSED_ON if name in request.headers}
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return await self.client.request(request.method, target, content=body, headers=headers)

    def _learn(self, request: Request, body: bytes, answer: httpx.Response) -> None:
        """Keep the victim's token, and choose the attack on a new computation."""
        if answer.status_code != httpx.codes.CREATED:
            return
        if request.url.path == "/v1/accounts" and answer.json()["email"] == self.settings.victim:
            self.token = answer.json()["token"]
        if request.url.path == COMPUTATIONS:
            chosen = self.settings.attacks[len(self.attacks)]
            self.attacks[json.loads(body)["computation"]] = ATTACKS[chosen]()


async def run(settings: Settings) -> None:
    """Serve until the process is told to stop."""
    own = load_or_make_certificate(Path(settings.folder), host="127.0.0.1")
    context = server_context(
        httpx.URL(settings.upstream),
        certificate_sha256=bytes.fromhex(settings.upstream_certificate),
        timeout_seconds=10,
    )
    async with httpx.AsyncClient(base_url=settings.upstream, verify=context, timeout=60) as client:
        operator = HostileOperator(settings=settings, client=client)
        application = Starlette(routes=[Route("/{path:path}", operator.handle, methods=METHODS)])
        config = uvicorn.Config(
            application,
            host="127.0.0.1",
            port=0,
            log_level="warning",
            ssl_certfile=own.certificate,
            ssl_keyfile=own.key,
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        while not server.started and not serving.done():
            await asyncio.sleep(0.02)
        port = server.servers[0].sockets[0].getsockname()[1]
        print(json.dumps({"url": f"https://127.0.0.1:{port}", "certificate_sha256": own.sha256}), flush=True)
        await serving


if __name__ == "__main__":
    asyncio.run(run(Settings.from_json(Path(sys.argv[1]))))
