"""What the hostile operator of the demonstration does to a computation, one class an attack."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Protocol

from nacl.signing import SigningKey

from sealroom.core.wire.delivery import Delivery, Statement, delivery_signature_message
from sealroom.core.wire.participants import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One request on a computation, as the operator sees it; `what` is the path below the computation."""

    method: str
    what: str
    by_victim: bool
    body: bytes


class Server(Protocol):
    """The honest server behind the operator, spoken to with the victim's token."""

    async def call(self, method: str, what: str, body: object = None) -> dict[str, object]:
        """Send JSON, or bytes as they are, to a path below the computation."""


class Attack(Protocol):
    """Changes what passes, or acts when something passes."""

    async def before(self, seen: Seen, server: Server) -> bytes:
        """Return the body that the server gets."""

    async def after(self, seen: Seen, answer: bytes, server: Server) -> bytes:
        """Return the answer that the participant gets."""


@dataclass(slots=True)
class DropFile:
    """The victim's files are deleted, its list arrives empty, and it is told that all is well."""

    uploads: list[str] = field(default_factory=list)

    async def before(self, seen: Seen, server: Server) -> bytes:
        """Empty the victim's list."""
        if not (seen.by_victim and seen.what == "data/done"):
            return seen.body
        for upload in dict.fromkeys(self.uploads):
            await server.call("DELETE", f"data/{upload}")
        tell("dropped the victim's files")
        return json.dumps({"files": []}).encode()

    async def after(self, seen: Seen, answer: bytes, server: Server) -> bytes:
        """Remember what was uploaded, and pretend that the list is whole."""
        if seen.by_victim and seen.what == "data" and seen.method == "POST":
            self.uploads.append(json.loads(answer)["upload"])
        if seen.by_victim and seen.what == "data/done":
            return json.dumps({**json.loads(answer), **json.loads(seen.body)}).encode()
        return answer


@dataclass(slots=True)
class CopyDelivery:
    """The operator plays the victim with a key of its own, and signs another participant's sealed box."""

    own_key: SigningKey = field(default_factory=SigningKey.generate)

    async def before(self, seen: Seen, server: Server) -> bytes:
        """Pass everything on."""
        return seen.body

    async def after(self, seen: Seen, answer: bytes, server: Server) -> bytes:
        """Take the victim's place when the code is there, and sign the first box of a Data Provider again."""
        if seen.method == "POST" and seen.what == "code":
            key = bytes(self.own_key.verify_key).hex()
            await server.call("POST", "keys", {"role": Role.DATA_PROVIDER.value, "public_key": key})
            await server.call("POST", "data/done", {"files": []})
        elif seen.method == "POST" and seen.what == "deliveries":
            copied = Delivery.from_bytes(seen.body)
            if copied.statement.role is Role.DATA_PROVIDER:
                tell("signed a copied box again, as the victim")
                await server.call("POST", "deliveries", self._signed_again(copied))
        return answer

    def _signed_again(self, copied: Delivery) -> bytes:
        of = copied.statement
        statement = Statement(
            agreement=of.agreement,
            mrenclave=of.mrenclave,
            identity_pk=of.identity_pk,
            box_pk=of.box_pk,
            role=of.role,
            sender_pk=bytes(self.own_key.verify_key),
            commitment=of.commitment,
        )
        message = delivery_signature_message(statement, hashlib.sha256(copied.box).digest())
        signature = self.own_key.sign(message).signature
        return Delivery(statement=statement, box=copied.box, signature=signature).to_bytes()


ATTACKS: dict[str, type[DropFile] | type[CopyDelivery]] = {
    "drop-file": DropFile,
    "copy-delivery": CopyDelivery,
}


def tell(what: str) -> None:
    """Tell the demonstration, which shows what its hostile operator does."""
    print(json.dumps({"event": "attack", "what": what}), flush=True)
