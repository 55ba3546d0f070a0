"""A hostile operator for the demonstration: a proxy in front of an honest server.

It stands where the operator stands, ends the participants' TLS (its certificate is the one that the
invitation names) and passes every request on, except where its attack says otherwise:

- `drop-file`: the victim's list of files arrives empty at the server; the victim is told that all is well.
- `copy-delivery`: it plays one Data Provider itself, under a key of its own. When another participant's key
  delivery passes by, it copies the sealed box into a delivery of its own and signs that.

Run as `python -m examples.demo.hostile_operator SETTINGS.json`; prints one JSON line when it listens.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import uvicorn
from nacl.signing import SigningKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sealroom.client.tls import server_context
from sealroom.core.wire.delivery import Delivery, Statement, delivery_signature_message
from sealroom.core.wire.participants import Role
from sealroom.server.tls import load_or_make_certificate

METHODS = ["GET", "POST", "PUT", "DELETE"]
PASSED_ON = ("authorization", "content-type", "idempotency-key", "sealroom-code-signature", "range")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the demonstration tells its hostile operator."""

    attack: str
    victim: str
    upstream: str
    upstream_certificate: str
    folder: str

    @classmethod
    def from_json(cls, path: Path) -> Settings:
        """Read the settings' file."""
        return cls(**json.loads(path.read_text()))


@dataclass(slots=True, kw_only=True)
class HostileOperator:
    """Passes requests on, and attacks where its settings say so."""

    settings: Settings
    client: httpx.AsyncClient
    tokens: dict[str, str] = field(default_factory=dict)
    uploads: list[str] = field(default_factory=list)
    own_key: SigningKey = field(default_factory=SigningKey.generate)

    async def handle(self, request: Request) -> Response:
        """Answer one request of a participant."""
        body = await request.body()
        forwarded = await self._changed(request, body)
        answer = await self._pass_on(request, forwarded)
        if self._is_victims(request) and request.url.path.endswith("/data") and request.method == "POST":
            self.uploads.append(f"{request.url.path}/{answer.json()['upload']}")
        if request.url.path == "/v1/accounts" and answer.status_code == httpx.codes.CREATED:
            self.tokens[answer.json()["email"]] = answer.json()["token"]
        if self.settings.attack == "copy-delivery":
            await self._play_the_victim(request, body)
        content = answer.content if forwarded is body else self._pretended(body, answer)
        kept = {
            name: value for name, value in answer.headers.items() if name in ("content-type", "content-range")
        }
        return Response(content, status_code=answer.status_code, headers=kept)

    async def _pass_on(self, request: Request, body: bytes) -> httpx.Response:
        headers = {name: request.headers[name] for name in PASSED_ON if name in request.headers}
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return await self.client.request(request.method, target, content=body, headers=headers)

    def _is_victims(self, request: Request) -> bool:
        token = self.tokens.get(self.settings.victim)
        return (
            self.settings.attack == "drop-file" and request.headers.get("authorization") == f"Bearer {token}"
        )

    async def _changed(self, request: Request, body: bytes) -> bytes:
        if self._is_victims(request) and request.url.path.endswith("/data/done"):
            for upload in self.uploads:
                headers = {"authorization": request.headers["authorization"]}
                await self.client.delete(upload, headers=headers)
            print(json.dumps({"event": "attack", "what": "dropped the victim's files"}), flush=True)
            return json.dumps({"files": []}).encode()
        return body

    def _pretended(self, body: bytes, answer: httpx.Response) -> bytes:
        """What the victim is told: the server's answer with the files it sent."""
        return json.dumps({**answer.json(), **json.loads(body)}).encode()

    async def _play_the_victim(self, request: Request, body: bytes) -> None:
        """Take the victim's place in a computation, with nothing but the operator's own key."""
        if request.method != "POST":
            return
        computation, _, what = request.url.path.removeprefix("/v1/computations/").partition("/")
        if what == "code":
            await self._take_part(computation)
        elif what == "deliveries":
            await self._sign_again(computation, Delivery.from_bytes(body))

    async def _take_part(self, computation: str) -> None:
        account = await self._post("/v1/accounts", {"email": self.settings.victim})
        self.tokens[self.settings.victim] = str(account["token"])
        key = {"role": Role.DATA_PROVIDER.value, "public_key": bytes(self.own_key.verify_key).hex()}
        await self._post(f"/v1/computations/{computation}/keys", key)
        await self._post(f"/v1/computations/{computation}/data/done", {"files": []})

    async def _sign_again(self, computation: str, seen: Delivery) -> None:
        if seen.statement.role is not Role.DATA_PROVIDER:
            return
        statement = Statement(
            agreement=seen.statement.agreement,
            mrenclave=seen.statement.mrenclave,
            identity_pk=seen.statement.identity_pk,
            box_pk=seen.statement.box_pk,
            role=Role.DATA_PROVIDER,
            sender_pk=bytes(self.own_key.verify_key),
            commitment=seen.statement.commitment,
        )
        message = delivery_signature_message(statement, hashlib.sha256(seen.box).digest())
        forged = Delivery(statement=statement, box=seen.box, signature=self.own_key.sign(message).signature)
        print(json.dumps({"event": "attack", "what": "signed a copied box again, as the victim"}), flush=True)
        await self._post(f"/v1/computations/{computation}/deliveries", forged.to_bytes())

    async def _post(
        self, path: str, body: dict[str, str] | dict[str, list[str]] | bytes
    ) -> dict[str, object]:
        headers = {"idempotency-key": str(uuid.uuid4())}
        if self.settings.victim in self.tokens:
            headers["authorization"] = f"Bearer {self.tokens[self.settings.victim]}"
        is_json = not isinstance(body, bytes)
        headers["content-type"] = "application/json" if is_json else "application/octet-stream"
        content = json.dumps(body).encode() if is_json else body
        answer = await self.client.post(path, content=content, headers=headers)
        if answer.is_error:
            print(json.dumps({"event": "answer", "to": path, "what": answer.text}), flush=True)
        found: dict[str, object] = answer.json()
        return found


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
        server = uvicorn.Server(
            uvicorn.Config(
                application,
                host="127.0.0.1",
                port=0,
                log_level="warning",
                ssl_certfile=own.certificate,
                ssl_keyfile=own.key,
            )
        )
        serving = asyncio.create_task(server.serve())
        while not server.started and not serving.done():
            await asyncio.sleep(0.02)
        port = server.servers[0].sockets[0].getsockname()[1]
        print(json.dumps({"url": f"https://127.0.0.1:{port}", "certificate_sha256": own.sha256}), flush=True)
        await serving


if __name__ == "__main__":
    asyncio.run(run(Settings.from_json(Path(sys.argv[1]))))
