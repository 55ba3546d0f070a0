"""Passing on what a code provider sealed: to the very enclave that was verified, over a proven connection.

Whoever does it learns nothing by it. Must never send to a connection that was not proven.
Spec: docs/spec/services.md, "Bootstrap".
"""

import httpx

from sealroom.client.service.calling.connecting import open_client
from sealroom.client.service.calling.judging import Trust
from sealroom.core.errors import MalformedError, SealroomError, TransportError
from sealroom.core.evidence.policy import Policy
from sealroom.core.wire.bootstrap import BootstrapDocument
from sealroom.core.wire.verified_service import SimulatedService, VerifiedService


class NotTakenError(SealroomError):
    """The enclave did not take what was sealed."""


def deliver(
    document: bytes,
    *,
    to: VerifiedService | SimulatedService,
    url: str,
    policy: Policy,
    documents: bytes | None,
    insecure_accept_simulated: bool,
) -> None:
    """Send a sealed `document` to the service that waits at `url`.

    `documents` are those that the evidence was judged by. Raises `NotTakenError` where the enclave refuses,
    `MalformedError` for a document that is not one, and as every connection does.
    """
    if BootstrapDocument.from_bytes(document).service != to.arguments.service:
        raise MalformedError(f"sealed document: not for the service {to.arguments.service}")
    trust = Trust(
        policy=policy,
        documents=lambda _: documents,
        service=to,
        bootstrap=True,
        insecure_accept_simulated=insecure_accept_simulated,
    )
    try:
        with open_client(url, trust) as client:
            answer = client.post("/", content=document)
    except httpx.HTTPError as exc:
        raise TransportError(f"{url}: {exc}") from exc
    match answer.status_code:
        case httpx.codes.OK:
            return
        case httpx.codes.UNAUTHORIZED:
            raise NotTakenError(
                "the enclave does not open it: sealed to another enclave, or with another key"
            )
        case httpx.codes.CONFLICT:
            raise NotTakenError("the enclave has its key already")
        case _:
            raise NotTakenError(f"the enclave answers {answer.status_code}")
