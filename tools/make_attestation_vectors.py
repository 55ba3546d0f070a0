"""Write tests/vectors/attestation: quotes and collateral of the simulated platform, one thing wrong in each.

    python tools/make_attestation_vectors.py tests/vectors/attestation

One folder a case. `expect.json` says when it is verified, which error it must end in and why; `quote.bin`
stands there where it differs from that of the case `valid`, `collateral.json` with the members that
differ. Every case is right in all but the one thing it is named after, signatures included, so that only
the check of that thing refuses it.

Keys and signatures are random: run again, the files differ and the verdicts do not.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from sealroom.core.attestation.roots import INTEL_QE_VENDOR_ID
from sealroom.core.attestation.tcb_status import TcbStatus
from sealroom.insecure import collateral as documents
from sealroom.insecure import pki as authority
from sealroom.insecure.pck_extension import PlatformTcb, encode_pck_extension
from sealroom.insecure.pki import Holder, SimulationPki, issue
from sealroom.insecure.quoting import QE_BODY, QE_SVN, QuotingEnclave, ReportBody

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=8 * 365)
LATER = NOW + timedelta(days=30)
MONTH = timedelta(days=30)
YEAR = timedelta(days=365)

BODY = ReportBody(mrenclave=bytes(range(32)), report_data=bytes(range(64)))

# Where version 3 keeps what the cases change.
ISV_SIGNATURE, ATTESTATION_KEY, QE_REPORT, QE_SIGNATURE = 436, 500, 564, 948
QE_VENDOR_ID = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What to verify, and what must come of it."""

    name: str
    why: str
    error: str | None = None
    message: str = ""
    status: str | None = None
    advisories: tuple[str, ...] = ()
    quote: bytes | None = None
    collateral: dict[str, str] | None = None
    at: datetime = NOW


@dataclass(slots=True, kw_only=True)
class World:
    """One PKI and its quoting enclave, with makers of things that are nearly right."""

    pki: SimulationPki
    enclave: QuotingEnclave = field(init=False)

    base: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.enclave = QuotingEnclave(self.pki)
        self.base = documents.make_collateral(self.pki, now=NOW)

    def quote(self, body: ReportBody = BODY) -> bytes:
        """Return a quote over `body`."""
        return self.enclave.quote(body)

    def collateral(self, wish: documents.Wish | None = None, **members: str) -> dict[str, str]:
        """Return collateral for `wish`, or that of an up-to-date platform, with some members replaced."""
        made = self.base if wish is None else documents.make_collateral(self.pki, now=NOW, wish=wish)
        return {**made, **members}

    def with_pki(self, **holders: Holder) -> World:
        """Return the same world but for some certificates; a PCK key goes with its certificate."""
        return World(pki=replace(self.pki, **holders))

    def signed(self, member: str, change: Callable[[dict[str, Any]], object]) -> dict[str, str]:
        """Return collateral in which one document was changed and signed again."""
        made = self.collateral()
        document = json.loads(made[member])
        change(document)
        text = documents.document_text(document)
        signature = self.pki.tcb_signing.sign_raw(text.encode()).hex()
        return {**made, member: text, f"{member}_signature": signature}


def sign(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def patched(quote: bytes, offset: int, new: bytes) -> bytes:
    return quote[:offset] + new + quote[offset + len(new) :]


def another_key(holder: Holder) -> Holder:
    """Return the same certificate held with another key: what its holder signs does not verify."""
    return replace(holder, key=ec.generate_private_key(ec.SECP256R1()))


def statuses(world: World) -> Iterator[Case]:
    for status in TcbStatus:
        if status.derived:
            continue
        name = "valid" if status is TcbStatus.UP_TO_DATE else f"status_{status.name.lower()}"
        yield Case(
            name=name,
            why=f"everything is right, the platform is {status.value}",
            status=status.value,
            advisories=() if status is TcbStatus.UP_TO_DATE else (documents.ADVISORY,),
            quote=world.quote() if name == "valid" else None,
            collateral=world.collateral(None if name == "valid" else documents.Wish(status=status)),
        )
    for status, result in (
        (TcbStatus.OUT_OF_DATE, TcbStatus.OUT_OF_DATE),
        (TcbStatus.REVOKED, TcbStatus.REVOKED),
    ):
        yield Case(
            name=f"qe_{status.name.lower()}",
            why=f"the quoting enclave is {status.value}, and with it the platform",
            status=result.value,
            advisories=(documents.QE_ADVISORY,),
            collateral=world.collateral(documents.Wish(qe_status=status)),
        )


def quotes(world: World) -> Iterator[Case]:
    good = world.quote()
    key = world.enclave.attestation_key
    other = ec.generate_private_key(ec.SECP256R1())
    foreign_vendor = patched(good, QE_VENDOR_ID, INTEL_QE_VENDOR_ID)
    foreign_vendor = patched(foreign_vendor, ISV_SIGNATURE, sign(key, foreign_vendor[:432]))
    unbound = bytearray(good[QE_REPORT:QE_SIGNATURE])
    unbound[-64] ^= 1
    upper_half = bytearray(good[QE_REPORT:QE_SIGNATURE])
    upper_half[-1] = 1
    qe_key = world.pki.pck
    yield Case(
        name="quote_intel_vendor_id",
        why="Intel's QE vendor id under a root that is not Intel's",
        error="VerificationError",
        message="qe vendor id",
        quote=foreign_vendor,
    )
    yield Case(
        name="quote_qe_report_signed_by_another",
        why="the QE report is signed by a key that is not the PCK key",
        error="VerificationError",
        message="qe report: signature",
        quote=patched(good, QE_SIGNATURE, sign(other, good[QE_REPORT:QE_SIGNATURE])),
    )
    for name, report in (("unbound", unbound), ("upper_half", upper_half)):
        yield Case(
            name=f"quote_attestation_key_{name}",
            why="the signed QE report does not bind exactly this attestation key",
            error="VerificationError",
            message="attestation key: not the one",
            quote=patched(patched(good, QE_REPORT, report), QE_SIGNATURE, qe_key.sign_raw(bytes(report))),
        )
    yield Case(
        name="quote_isv_signed_by_another",
        why="header and body are signed by a key that is not the attestation key",
        error="VerificationError",
        message="isv report: signature",
        quote=patched(good, ISV_SIGNATURE, sign(other, good[:432])),
    )
    yield Case(
        name="quote_trailing_bytes",
        why="zero bytes follow the declared end",
        error="VerificationError",
        message="after its declared end",
        quote=good + bytes(16),
    )
    yield from bodies(world)


def bodies(world: World) -> Iterator[Case]:
    for name, body, message in (
        ("debug", replace(BODY, flags=0x07), "debug is set"),
        ("config_id", replace(BODY, config_id=b"\1" + bytes(63)), "config_id"),
        ("config_svn", replace(BODY, config_svn=1), "config_svn"),
        ("family_id", replace(BODY, isv_family_id=b"\1" + bytes(15)), "isv_family_id"),
        ("ext_prod_id", replace(BODY, isv_ext_prod_id=b"\1" + bytes(15)), "isv_ext_prod_id"),
        ("provision_key", replace(BODY, flags=0x15), "flags"),
        ("xfrm", replace(BODY, xfrm=0x07), "xfrm"),
        ("miscselect", replace(BODY, miscselect=1), "miscselect"),
    ):
        yield Case(
            name=f"body_{name}",
            why=f"the report is genuine and its {name.replace('_', ' ')} is not acceptable",
            error="VerificationError",
            message=message,
            quote=world.quote(body),
        )


def chains(world: World) -> Iterator[Case]:
    pki, extension = world.pki, encode_pck_extension(world.pki.tcb)

    def pck(
        issuer: Holder,
        *,
        now: datetime = NOW,
        name: str = authority.PCK_NAME,
        length: int | None = None,
        value: bytes | None = extension,
    ) -> Holder:
        return issue(name, issuer=issuer, now=now, ca_path_length=length, sgx_extension=value)

    def below(ca: Holder) -> dict[str, Holder]:
        return {"platform_ca": ca, "pck": pck(ca)}

    def ca(
        issuer: Holder = pki.root,
        *,
        now: datetime = NOW,
        name: str = authority.PLATFORM_CA_NAME,
        length: int | None = 0,
    ) -> Holder:
        return issue(name, issuer=issuer, now=now, ca_path_length=length)

    def below_root(root: Holder) -> dict[str, Holder]:
        signer = issue(authority.TCB_SIGNING_NAME, issuer=root, now=NOW)
        return {"root": root, "tcb_signing": signer, **below(ca(root))}

    def root(*, now: datetime = NOW, name: str = authority.ROOT_NAME, length: int = 1) -> Holder:
        return issue(name, issuer=None, now=now, ca_path_length=length)

    leaf_usage = authority.key_usage(is_ca=False)
    changes: tuple[tuple[str, str, dict[str, Holder]], ...] = (
        ("leaf_signed_by_another", "signature does not verify", {"pck": pck(another_key(pki.platform_ca))}),
        ("ca_signed_by_another", "signature does not verify", below(ca(another_key(pki.root)))),
        ("leaf_expired", "is valid from", {"pck": pck(pki.platform_ca, now=LONG_AGO)}),
        ("leaf_not_yet_valid", "is valid from", {"pck": pck(pki.platform_ca, now=LATER)}),
        ("ca_expired", "is valid from", below(ca(now=LONG_AGO))),
        ("leaf_name", "leaf is called", {"pck": pck(pki.platform_ca, name="SIMULATION Certificate")}),
        ("ca_name", "pck chain: 'SIMULATION SGX Some CA' is not", below(ca(name="SIMULATION SGX Some CA"))),
        ("root_name", "root is not called", below_root(root(name="SIMULATION Root"))),
        ("ca_is_no_ca", "may not sign certificates", below(ca(length=None))),
        (
            "ca_without_right_to_sign",
            "may not sign certificates",
            below(
                issue(
                    authority.PLATFORM_CA_NAME, issuer=pki.root, now=NOW, ca_path_length=0, usage=leaf_usage
                )
            ),
        ),
        ("root_path_too_short", "path below", below_root(root(length=0))),
        ("leaf_is_ca", "leaf is a CA", {"pck": pck(pki.platform_ca, length=0)}),
        ("leaf_without_extension", "no SGX extension", {"pck": pck(pki.platform_ca, value=None)}),
    )
    for name, message, holders in changes:
        changed = world.with_pki(**holders)
        stale_root = name.startswith("root")
        yield Case(
            name=f"chain_{name}",
            why=f"the PCK chain: {name.replace('_', ' ')}",
            error="VerificationError",
            message=message,
            quote=changed.quote(),
            collateral=changed.collateral() if stale_root or "platform_ca" in holders else None,
        )


def revocation(world: World) -> Iterator[Case]:
    pki = world.pki
    for name, certificate, message in (
        ("pck_ca", pki.platform_ca.certificate, "is revoked"),
        ("pck_leaf", pki.pck.certificate, "pck certificate: certificate"),
        ("tcb_signing", pki.tcb_signing.certificate, "tcb info issuer chain: certificate"),
    ):
        yield Case(
            name=f"revoked_{name}",
            why=f"the {name.replace('_', ' ')} certificate stands in its issuer's list",
            error="VerificationError",
            message=message,
            collateral=world.collateral(documents.Wish(revoked=(certificate,))),
        )
    processor = issue("SIMULATION SGX PCK Processor CA", issuer=pki.root, now=NOW, ca_path_length=0)
    other_kind = issue("SIMULATION SGX Some CA", issuer=pki.root, now=NOW, ca_path_length=0)
    silent = authority.key_usage(is_ca=True, crl_sign=False)
    mute = issue(authority.PLATFORM_CA_NAME, issuer=pki.root, now=NOW, ca_path_length=0, usage=silent)

    def crl(holder: Holder, issued: datetime = NOW - timedelta(hours=1), lifetime: timedelta = MONTH) -> str:
        return documents.make_crl(holder, issued=issued, lifetime=lifetime).hex()

    def chain(holder: Holder) -> str:
        return authority.pem(holder.certificate, pki.root.certificate).decode()

    stale = NOW - 2 * MONTH
    changes = (
        (
            "root_crl_signed_by_another",
            "VerificationError",
            "root crl: signature",
            {"root_ca_crl": crl(another_key(pki.root))},
        ),
        (
            "root_crl_of_another_issuer",
            "VerificationError",
            "root crl: issuer",
            {"root_ca_crl": crl(pki.platform_ca)},
        ),
        ("root_crl_stale", "CollateralError", "root crl: issued", {"root_ca_crl": crl(pki.root, stale)}),
        ("root_crl_future", "CollateralError", "root crl: issued", {"root_ca_crl": crl(pki.root, LATER)}),
        (
            "pck_crl_signed_by_another",
            "VerificationError",
            "pck crl: signature",
            {"pck_crl": crl(another_key(pki.platform_ca))},
        ),
        ("pck_crl_of_another_issuer", "VerificationError", "pck crl: issuer", {"pck_crl": crl(pki.root)}),
        ("pck_crl_stale", "CollateralError", "pck crl: issued", {"pck_crl": crl(pki.platform_ca, stale)}),
        ("pck_crl_future", "CollateralError", "pck crl: issued", {"pck_crl": crl(pki.platform_ca, LATER)}),
        (
            "pck_crl_of_the_other_ca",
            "VerificationError",
            "not the list of the CA",
            {"pck_crl": crl(processor), "pck_crl_issuer_chain": chain(processor)},
        ),
        (
            "pck_crl_issuer_is_no_pck_ca",
            "VerificationError",
            "is not a PCK CA",
            {"pck_crl": crl(other_kind), "pck_crl_issuer_chain": chain(other_kind)},
        ),
        (
            "pck_crl_issuer_may_not_sign_lists",
            "VerificationError",
            "may not sign revocation lists",
            {"pck_crl": crl(mute), "pck_crl_issuer_chain": chain(mute)},
        ),
    )
    for name, error, message, members in changes:
        yield Case(
            name=name,
            why=f"the revocation lists: {name.replace('_', ' ')}",
            error=error,
            message=message,
            collateral=world.collateral(**members),
        )


def signers(world: World) -> Iterator[Case]:
    pki = world.pki
    stranger = SimulationPki.generate(now=NOW)
    strange = documents.make_collateral(stranger, now=NOW)

    def signer(
        issuer: Holder = pki.root, *, now: datetime = NOW, name: str = authority.TCB_SIGNING_NAME
    ) -> Holder:
        return issue(name, issuer=issuer, now=now)

    ca_signer = issue(authority.TCB_SIGNING_NAME, issuer=pki.root, now=NOW, ca_path_length=0)
    kinds = (
        (
            "signer_signed_by_another",
            "VerificationError",
            "signature does not verify",
            signer(another_key(pki.root)),
        ),
        ("signer_expired", "CollateralError", "is valid from", signer(now=LONG_AGO)),
        ("signer_name", "VerificationError", "signer is called", signer(name="SIMULATION SGX Signing")),
        ("signer_is_ca", "VerificationError", "is a CA", ca_signer),
    )
    for member in ("tcb_info", "qe_identity"):
        for name, error, message, holder in kinds:
            text = world.collateral()[member]
            chain = authority.pem(holder.certificate, pki.root.certificate).decode()
            signature = holder.sign_raw(text.encode()).hex()
            changed = {member: text, f"{member}_signature": signature, f"{member}_issuer_chain": chain}
            yield Case(
                name=f"{member}_{name}",
                why=f"{member}: {name.replace('_', ' ')}",
                error=error,
                message=message,
                collateral=world.collateral(**changed),
            )
        yield Case(
            name=f"{member}_of_another_root",
            why="document and chain are right under another root than the quote's",
            error="VerificationError",
            message=f"{member.replace('_', ' ')} issuer chain: ends in another root",
            collateral=world.collateral(
                **{key: strange[key] for key in (member, f"{member}_signature", f"{member}_issuer_chain")}
            ),
        )
        text = world.collateral()[member]
        yield Case(
            name=f"{member}_signed_by_another",
            why="the signature over the document is not by the signing certificate's key",
            error="VerificationError",
            message=f"{member.replace('_', ' ')}: signature",
            collateral=world.collateral(
                **{
                    member: text,
                    f"{member}_signature": another_key(pki.tcb_signing).sign_raw(text.encode()).hex(),
                }
            ),
        )
    yield Case(
        name="crl_chain_of_another_root",
        why="both revocation lists are right under another root than the quote's",
        error="VerificationError",
        message="pck crl issuer chain: ends in another root",
        collateral=world.collateral(
            **{key: strange[key] for key in ("pck_crl", "root_ca_crl", "pck_crl_issuer_chain")}
        ),
    )


def _level(document: dict[str, Any]) -> dict[str, Any]:
    level: dict[str, Any] = document["tcbLevels"][0]
    return level


def tcb(world: World) -> Iterator[Case]:
    def set_to(**values: object) -> Callable[[dict[str, Any]], object]:
        return lambda document: document.update(values)

    def one_level(**values: object) -> Callable[[dict[str, Any]], object]:
        return lambda document: document.update(tcbLevels=[{**_level(document), **values}])

    higher = {"sgxtcbcomponents": [{"svn": 5}] * 15 + [{"svn": 6}], "pcesvn": 13}
    higher_pce = {"sgxtcbcomponents": [{"svn": 5}] * 16, "pcesvn": 14}
    dates = {"issueDate": "2025-11-01T00:00:00Z", "nextUpdate": "2025-12-01T00:00:00Z"}
    future = {"issueDate": "2026-02-01T00:00:00Z", "nextUpdate": "2026-03-01T00:00:00Z"}
    verification, malformed, stale = "VerificationError", "MalformedError", "CollateralError"
    module = {"mrsigner": "00" * 48, "attributes": "00" * 8, "attributesMask": "FF" * 8}
    tdx = {"id": "TDX", "tdxModule": module, "tcbLevels": []}
    changes: tuple[tuple[str, str, str, str, Callable[[dict[str, Any]], object]], ...] = (
        ("tcb_info", "stale", stale, "tcb info: issued", set_to(**dates)),
        ("tcb_info", "future", stale, "tcb info: issued", set_to(**future)),
        ("tcb_info", "version", malformed, "version 4", set_to(version=4)),
        ("tcb_info", "type", malformed, "tcbType", set_to(tcbType=1)),
        ("tcb_info", "for_tdx", verification, "is for TDX", set_to(**tdx)),
        ("tcb_info", "unknown_id", malformed, "neither SGX nor TDX", set_to(id="SNP")),
        ("tcb_info", "other_fmspc", verification, "fmspc", set_to(fmspc="00906ED50000")),
        ("tcb_info", "other_pce_id", verification, "pce id", set_to(pceId="0001")),
        ("tcb_info", "no_level_by_component", verification, "reaches no level", one_level(tcb=higher)),
        ("tcb_info", "no_level_by_pcesvn", verification, "reaches no level", one_level(tcb=higher_pce)),
        ("tcb_info", "unknown_status", malformed, "unknown status", one_level(tcbStatus="Fine")),
        ("tcb_info", "derived_status", malformed, "does not stand", one_level(tcbStatus="TDRelaunchAdvised")),
        ("qe_identity", "stale", stale, "qe identity: issued", set_to(**dates)),
        ("qe_identity", "future", stale, "qe identity: issued", set_to(**future)),
        ("qe_identity", "version", malformed, "version 1", set_to(version=1)),
        ("qe_identity", "of_the_verifier", malformed, "neither QE nor TD_QE", set_to(id="QVE")),
        ("qe_identity", "for_tdx", verification, "is for TDX", set_to(id="TD_QE")),
        ("qe_identity", "other_mrsigner", verification, "qe mrsigner", set_to(mrsigner="AB" * 32)),
        ("qe_identity", "other_product", verification, "qe product", set_to(isvprodid=2)),
        (
            "qe_identity",
            "other_attributes",
            verification,
            "qe attributes",
            set_to(attributes="31" + "00" * 15),
        ),
        ("qe_identity", "other_miscselect", verification, "qe miscselect", set_to(miscselect="01000000")),
        ("qe_identity", "no_level", verification, "reaches no level", one_level(tcb={"isvsvn": QE_SVN + 1})),
        (
            "qe_identity",
            "odd_status",
            verification,
            "is not one that qe can have",
            one_level(tcbStatus="SWHardeningNeeded"),
        ),
    )
    for member, name, error, message, change in changes:
        yield Case(
            name=f"{member}_{name}",
            why=f"{member}, signed: {name.replace('_', ' ')}",
            error=error,
            message=message,
            collateral=world.signed(member, change),
        )
    debug_qe = World(pki=world.pki)
    debug_qe.enclave = QuotingEnclave(world.pki, qe_body=replace(QE_BODY, flags=QE_BODY.flags | 0x02))
    yield Case(
        name="qe_debug",
        why="the quoting enclave runs in debug mode: its attestation key is not secret",
        error=verification,
        message="qe attributes",
        quote=debug_qe.quote(),
    )
    mixed = PlatformTcb(components=bytes([4] + [9] * 15))
    lower = World(pki=SimulationPki.generate(now=NOW, tcb=mixed))
    made = lower.signed(
        "tcb_info",
        lambda document: document["tcbLevels"].insert(
            0, {**_level(document), "tcb": {"sgxtcbcomponents": [{"svn": 5}] * 16, "pcesvn": 13}}
        ),
    )
    made = _with_status(lower, made, second="ConfigurationNeeded")
    yield Case(
        name="tcb_one_component_behind",
        why="fifteen components are ahead of the first level and one behind it: the second level counts",
        status="ConfigurationNeeded",
        quote=lower.quote(),
        collateral=made,
    )


def _with_status(world: World, made: dict[str, str], *, second: str) -> dict[str, str]:
    document = json.loads(made["tcb_info"])
    document["tcbLevels"][1]["tcbStatus"] = second
    text = documents.document_text(document)
    return {
        **made,
        "tcb_info": text,
        "tcb_info_signature": world.pki.tcb_signing.sign_raw(text.encode()).hex(),
    }


def write(case: Case, folder: Path, *, valid: Case) -> None:
    target = folder / case.name
    target.mkdir(parents=True)
    expect = {
        "why": case.why,
        "at": f"{case.at:%Y-%m-%dT%H:%M:%SZ}",
        "error": case.error,
        "message": case.message,
        "status": case.status,
        "advisories": list(case.advisories),
    }
    (target / "expect.json").write_text(json.dumps(expect, indent=1) + "\n")
    if case.quote is not None:
        (target / "quote.bin").write_bytes(case.quote)
    if case.collateral is not None:
        base = {} if case is valid or valid.collateral is None else valid.collateral
        differing = {name: value for name, value in case.collateral.items() if base.get(name) != value}
        (target / "collateral.json").write_text(json.dumps(differing, indent=1) + "\n")


def main() -> None:
    folder = Path(sys.argv[1])
    shutil.rmtree(folder, ignore_errors=True)
    world = World(pki=SimulationPki.generate(now=NOW))
    makers = (statuses, quotes, chains, revocation, signers, tcb)
    cases = [case for maker in makers for case in maker(world)]
    for case in cases:
        write(case, folder, valid=cases[0])
    print(f"{len(cases)} cases in {folder}")


if __name__ == "__main__":
    main()
