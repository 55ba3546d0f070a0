"""One change each to an honest world, and the verdict that it gets."""

import hashlib
from collections.abc import Callable
from dataclasses import replace

import evidence_world as w
from nacl.signing import SigningKey

from sealroom.core.attestation.quote_checks import AttributeRule
from sealroom.core.evidence.expectations import Contact, OwnRole
from sealroom.core.evidence.verdict import Verdict
from sealroom.core.wire.bundle import RawCollateral
from sealroom.core.wire.code_list import CodeList
from sealroom.core.wire.participants import Role
from sealroom.core.wire.terms import DeliveryForm
from sealroom.insecure.collateral import Wish, make_collateral
from sealroom.insecure.pck_extension import PlatformTcb
from sealroom.insecure.pki import SimulationPki
from sealroom.insecure.quoting import QE_BODY, QuotingEnclave, ReportBody

OTHER = SigningKey(b"somebody else's seed of 32 bytes")


def flipped(raw: bytes, offset: int) -> bytes:
    changed = bytearray(raw)
    changed[offset] ^= 1
    return bytes(changed)


def quote_section(quote: bytes, offset: int) -> int:
    """The offset of a field of the signature section, which starts after header, body and its length."""
    return 48 + 384 + 4 + offset


def with_quote(change: Callable[[bytes], bytes]) -> Verdict:
    made = w.world()
    return w.appraised(made.but(shown={"quote": change(made.quote)}))


def with_terms(**changes: object) -> Verdict:
    """Other terms in an enclave that was launched with them; the invitation knows them, too."""
    terms = replace(w.TERMS, **changes)
    made = w.world(terms=terms)
    return w.appraised(made, expected=w.expectations(terms_prefix=terms.digest[:16]))


def with_the_older_form() -> Verdict:
    """The published client's form of delivery, which has no signature over the code."""
    terms = replace(w.TERMS, delivery=DeliveryForm.LEGACY)
    made = w.world(terms=terms, shown={"code_signature": None})
    return w.appraised(made, expected=w.expectations(terms_prefix=terms.digest[:16]))


def with_collateral(**members: str) -> Verdict:
    collateral = make_collateral(w.pki(), now=w.NOW) | members
    return w.appraised(w.world(shown={"collateral": RawCollateral(**collateral)}))


def of_another_issuer(**wanted: str) -> Verdict:
    other = make_collateral(SimulationPki.generate(now=w.NOW), now=w.NOW)
    return with_collateral(**{name: other[name] for name in wanted})


def with_wish(**wanted: object) -> Verdict:
    return w.appraised(w.world(wish=Wish(**wanted)))


def with_report(**fields: object) -> Verdict:
    return w.appraised(w.world(report=fields))


def with_requirements(requirements: bytes) -> Verdict:
    return w.appraised(w.world_with_packages(requirements=requirements))


def with_a_wheel_of_another_version() -> Verdict:
    return w.appraised(w.world_with_packages(pins=(replace(w.PIN, version="1.1"),)))


def with_hidden_requirements() -> Verdict:
    files = (*w.world().code_list.files, w.code_file("requirements.txt", b""))
    return w.appraised(w.world(code_list=CodeList.from_files(files)))


def with_manifest(old: bytes, new: bytes) -> Verdict:
    """A manifest that somebody edited, in an enclave that really was started with it."""
    made = w.world()
    assert old in made.built_manifest
    return w.appraised(made.but(manifest=made.built_manifest.replace(old, new, 1)))


def of_another_qe() -> Verdict:
    made = w.world()
    body = ReportBody(
        mrenclave=w.appraised(made).mrenclave or b"",
        report_data=hashlib.sha256(w.IDENTITY_PK).digest() + w.BOX_PK,
    )
    enclave = QuotingEnclave(w.pki(), qe_body=replace(QE_BODY, mrsigner=bytes(32)))
    return w.appraised(made.but(shown={"quote": enclave.quote(body)}))


def of_an_old_platform() -> Verdict:
    """A platform whose certified level lies below every level of the documents."""
    low = SimulationPki.generate(now=w.NOW, tcb=PlatformTcb(pce_svn=0, components=bytes(16)))
    high = replace(low, tcb=PlatformTcb())
    collateral = make_collateral(high, now=w.NOW, wish=Wish())
    raised = collateral["tcb_info"].replace('"pcesvn":0', '"pcesvn":1')
    collateral |= {"tcb_info": raised, "tcb_info_signature": low.tcb_signing.sign_raw(raised.encode()).hex()}
    return w.appraised(w.world(pki=low, shown={"collateral": RawCollateral(**collateral)}))


def of_another_kind_of_platform() -> Verdict:
    other = replace(w.pki(), tcb=replace(w.pki().tcb, fmspc=bytes(6)))
    return w.appraised(w.world(shown={"collateral": RawCollateral(**make_collateral(other, now=w.NOW))}))


def expecting(**changes: object) -> Verdict:
    return w.appraised(w.world(), expected=w.expectations(**changes))


def by(**changes: object) -> Verdict:
    return w.appraised(w.world(), by=w.policy(**changes))


AVX_RULE = AttributeRule(flags=0, flags_mask=0, xfrm=0x7, xfrm_mask=0x7, miscselect=0, miscselect_mask=0)
OTHER_CONTACT = {"rita@registry.example": Contact(public_key=bytes(OTHER.verify_key), pinned=True)}
OTHER_OWN = (
    OwnRole(role=Role.DATA_PROVIDER, email="dora@hospital.example", public_key=bytes(OTHER.verify_key)),
)
