"""A simulated computation in memory, whose evidence a test can change at any one place."""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from uuid import UUID

from nacl.signing import SigningKey

from made_wheels import make_wheel, pin, requirements_of
from sealroom.adapters.policies import load_policy
from sealroom.core.attestation.roots import INTEL_SGX_ROOT_KEY
from sealroom.core.evidence.expectations import Expectations, OwnRole
from sealroom.core.evidence.policy import Policy
from sealroom.core.evidence.rebuild import rebuild_manifest
from sealroom.core.evidence.verdict import Verdict
from sealroom.core.evidence.verify import appraise
from sealroom.core.measurement.known_pals import KnownPal
from sealroom.core.measurement.mrenclave import measure
from sealroom.core.measurement.release import Release
from sealroom.core.measurement.requirements import Requirement
from sealroom.core.measurement.runtime_bill import PackageKind, RuntimeBill, RuntimeFile, RuntimePackage
from sealroom.core.measurement.template import MeasuredFile
from sealroom.core.measurement.wheel import UnpackedWheel, list_wheel
from sealroom.core.wire.arguments import Arguments
from sealroom.core.wire.bundle import EvidenceBundle, RawCollateral
from sealroom.core.wire.code_list import CodeFile, CodeList, code_signature_message
from sealroom.core.wire.participants import Participant, Role
from sealroom.core.wire.report_data import report_data
from sealroom.core.wire.terms import DeliveryForm, Limits, LogRelease, Tee, Terms
from sealroom.insecure.collateral import Wish, make_collateral
from sealroom.insecure.pki import SimulationPki
from sealroom.insecure.quoting import QuotingEnclave, ReportBody
from sealroom.insecure.synthetic_pal import synthetic_pal

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
COMPUTATION = UUID("0b0e7d3c-6a4f-4d55-9c1e-2f8f3c1d9a10")
CODE = SigningKey(b"code provider's own seed, 32 byt")
DATA = SigningKey(b"data provider's own seed, 32 byt")
RESULT = SigningKey(b"the consumer's own seed, 32 byte")
ENTRY = b"print('what everybody can read')\n"
SECRET = b"a sealed module, as it is stored"
IDENTITY_PK = bytes(SigningKey(b"the enclave's own seed, 32 bytes").verify_key)
BOX_PK = bytes(range(32))
ROOTS = (INTEL_SGX_ROOT_KEY,)
WHEEL = make_wheel("one", "1", {"one/__init__.py": b"1", "one/data.bin": b"2"})
PIN = pin(WHEEL, "one", "1")

PAL = KnownPal(
    name="synthetic",
    source="a test",
    tee=Tee.SIMULATED,
    sha256=hashlib.sha256(synthetic_pal()).digest(),
    libos_uri="file:pal",
    libos_sha256=hashlib.sha256(synthetic_pal()).digest(),
)
RELEASE = Release(
    version="0.1.0",
    first_party=(
        MeasuredFile(path="start.py", sha256=bytes([1]) * 32),
        MeasuredFile(path="lib/sealroom/__init__.py", sha256=bytes([2]) * 32),
    ),
    legacy_first_party=(),
    service_first_party=(),
    pals=(PAL,),
    sgx_runtime=None,
)
RUNTIME = (
    MeasuredFile(path="runtime/bin/python3", sha256=bytes([3]) * 32),
    MeasuredFile(path="runtime/lib/python3.11/os.py", sha256=bytes([4]) * 32),
    MeasuredFile(path="runtime/lib/python3.11/x.cpython-311-x86_64-linux-gnu.so", sha256=bytes([5]) * 32),
)


def bill(files: tuple[MeasuredFile, ...]) -> RuntimeBill:
    """A bill of materials with these files, all of one package."""
    package = RuntimePackage(
        kind=PackageKind.DEB, name="python3.11", version="3.11.2", architecture="amd64", sha256=bytes(32)
    )
    rows = (RuntimeFile(path=file.path, sha256=file.sha256, package=package.name) for file in files)
    return RuntimeBill((package,), tuple(rows))


def code_file(path: str, content: bytes) -> CodeFile:
    return CodeFile(path=path, size=len(content), sha256=hashlib.sha256(content).digest())


def participants() -> tuple[Participant, ...]:
    people = (
        (Role.CODE_PROVIDER, "carol@code.example", CODE),
        (Role.DATA_PROVIDER, "dora@hospital.example", DATA),
        (Role.RESULT_CONSUMER, "rita@registry.example", RESULT),
    )
    return tuple(
        Participant(role=role, index=0, email=email, public_key=bytes(key.verify_key))
        for role, email, key in people
    )


TERMS = Terms(
    tee=Tee.SIMULATED,
    delivery=DeliveryForm.V1,
    computation=COMPUTATION,
    owner="olga@owner.example",
    code_provider="carol@code.example",
    data_providers=("dora@hospital.example",),
    result_consumers=("rita@registry.example",),
    logs=LogRelease.PARTICIPANTS,
    limits=Limits(max_output_bytes=10**6, max_log_bytes=4096, max_seconds=60, max_memory=1 << 28),
)


@dataclass(frozen=True, kw_only=True)
class World:
    """What everybody did; every member can be replaced before the evidence is made.

    The first members make the others, so that a change of the terms changes arguments, manifest and quote, as
    an operator would do it who launches another enclave. `shown` changes parts of the bundle alone.
    """

    pki: SimulationPki
    terms: Terms = TERMS
    people: tuple[Participant, ...] = field(default_factory=participants)
    code_list: CodeList = field(
        default_factory=lambda: CodeList.from_files(
            (code_file("run.py", ENTRY), code_file("model/secret.py", SECRET))
        )
    )
    packages_digest: bytes = bytes(32)
    packages: tuple[MeasuredFile, ...] = ()
    wheels: Mapping[bytes, UnpackedWheel] = field(default_factory=dict)
    release: Release = RELEASE
    pal: KnownPal = PAL
    pal_bytes: bytes = field(default_factory=synthetic_pal)
    runtime: tuple[MeasuredFile, ...] = RUNTIME
    manifest: bytes | None = None
    wish: Wish = field(default_factory=Wish)
    report: dict[str, object] = field(default_factory=dict)
    signer: SigningKey = CODE
    shown: dict[str, object] = field(default_factory=dict)

    @property
    def arguments(self) -> Arguments:
        return Arguments(
            terms=self.terms,
            participants=self.people,
            code_digest=self.code_list.digest,
            packages_digest=self.packages_digest,
            launch=bytes(16),
        )

    @property
    def built_manifest(self) -> bytes:
        if self.manifest is not None:
            return self.manifest
        return rebuild_manifest(
            arguments=self.arguments,
            code_list=self.code_list,
            packages=self.packages,
            release=self.release,
            pal=self.pal,
            runtime=self.runtime,
        )

    @property
    def quote(self) -> bytes:
        body = ReportBody(
            mrenclave=measure(self.built_manifest, self.pal_bytes).mrenclave,
            report_data=report_data(identity_pk=IDENTITY_PK, box_pk=BOX_PK),
        )
        return QuotingEnclave(self.pki).quote(replace(body, **self.report))

    @property
    def bundle(self) -> EvidenceBundle:
        message = code_signature_message(self.terms.computation, self.code_list.digest)
        bundle = EvidenceBundle(
            release="0.1.0",
            quote=self.quote,
            identity_pk=IDENTITY_PK,
            collateral=RawCollateral(**make_collateral(self.pki, now=NOW, wish=self.wish)),
            manifest=self.built_manifest,
            arguments=self.arguments.to_bytes(),
            entry_point=ENTRY,
            requirements=None,
            code_list=self.code_list,
            code_signature=self.signer.sign(message).signature,
            sigstruct=None,
            pal=self.pal_bytes,
        )
        return replace(bundle, **self.shown)

    def but(self, **changes: object) -> "World":
        return replace(self, **changes)


@cache
def pki() -> SimulationPki:
    return SimulationPki.generate(now=NOW)


def world(**changes: object) -> World:
    return replace(World(pki=pki()), **changes)


def world_with_packages(
    *wheels: bytes, pins: tuple[Requirement, ...] = (), requirements: bytes | None = None
) -> World:
    """A computation whose code names packages; the manifest has the files of `wheels` (the one unless given).

    Everybody knows these wheels. What `requirements.txt` says can be given, too, right or wrong.
    """
    known = {hashlib.sha256(raw).digest(): list_wheel(io.BytesIO(raw)) for raw in wheels or (WHEEL,)}
    raw = requirements_of(*(pins or (PIN,))) if requirements is None else requirements
    files = {file.path: file for wheel in known.values() for file in wheel.files} if raw else {}
    return world(
        code_list=CodeList.from_files((*world().code_list.files, code_file("requirements.txt", raw))),
        packages_digest=hashlib.sha256(raw).digest(),
        packages=tuple(
            MeasuredFile(path=f"packages/{path}", sha256=file.sha256) for path, file in files.items()
        ),
        wheels=known,
        shown={"requirements": raw},
    )


def expectations(**changes: object) -> Expectations:
    expected = Expectations(
        computation=COMPUTATION,
        terms_prefix=TERMS.digest[:16],
        own_roles=(
            OwnRole(
                role=Role.DATA_PROVIDER,
                email="dora@hospital.example",
                public_key=bytes(DATA.verify_key),
            ),
        ),
        contacts={},
        code_digest=None,
    )
    return replace(expected, **changes)


def policy(**changes: object) -> Policy:
    return replace(load_policy("up-to-date"), **changes)


def appraised(
    made: World,
    *,
    by: Policy | None = None,
    expected: Expectations | None = None,
    release: Release = RELEASE,
    roots: tuple[bytes, ...] = ROOTS,
    now: datetime = NOW,
) -> Verdict:
    return appraise(
        made.bundle.to_bytes(),
        policy=policy() if by is None else by,
        expected=expectations() if expected is None else expected,
        release=release,
        wheels=made.wheels,
        roots=roots,
        now=now,
    )
