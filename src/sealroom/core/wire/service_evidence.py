"""What a service proves about itself, as one file (docs/spec/services.md, "Evidence file").

Written by the operator, so hostile: nothing in it is believed before `core.evidence` checked it. Must never
name who may sign, nor a place to fetch from.
"""

import re
from dataclasses import dataclass, fields

from sealroom.core.errors import MalformedError
from sealroom.core.wire import strict_json
from sealroom.core.wire.bundle import (
    MAX_BUNDLE_BYTES,
    MAX_MANIFEST_BYTES,
    MAX_PAL_BYTES,
    MAX_SOURCE_BYTES,
    SIGSTRUCT_SIZE,
    RawCollateral,
)
from sealroom.core.wire.byte_fields import check_at_most, check_size, sha256
from sealroom.core.wire.code_list import ServiceCode
from sealroom.core.wire.service_arguments import MAX_SERVICE_ARGUMENTS_BYTES
from sealroom.core.wire.strict_json import JsonValue

MAX_CERTIFICATE_CHARS = 96 * 1024

_RELEASE = re.compile(r"[0-9A-Za-z.+-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceEvidence:
    """The evidence of one spawned service.

    `certificate` is PEM with the quote in it. `collateral` is `None` where the operator has none,
    `requirements` where the code has none, `sigstruct` where the enclave is simulated.
    """

    release: str
    certificate: str
    collateral: RawCollateral | None
    manifest: bytes
    arguments: bytes
    requirements: bytes | None
    code_list: ServiceCode
    sigstruct: bytes | None
    pal: bytes

    def __post_init__(self) -> None:
        if _RELEASE.fullmatch(self.release) is None:
            raise MalformedError("release: expected letters, digits, dots, plus and minus")
        if not self.certificate.isascii():
            raise MalformedError("certificate: expected PEM, in ASCII")
        check_at_most(self.certificate.encode(), field="certificate", max_bytes=MAX_CERTIFICATE_CHARS)
        check_at_most(self.manifest, field="manifest", max_bytes=MAX_MANIFEST_BYTES)
        check_at_most(self.arguments, field="arguments", max_bytes=MAX_SERVICE_ARGUMENTS_BYTES)
        check_at_most(self.requirements or b"", field="requirements", max_bytes=MAX_SOURCE_BYTES)
        check_at_most(self.pal, field="pal", max_bytes=MAX_PAL_BYTES)
        if self.sigstruct is not None:
            check_size(self.sigstruct, field="sigstruct", size=SIGSTRUCT_SIZE)

    def to_bytes(self) -> bytes:
        """Return the evidence in its one encoding."""
        return strict_json.encode_json(
            {
                "release": self.release,
                "certificate": self.certificate,
                "collateral": None if self.collateral is None else self.collateral.to_value(),
                "manifest": strict_json.base64_text(self.manifest),
                "arguments": strict_json.base64_text(self.arguments),
                "requirements": _optional_text(self.requirements),
                "code_list": self.code_list.to_value(),
                "sigstruct": _optional_text(self.sigstruct),
                "pal": strict_json.base64_text(self.pal),
            }
        )

    @classmethod
    def from_bytes(cls, raw: bytes) -> "ServiceEvidence":
        """Read evidence; raises `MalformedError` for anything but its one encoding."""
        value = strict_json.decode_json(raw, field="evidence", max_bytes=MAX_BUNDLE_BYTES)
        values = strict_json.members(value, _MEMBERS, field="evidence")
        member = dict(zip(_MEMBERS, values, strict=True))
        collateral = member["collateral"]
        evidence = cls(
            release=strict_json.text(member["release"], field="release", max_chars=64),
            certificate=strict_json.text(
                member["certificate"], field="certificate", max_chars=MAX_CERTIFICATE_CHARS
            ),
            collateral=None if collateral is None else RawCollateral.from_value(collateral),
            manifest=_required(member["manifest"], "manifest"),
            arguments=_required(member["arguments"], "arguments"),
            requirements=_optional(member["requirements"], "requirements"),
            code_list=ServiceCode.from_value(member["code_list"]),
            sigstruct=_optional(member["sigstruct"], "sigstruct"),
            pal=_required(member["pal"], "pal"),
        )
        strict_json.check_canonical(raw, evidence.to_bytes(), field="evidence")
        return evidence

    @property
    def sha256(self) -> bytes:
        """The digest of the file: names it in a verdict, proves nothing by itself."""
        return sha256(self.to_bytes())


_MEMBERS = tuple(field.name for field in fields(ServiceEvidence))
_MAX_BYTES = {
    "manifest": MAX_MANIFEST_BYTES,
    "arguments": MAX_SERVICE_ARGUMENTS_BYTES,
    "requirements": MAX_SOURCE_BYTES,
    "sigstruct": SIGSTRUCT_SIZE,
    "pal": MAX_PAL_BYTES,
}


def _required(value: JsonValue, name: str) -> bytes:
    return strict_json.base64_bytes(value, field=name, max_bytes=_MAX_BYTES[name])


def _optional(value: JsonValue, name: str) -> bytes | None:
    return None if value is None else _required(value, name)


def _optional_text(data: bytes | None) -> str | None:
    return None if data is None else strict_json.base64_text(data)
