"""Evidence as one file: everything that verifying an enclave off line needs (docs/spec/evidence-bundle.md).

Written by the server, so hostile: nothing in it is believed before `core.evidence` checked it. Must never
name a path or a place to fetch from.
"""

import re
from dataclasses import dataclass, fields

from sealroom.core.errors import MalformedError
from sealroom.core.wire import strict_json
from sealroom.core.wire.arguments import MAX_ARGUMENTS_BYTES
from sealroom.core.wire.byte_fields import KEY_SIZE, SIGNATURE_SIZE, check_at_most, check_size, sha256
from sealroom.core.wire.code_list import CodeList
from sealroom.core.wire.report_data import MAX_QUOTE_BYTES
from sealroom.core.wire.strict_json import JsonValue

MAX_BUNDLE_BYTES = 64 * 1024 * 1024
MAX_COLLATERAL_CHARS = 256 * 1024
MAX_MANIFEST_BYTES = 16 * 1024 * 1024
MAX_SOURCE_BYTES = 1024 * 1024
MAX_PAL_BYTES = 16 * 1024 * 1024
SIGSTRUCT_SIZE = 1808
MAX_COLLATERAL_BYTES = 4 * 1024 * 1024

_RELEASE = re.compile(r"[0-9A-Za-z.+-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RawCollateral:
    """What Intel publishes about a platform, as received: nine ASCII texts, none parsed, none verified.

    Chains are PEM, revocation lists and signatures hexadecimal; `tcb_info` and `qe_identity` are the exact
    JSON texts that Intel signed.
    """

    pck_crl_issuer_chain: str
    root_ca_crl: str
    pck_crl: str
    tcb_info_issuer_chain: str
    tcb_info: str
    tcb_info_signature: str
    qe_identity_issuer_chain: str
    qe_identity: str
    qe_identity_signature: str

    def __post_init__(self) -> None:
        for name in COLLATERAL_MEMBERS:
            value: str = getattr(self, name)
            strict_json.text(value, field=name, max_chars=MAX_COLLATERAL_CHARS)
            if not value.isascii():
                raise MalformedError(f"{name}: expected ASCII alone")

    def to_value(self) -> JsonValue:
        """Return the nine members as a JSON value, to stand inside a bundle."""
        return {name: getattr(self, name) for name in COLLATERAL_MEMBERS}

    @classmethod
    def from_value(cls, value: JsonValue) -> "RawCollateral":
        """Read exactly the nine members, in their order."""
        values = strict_json.members(value, COLLATERAL_MEMBERS, field="collateral")
        named = zip(COLLATERAL_MEMBERS, values, strict=True)
        limit = MAX_COLLATERAL_CHARS
        return cls(**{name: strict_json.text(text, field=name, max_chars=limit) for name, text in named})

    @classmethod
    def from_json(cls, raw: bytes) -> "RawCollateral":
        """Read a collateral file, as caches and archives keep it: white space may differ, members may not."""
        return cls.from_value(
            strict_json.decode_json(raw, field="collateral", max_bytes=MAX_COLLATERAL_BYTES)
        )


COLLATERAL_MEMBERS = tuple(field.name for field in fields(RawCollateral))


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceBundle:
    """The evidence of one launch, as published.

    `identity_pk` is the enclave's claim: the quote holds its digest only (docs/spec/report-data.md).
    `requirements` is `None` when the code has none, `collateral` when the server knows none, `code_signature`
    in a computation without one, `sigstruct` when the enclave is simulated.
    """

    release: str
    quote: bytes
    identity_pk: bytes
    collateral: RawCollateral | None
    manifest: bytes
    arguments: bytes
    entry_point: bytes
    requirements: bytes | None
    code_list: CodeList
    code_signature: bytes | None
    sigstruct: bytes | None
    pal: bytes

    def __post_init__(self) -> None:
        if _RELEASE.fullmatch(self.release) is None:
            raise MalformedError("release: expected a version of at most 64 letters, digits and .+-")
        for name, max_bytes in _MAX_BYTES.items():
            value: bytes | None = getattr(self, name)
            if value is not None:
                check_at_most(value, field=name, max_bytes=max_bytes)
        check_size(self.identity_pk, field="identity_pk", size=KEY_SIZE)
        if self.code_signature is not None:
            check_size(self.code_signature, field="code_signature", size=SIGNATURE_SIZE)
        if self.sigstruct is not None:
            check_size(self.sigstruct, field="sigstruct", size=SIGSTRUCT_SIZE)

    def to_bytes(self) -> bytes:
        """Return the bundle in its one encoding."""
        return strict_json.encode_json(
            {
                "release": self.release,
                "quote": strict_json.base64_text(self.quote),
                "identity_pk": self.identity_pk.hex(),
                "collateral": None if self.collateral is None else self.collateral.to_value(),
                "manifest": strict_json.base64_text(self.manifest),
                "arguments": strict_json.base64_text(self.arguments),
                "entry_point": strict_json.base64_text(self.entry_point),
                "requirements": _optional_text(self.requirements),
                "code_list": self.code_list.to_value(),
                "code_signature": _optional_text(self.code_signature),
                "sigstruct": _optional_text(self.sigstruct),
                "pal": strict_json.base64_text(self.pal),
            }
        )

    @classmethod
    def from_bytes(cls, raw: bytes) -> "EvidenceBundle":
        """Read a bundle; raises `MalformedError` for anything but its one encoding."""
        value = strict_json.decode_json(raw, field="bundle", max_bytes=MAX_BUNDLE_BYTES)
        values = strict_json.members(value, _MEMBERS, field="bundle")
        member = dict(zip(_MEMBERS, values, strict=True))
        collateral = member["collateral"]
        bundle = cls(
            release=strict_json.text(member["release"], field="release", max_chars=64),
            quote=_required(member["quote"], "quote"),
            identity_pk=strict_json.hex_bytes(member["identity_pk"], field="identity_pk", size=KEY_SIZE),
            collateral=None if collateral is None else RawCollateral.from_value(collateral),
            manifest=_required(member["manifest"], "manifest"),
            arguments=_required(member["arguments"], "arguments"),
            entry_point=_required(member["entry_point"], "entry_point"),
            requirements=_optional(member["requirements"], "requirements"),
            code_list=CodeList.from_value(member["code_list"]),
            code_signature=_optional(member["code_signature"], "code_signature"),
            sigstruct=_optional(member["sigstruct"], "sigstruct"),
            pal=_required(member["pal"], "pal"),
        )
        strict_json.check_canonical(raw, bundle.to_bytes(), field="bundle")
        return bundle

    @property
    def sha256(self) -> bytes:
        """The digest of the bundle's bytes: names the file in a verdict, proves nothing by itself."""
        return sha256(self.to_bytes())


_MEMBERS = tuple(field.name for field in fields(EvidenceBundle))
_MAX_BYTES = {
    "quote": MAX_QUOTE_BYTES,
    "manifest": MAX_MANIFEST_BYTES,
    "arguments": MAX_ARGUMENTS_BYTES,
    "entry_point": MAX_SOURCE_BYTES,
    "requirements": MAX_SOURCE_BYTES,
    "code_signature": SIGNATURE_SIZE,
    "sigstruct": SIGSTRUCT_SIZE,
    "pal": MAX_PAL_BYTES,
}


def _required(value: JsonValue, name: str) -> bytes:
    return strict_json.base64_bytes(value, field=name, max_bytes=_MAX_BYTES[name])


def _optional(value: JsonValue, name: str) -> bytes | None:
    return None if value is None else _required(value, name)


def _optional_text(data: bytes | None) -> str | None:
    return None if data is None else strict_json.base64_text(data)
