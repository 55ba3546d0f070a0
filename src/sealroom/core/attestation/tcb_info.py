"""TCB info: which microcode a family of platforms should have. Version 3, and version 2 for SGX.

Read after its signature verified (`collateral.verify_tcb_info`), never before.
Specification: docs/spec/collateral.md, "TCB info and QE identity".
"""

from __future__ import annotations

from dataclasses import dataclass

from sealroom.core.attestation.document import (
    Issued,
    IsvLevel,
    JsonObject,
    Judgement,
    hex_member,
    member,
    number_member,
    object_member,
    objects,
    read_issued,
    read_isv_levels,
    read_judgement,
    text_member,
)
from sealroom.core.attestation.quote import TeeType
from sealroom.core.errors import MalformedError

_COMPONENTS = 16
_MAX_MODULES = 16
_TEES = {"SGX": TeeType.SGX, "TDX": TeeType.TDX}


@dataclass(frozen=True, slots=True, kw_only=True)
class TcbLevel:
    """One level. `tdx_components` exist in documents for TDX only."""

    sgx_components: bytes
    pce_svn: int
    tdx_components: bytes | None
    judgement: Judgement


@dataclass(frozen=True, slots=True, kw_only=True)
class TdxModuleRule:
    """Who signed the TDX module, and its attributes under a mask."""

    mrsigner: bytes
    attributes: bytes
    attributes_mask: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class TdxModuleIdentity:
    """The rule for TDX modules of one major version, with their levels. `id` is in upper case."""

    id: str
    rule: TdxModuleRule
    levels: tuple[IsvLevel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TcbInfo:
    """A TCB info document as it reads. The two TDX fields are filled in documents for TDX."""

    version: int
    tee: TeeType
    issued: Issued
    fmspc: bytes
    pce_id: bytes
    levels: tuple[TcbLevel, ...]
    tdx_module: TdxModuleRule | None
    tdx_module_identities: tuple[TdxModuleIdentity, ...]


def read_tcb_info(source: JsonObject) -> TcbInfo:
    """Read a TCB info document of version 2 or 3, or raise `MalformedError`."""
    version = number_member(source, "version")
    if version not in (2, 3):
        raise MalformedError(f"tcb info: version {version}, expected 2 or 3")
    tee = _tee(source, version)
    if number_member(source, "tcbType") != 0:
        raise MalformedError("tcb info: tcbType is not 0")
    for_tdx = tee is TeeType.TDX
    return TcbInfo(
        version=version,
        tee=tee,
        issued=read_issued(source),
        fmspc=hex_member(source, "fmspc", size=6),
        pce_id=hex_member(source, "pceId", size=2),
        levels=tuple(
            _level(level, version, for_tdx=for_tdx)
            for level in objects(member(source, "tcbLevels"), field="tcbLevels")
        ),
        tdx_module=_module_rule(object_member(source, "tdxModule")) if for_tdx else None,
        tdx_module_identities=_module_identities(source) if for_tdx else (),
    )


def _tee(source: JsonObject, version: int) -> TeeType:
    if version == 2:
        return TeeType.SGX
    tee = _TEES.get(text_member(source, "id"))
    if tee is None:
        raise MalformedError("tcb info: id is neither SGX nor TDX")
    return tee


def _level(level: JsonObject, version: int, *, for_tdx: bool) -> TcbLevel:
    tcb = object_member(level, "tcb")
    if version == 2:
        names = (f"sgxtcbcomp{number:02}svn" for number in range(1, _COMPONENTS + 1))
        sgx_components = bytes(number_member(tcb, name, maximum=255) for name in names)
    else:
        sgx_components = _components(tcb, "sgxtcbcomponents")
    return TcbLevel(
        sgx_components=sgx_components,
        pce_svn=number_member(tcb, "pcesvn"),
        tdx_components=_components(tcb, "tdxtcbcomponents") if for_tdx else None,
        judgement=read_judgement(level),
    )


def _components(tcb: JsonObject, key: str) -> bytes:
    components = objects(member(tcb, key), field=key, max_items=_COMPONENTS)
    if len(components) != _COMPONENTS:
        raise MalformedError(f"{key}: {len(components)} components, expected {_COMPONENTS}")
    numbers = [number for component in components if type(number := component.get("svn")) is int]
    if len(numbers) == _COMPONENTS and min(numbers) >= 0 and max(numbers) <= 255:
        return bytes(numbers)
    # One of these raises, and says what is wrong.
    return bytes(number_member(component, "svn", maximum=255) for component in components)


def _module_rule(source: JsonObject) -> TdxModuleRule:
    return TdxModuleRule(
        mrsigner=hex_member(source, "mrsigner", size=48),
        attributes=hex_member(source, "attributes", size=8),
        attributes_mask=hex_member(source, "attributesMask", size=8),
    )


def _module_identities(source: JsonObject) -> tuple[TdxModuleIdentity, ...]:
    listed = objects(
        source.get("tdxModuleIdentities", []), field="tdxModuleIdentities", max_items=_MAX_MODULES
    )
    identities = tuple(
        TdxModuleIdentity(
            id=text_member(identity, "id").upper(),
            rule=_module_rule(identity),
            levels=read_isv_levels(identity),
        )
        for identity in listed
    )
    if len({identity.id for identity in identities}) != len(identities):
        raise MalformedError("tdxModuleIdentities: one id stands twice")
    return identities
