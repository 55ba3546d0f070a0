"""Asking Microsoft Azure Attestation: a token for a quote, and the keys that tokens are signed with.

Believes nothing of what comes back but that it is the instance's, by TLS: `core.evidence.maa` verifies
tokens. Must never fetch keys from where a token points. Spec: docs/spec/maa.md, "Asking".
"""

from __future__ import annotations

import json
import ssl
import time
from dataclasses import dataclass, field
from typing import Any

import httpx

from sealroom.core.attestation.maa_keys import MAX_KEY_SET_BYTES
from sealroom.core.attestation.web_token import MAX_TOKEN_BYTES, encode_base64url
from sealroom.core.errors import MalformedError, TransportError
from sealroom.core.wire import strict_json
from sealroom.core.wire.foreign_text import visible

API_VERSION = "2022-08-01"
_MAX_ANSWER_BYTES = 2 * MAX_TOKEN_BYTES
_MAX_ERROR_BYTES = 4096
_RETRIED_STATUSES = frozenset({429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True, kw_only=True)
class MaaInstance:
    """An instance of the service, `https://<name>.<region>.attest.azure.net`, and how patient to be with it.

    `tls` verifies the instance's certificate and name, by the system's trust unless the caller has its own.
    """

    url: str
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context)
    timeout_seconds: float = 20.0
    attempts: int = 3
    first_pause_seconds: float = 0.5

    def __post_init__(self) -> None:
        if not self.url.startswith("https://") or self.url.endswith("/"):
            raise ValueError("maa instance: expected https://..., without a slash at the end")
        if self.tls.verify_mode is not ssl.CERT_REQUIRED or not self.tls.check_hostname:
            raise ValueError("maa instance: its TLS certificate must be verified")


def attest_sgx_quote(instance: MaaInstance, quote: bytes, *, held_data: bytes | None) -> bytes:
    """Return the token, unverified, that `instance` gives for `quote`.

    `held_data` is what the first half of the quote's report data is the SHA-256 of, where the token shall
    name it. Raises `TransportError`, or `MalformedError` for an answer that is none.
    """
    body: dict[str, Any] = {"quote": encode_base64url(quote).decode("ascii")}
    if held_data is not None:
        body["runtimeData"] = {"data": encode_base64url(held_data).decode("ascii"), "dataType": "Binary"}
    answer = _ask(
        instance,
        "POST",
        f"/attest/SgxEnclave?api-version={API_VERSION}",
        content=json.dumps(body).encode("ascii"),
        max_bytes=_MAX_ANSWER_BYTES,
    )
    document = strict_json.decode_json(answer, field="maa answer", max_bytes=_MAX_ANSWER_BYTES)
    if not isinstance(document, dict) or "token" not in document:
        raise MalformedError("maa answer: no token")
    return strict_json.text(document["token"], field="token", max_chars=MAX_TOKEN_BYTES).encode("utf-8")


def fetch_key_set(instance: MaaInstance) -> bytes:
    """Return the key set of `instance`, for `parse_key_set`."""
    return _ask(instance, "GET", "/certs", content=None, max_bytes=MAX_KEY_SET_BYTES)


def _ask(instance: MaaInstance, method: str, path: str, *, content: bytes | None, max_bytes: int) -> bytes:
    headers = {"Accept": "application/json"}
    if content is not None:
        headers["Content-Type"] = "application/json"
    with httpx.Client(
        verify=instance.tls, timeout=instance.timeout_seconds, follow_redirects=False, headers=headers
    ) as client:
        pause = instance.first_pause_seconds
        for attempt in range(1, instance.attempts + 1):
            try:
                return _ask_once(client, method, instance.url + path, content=content, max_bytes=max_bytes)
            except _PassingError as passing:
                if attempt == instance.attempts:
                    raise TransportError(str(passing), code=passing.code) from passing.__cause__
            time.sleep(pause)
            pause *= 2
    raise ValueError("maa instance: expected at least one attempt")


class _PassingError(Exception):
    """A failure that another attempt may not meet again."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


def _ask_once(client: httpx.Client, method: str, url: str, *, content: bytes | None, max_bytes: int) -> bytes:
    try:
        with client.stream(method, url, content=content) as response:
            status = response.status_code
            body = _read(response, max_bytes if status == httpx.codes.OK else _MAX_ERROR_BYTES)
    except httpx.HTTPError as exc:
        raise _PassingError(f"maa: {visible(str(exc)) or type(exc).__name__}", code="unreachable") from exc
    if status != httpx.codes.OK:
        message = f"maa: status {status}: {visible(body.decode('utf-8', 'replace'))}"
        if status in _RETRIED_STATUSES:
            raise _PassingError(message, code="maa_refused")
        raise TransportError(message, code="maa_refused")
    return body


def _read(response: httpx.Response, max_bytes: int) -> bytes:
    body = bytearray()
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > max_bytes:
            # Of a refusal the beginning is enough; an answer that is too large is none.
            if response.status_code != httpx.codes.OK:
                return bytes(body[:max_bytes])
            raise MalformedError(f"maa answer: more than {max_bytes} bytes")
    return bytes(body)
