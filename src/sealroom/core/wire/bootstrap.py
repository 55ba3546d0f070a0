"""What a waiting service is sent: the document of `POST /`, and the one inside the sealed box.

Both are JSON that other people's tools write as well, so white space and the order of members behind the
first are theirs; a member twice, an unknown one or another type is refused. Must never show a value: neither
a `repr` nor a message has one. Spec: docs/spec/services.md, "Bootstrap".
"""

import base64
import binascii
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn
from uuid import UUID

from sealroom.core.errors import MalformedError
from sealroom.core.wire.byte_fields import DIGEST_SIZE, check_at_most, parse_hex
from sealroom.core.wire.terms import parse_computation

MAX_BOOTSTRAP_BYTES = 1 << 20
CODE_KEY_DIGITS = 64
STATUS_HEADER = "Mse-Status"
STATUS_WAITING = "0"
SECRETS_VARIABLE = "SECRETS_PATH"
SEALED_SECRETS_VARIABLE = "SEALED_SECRETS_PATH"

_ID, _SECRETS, _SEALED = "uuid", "app_secrets", "app_sealed_secrets"
_CODE_KEY, _TLS_KEY, _OURS = "code_secret_key", "ssl_private_key", "sealroom"
_MEMBERS = frozenset((_ID, _SECRETS, _SEALED, _CODE_KEY, _TLS_KEY))
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*={0,2}")

# Whatever JSON has: it is the application's, and nothing here looks inside.
Secrets = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundTo:
    """The one enclave of one service that a sealed document was made for."""

    service: UUID
    mrenclave: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedDocument:
    """What a sealed box holds. `bound_to` is missing in boxes of the published client."""

    code_key: str | None = field(repr=False)
    tls_key: str | None = field(repr=False)
    bound_to: BoundTo | None
    secrets: Secrets = field(repr=False)

    def to_bytes(self) -> bytes:
        """Return the document to be sealed."""
        document: dict[str, object] = dict(self.secrets)
        if taken := {_CODE_KEY, _TLS_KEY, _OURS} & set(document):
            raise MalformedError(f"sealed secrets: {min(taken)} is not a name that an application may use")
        if self.bound_to is not None:
            document[_OURS] = {
                "service": str(self.bound_to.service),
                "mrenclave": self.bound_to.mrenclave.hex(),
            }
        return json.dumps(document | _present(self.code_key, self.tls_key), allow_nan=False).encode()

    @classmethod
    def from_bytes(cls, raw: bytes) -> "SealedDocument":
        """Read what a box held; raises `MalformedError`."""
        members = _object(raw, name="sealed secrets")
        code_key, tls_key = _code_key(members.pop(_CODE_KEY, None)), _tls_key(members.pop(_TLS_KEY, None))
        bound_to = _bound_to(members.pop(_OURS)) if _OURS in members else None
        if code_key is None and tls_key is None and not members:
            raise MalformedError("sealed secrets: expected at least one member")
        return cls(code_key=code_key, tls_key=tls_key, bound_to=bound_to, secrets=members)


@dataclass(frozen=True, slots=True, kw_only=True)
class BootstrapDocument:
    """The body of `POST /`. `sealed` is the box; the code key is here or in it, and the enclave looks."""

    service: UUID
    secrets: Secrets | None = field(repr=False)
    sealed: bytes | None = field(repr=False)
    code_key: str | None = field(repr=False)
    tls_key: str | None = field(repr=False)

    def to_bytes(self) -> bytes:
        """Return the body."""
        document: dict[str, object] = {_ID: str(self.service)}
        if self.secrets is not None:
            document[_SECRETS] = dict(self.secrets)
        if self.sealed is not None:
            document[_SEALED] = base64.urlsafe_b64encode(self.sealed).decode("ascii")
        return json.dumps(document | _present(self.code_key, self.tls_key), allow_nan=False).encode()

    @classmethod
    def from_bytes(cls, raw: bytes) -> "BootstrapDocument":
        """Read a body of at most 1 MiB; raises `MalformedError`."""
        members = _object(raw, name="bootstrap")
        if next(iter(members), None) != _ID or not _MEMBERS.issuperset(members):
            raise MalformedError(f"bootstrap: expected {_ID} first, and only members of this protocol")
        identifier, secrets = members[_ID], members.get(_SECRETS)
        if not isinstance(identifier, str) or not isinstance(secrets, dict | None):
            raise MalformedError(f"bootstrap: expected {_ID} as a string and {_SECRETS} as an object")
        return cls(
            service=parse_computation(identifier),
            secrets=secrets,
            sealed=_box(members.get(_SEALED)),
            code_key=_code_key(members.get(_CODE_KEY)),
            tls_key=_tls_key(members.get(_TLS_KEY)),
        )


def secrets_file(secrets: Secrets | None) -> bytes:
    """Return the file that an application reads its secrets from; without any, an empty object."""
    return json.dumps(dict(secrets or {}), allow_nan=False).encode()


def _present(code_key: str | None, tls_key: str | None) -> dict[str, object]:
    given = {_CODE_KEY: code_key, _TLS_KEY: tls_key}
    return {name: value for name, value in given.items() if value is not None}


def _object(raw: bytes, *, name: str) -> dict[str, object]:
    check_at_most(raw, field=name, max_bytes=MAX_BOOTSTRAP_BYTES)
    try:
        value = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_without_duplicates,
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
    # The text of such an error may quote what it could not read.
    except (ValueError, RecursionError):
        raise MalformedError(f"{name}: not JSON") from None
    if not isinstance(value, dict):
        raise MalformedError(f"{name}: expected an object")
    return value


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    named = dict(pairs)
    if len(named) != len(pairs):
        raise MalformedError("json: an object names one member twice")
    return named


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise MalformedError("json: a number that is too large")
    return value


def _refuse_constant(_: str) -> NoReturn:
    raise MalformedError("json: NaN and Infinity are no numbers")


def _code_key(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise MalformedError(f"{_CODE_KEY}: expected a string")
    parse_hex(value, field=_CODE_KEY, size=CODE_KEY_DIGITS // 2)
    return value


def _tls_key(value: object) -> str | None:
    if value is not None and (not isinstance(value, str) or not value.isascii()):
        raise MalformedError(f"{_TLS_KEY}: expected PEM")
    return value


def _box(value: object) -> bytes | None:
    if value is None:
        return None
    if not isinstance(value, str) or _BASE64URL.fullmatch(value) is None:
        raise MalformedError(f"{_SEALED}: expected base64url")
    try:
        # Written with and without padding, by one tool or another.
        return base64.urlsafe_b64decode(value.rstrip("=") + "=" * (-len(value.rstrip("=")) % 4))
    except binascii.Error:
        raise MalformedError(f"{_SEALED}: expected base64url") from None


def _bound_to(value: object) -> BoundTo:
    if not isinstance(value, dict) or set(value) != {"service", "mrenclave"}:
        raise MalformedError(f"{_OURS}: expected service and mrenclave")
    service, mrenclave = value["service"], value["mrenclave"]
    if not isinstance(service, str) or not isinstance(mrenclave, str):
        raise MalformedError(f"{_OURS}: expected strings")
    return BoundTo(
        service=parse_computation(service),
        mrenclave=parse_hex(mrenclave, field="mrenclave", size=DIGEST_SIZE),
    )
