"""What a participant asks of an enclave, beyond its being genuine.

One value, one parser. Nothing is accepted by default: every member is spelled out, an empty list is an error,
and what leaves a rule open says so by the word `any`. Never decides whether a quote is genuine: debug
enclaves, bad signatures and stale documents are refused whatever stands here.

Spec: docs/spec/policy.md.
"""

import re
import tomllib
from dataclasses import dataclass, fields
from datetime import timedelta
from enum import Enum

from sealroom.core.attestation.quote import TeeType
from sealroom.core.attestation.quote_checks import AttributeRule
from sealroom.core.attestation.tcb_status import TcbStatus
from sealroom.core.errors import MalformedError
from sealroom.core.evidence.policy_values import (
    as_boolean,
    as_choices,
    as_hex,
    as_hex_number,
    as_number,
    as_table,
    as_text,
    as_texts,
)
from sealroom.core.wire.participants import Role
from sealroom.core.wire.terms import LogRelease

MAX_POLICY_BYTES = 64 * 1024
FORMAT = 1

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_ADVISORY = re.compile(r"[A-Z0-9-]{1,64}")


class Word(Enum):
    """What may stand in a policy instead of a list; each is a decision, none is a default."""

    ANY = "any"
    NONE = "none"
    RECOMPUTED = "recomputed"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerRule:
    """Any enclave of one signer's product, from one version on. For services; computations refuse it."""

    mrsigner: bytes
    product: int
    min_svn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The whole of what is asked; every member is required.

    In a computation the recomputed MRENCLAVE is demanded whatever `measurement` says: a list of MRENCLAVEs
    narrows it further. `advisories` are those that a participant accepts. `platforms` are PPIDs. The last
    three say what a quote that stands alone may have: zeros after it, no SEPT_VE_DISABLE in a TD, fields
    that the host chose. The evidence of a computation never has these, whatever stands here.
    """

    name: str
    tee: frozenset[TeeType]
    tcb_statuses: frozenset[TcbStatus]
    advisories: frozenset[str] | Word
    min_evaluation_number: int
    max_collateral_age: timedelta | Word
    measurement: frozenset[bytes] | SignerRule | Word
    attributes: AttributeRule
    platforms: frozenset[bytes] | Word
    require_pinned: frozenset[Role] | Word
    logs: frozenset[LogRelease] | Word
    max_deliveries: int
    allow_legacy_delivery: bool
    accept_zero_padding: bool
    accept_td_without_sept_ve_disable: bool
    accept_host_chosen_fields: bool

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            # A set that is no frozenset, or the word as a text, would read as a rule that was left open.
            if not isinstance(value, _KINDS[field.name]):
                raise MalformedError(f"policy {field.name}: {type(value).__name__} is no type of this member")
            if isinstance(value, frozenset) and not value:
                raise MalformedError(f"policy {field.name}: an empty list accepts nothing and is an error")
        if _NAME.fullmatch(self.name) is None:
            raise MalformedError("policy name: expected lower-case letters, digits and dashes")
        if TcbStatus.REVOKED in self.tcb_statuses:
            raise MalformedError("policy tcb_statuses: nothing can accept a revoked platform")
        for name, words in _WORDS.items():
            value = getattr(self, name)
            if isinstance(value, Word) and value not in words:
                raise MalformedError(f"policy {name}: the word {value.value!r} has no meaning here")
        if self.min_evaluation_number < 0 or self.max_deliveries < 1:
            raise MalformedError("policy numbers: min_evaluation_number from 0, max_deliveries from 1")
        if isinstance(self.max_collateral_age, timedelta) and self.max_collateral_age <= timedelta(0):
            raise MalformedError("policy max_collateral_age: expected at least one day")

    @classmethod
    def from_toml(cls, raw: bytes) -> "Policy":
        """Read a policy file; raises `MalformedError` for a missing, unknown or ill-typed member."""
        document = _document(raw)
        return cls(
            name=as_text(document["name"], "name"),
            tee=frozenset(_TEES[name] for name in as_choices(document["tee"], _TEES, "tee")),
            tcb_statuses=frozenset(
                TcbStatus(s) for s in as_choices(document["tcb_statuses"], _STATUSES, "tcb_statuses")
            ),
            advisories=_word(document["advisories"]) or _advisories(document["advisories"]),
            min_evaluation_number=as_number(document["min_evaluation_number"], "min_evaluation_number"),
            max_collateral_age=_word(document["max_collateral_age_days"])
            or timedelta(
                days=as_number(document["max_collateral_age_days"], "max_collateral_age_days", maximum=36500)
            ),
            measurement=_word(document["measurement"]) or _measurement(document["measurement"]),
            attributes=_attributes(document["attributes"]),
            platforms=_word(document["platforms"]) or _hex_set(document["platforms"], "platforms", 16),
            require_pinned=_word(document["require_pinned"])
            or frozenset(Role(r) for r in as_choices(document["require_pinned"], _ROLES, "require_pinned")),
            logs=_word(document["logs"])
            or frozenset(LogRelease(c) for c in as_choices(document["logs"], _LOGS, "logs")),
            max_deliveries=as_number(document["max_deliveries"], "max_deliveries", maximum=1_000_000),
            **{name: as_boolean(document[name], name) for name in _SWITCHES},
        )


_KINDS: dict[str, tuple[type, ...]] = {
    "name": (str,),
    "tee": (frozenset,),
    "tcb_statuses": (frozenset,),
    "advisories": (frozenset, Word),
    "min_evaluation_number": (int,),
    "max_collateral_age": (timedelta, Word),
    "measurement": (frozenset, SignerRule, Word),
    "attributes": (AttributeRule,),
    "platforms": (frozenset, Word),
    "require_pinned": (frozenset, Word),
    "logs": (frozenset, Word),
    "max_deliveries": (int,),
    "allow_legacy_delivery": (bool,),
    "accept_zero_padding": (bool,),
    "accept_td_without_sept_ve_disable": (bool,),
    "accept_host_chosen_fields": (bool,),
}
_WORDS = {
    "advisories": {Word.ANY, Word.NONE},
    "max_collateral_age": {Word.ANY},
    "measurement": {Word.ANY, Word.RECOMPUTED},
    "platforms": {Word.ANY},
    "require_pinned": {Word.NONE},
    "logs": {Word.ANY},
}
_SWITCHES = (
    "allow_legacy_delivery",
    "accept_zero_padding",
    "accept_td_without_sept_ve_disable",
    "accept_host_chosen_fields",
)
_TEES = {"sgx": TeeType.SGX, "tdx": TeeType.TDX}
_STATUSES = tuple(status.value for status in TcbStatus if status is not TcbStatus.REVOKED)
_ROLES = tuple(role.value for role in Role)
_LOGS = tuple(choice.value for choice in LogRelease)
_MEMBERS = {
    "format",
    "max_collateral_age_days",
    *(field.name for field in fields(Policy) if field.name != "max_collateral_age"),
}


def _document(raw: bytes) -> dict[str, object]:
    if len(raw) > MAX_POLICY_BYTES:
        raise MalformedError(f"policy size: got {len(raw)}, expected at most {MAX_POLICY_BYTES} bytes")
    try:
        document: dict[str, object] = tomllib.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError) as exc:
        raise MalformedError("policy: not valid TOML in UTF-8") from exc
    if missing := _MEMBERS - set(document):
        raise MalformedError(
            f"policy: {', '.join(sorted(missing))} missing, and nothing is accepted by default"
        )
    if unknown := set(document) - _MEMBERS:
        raise MalformedError(f"policy: unknown member {min(unknown)!r}")
    if as_number(document["format"], "format") != FORMAT:
        raise MalformedError(f"policy format: expected {FORMAT}")
    return document


def _word(value: object) -> Word | None:
    """Return the word that stands for a whole rule, if one does; the value itself is checked afterwards."""
    return next((word for word in Word if value == word.value), None)


def _advisories(value: object) -> frozenset[str]:
    names = as_texts(value, "advisories")
    for name in names:
        if _ADVISORY.fullmatch(name) is None:
            raise MalformedError(f"policy advisories: {name!r} is no advisory's name")
    return names


def _hex_set(value: object, name: str, *sizes: int) -> frozenset[bytes]:
    return frozenset(as_hex(text, name, sizes=sizes) for text in as_texts(value, name))


def _measurement(value: object) -> frozenset[bytes] | SignerRule:
    if isinstance(value, list):
        # MRENCLAVE has 32 bytes, the MRTD of a TD 48.
        return _hex_set(value, "measurement", 32, 48)
    table = as_table(value, ("mrsigner", "product", "min_svn"), "measurement")
    return SignerRule(
        mrsigner=as_hex(table["mrsigner"], "mrsigner", sizes=(32,)),
        product=as_number(table["product"], "product", maximum=0xFFFF),
        min_svn=as_number(table["min_svn"], "min_svn", maximum=0xFFFF),
    )


def _attributes(value: object) -> AttributeRule:
    names = tuple(field.name for field in fields(AttributeRule))
    table = as_table(value, names, "attributes")
    numbers = {name: as_hex_number(table[name], f"attributes.{name}") for name in names}
    try:
        return AttributeRule(**numbers)
    except ValueError as exc:
        raise MalformedError(f"policy attributes: {exc}") from exc
