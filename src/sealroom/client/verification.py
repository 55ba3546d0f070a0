"""Verifying the enclave of a computation against what this participant knows by itself.

Expectations are the invitation's, the contacts', the journal's and the installed release's; the lists of
wheels are this home's. Must never: take one of them from the server, or call an enclave verified that
`core.evidence` did not.
Spec: docs/spec/verification.md.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sealroom.adapters.release import load_release
from sealroom.client.home import Home
from sealroom.client.session import Client
from sealroom.client.store import ComputationFolder
from sealroom.client.transport import Progress
from sealroom.client.wheel_store import WheelStore
from sealroom.client.wheel_transfer import WheelCourier
from sealroom.core.attestation.roots import INTEL_SGX_ROOT_KEY
from sealroom.core.errors import MalformedError, TransportError
from sealroom.core.evidence.capabilities import CapabilityReport, appraise_capabilities
from sealroom.core.evidence.expectations import Contact, Expectations, OwnRole
from sealroom.core.evidence.policy import Policy
from sealroom.core.evidence.verdict import Verdict
from sealroom.core.evidence.verify import insecure_verify_simulated_evidence, verify_evidence
from sealroom.core.measurement.packages import Wheels
from sealroom.core.measurement.release import Release
from sealroom.core.measurement.requirements import Requirement, parse_requirements
from sealroom.core.measurement.wheel import UnpackedWheel
from sealroom.core.wire.bundle import EvidenceBundle
from sealroom.core.wire.enclave import SimulatedEnclave, VerifiedEnclave
from sealroom.core.wire.input_list import InputList
from sealroom.core.wire.participants import Role

ROOTS = (INTEL_SGX_ROOT_KEY,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """The verdict over one evidence bundle with what its program can do, and the bundle."""

    bundle: bytes
    report: CapabilityReport

    @property
    def verdict(self) -> Verdict:
        """The verdict."""
        return self.report.verdict


def expectations(client: Client, folder: ComputationFolder) -> Expectations:
    """Gather what this participant knows about a computation without asking the server."""
    computation = folder.computation
    return Expectations(
        computation=computation,
        terms_prefix=folder.load().invitation.terms_prefix,
        own_roles=tuple(
            OwnRole(role=noted.role, email=noted.email, public_key=noted.public_key)
            for noted in client.journal.registrations(computation)
        ),
        contacts={
            contact.email: Contact(public_key=contact.public_key, pinned=contact.pinned)
            for contact in client.contacts.all()
        },
        code_digest=client.journal.expected_code(computation),
    )


def own_inputs(client: Client, folder: ComputationFolder) -> dict[bytes, InputList]:
    """Return the inputs that this participant's journal committed to, by the key it goes by."""
    committed = client.journal.commitment(folder.computation)
    if committed is None:
        return {}
    _, inputs = committed
    registrations = client.journal.registrations(folder.computation)
    return {noted.public_key: inputs for noted in registrations if noted.role is Role.DATA_PROVIDER}


def named_packages(bundle: bytes) -> tuple[Requirement, ...]:
    """Return the packages that a bundle names. Where it cannot be read, the verdict says what is wrong."""
    with suppress(MalformedError):
        return parse_requirements(EvidenceBundle.from_bytes(bundle).requirements or b"")
    return ()


def known_wheels(home: Home, bundle: bytes) -> dict[bytes, UnpackedWheel]:
    """Return the lists that this home has of the wheels that a bundle names, whoever wrote it."""
    return WheelStore(home).known(named_packages(bundle))


def fetch_wheels(
    client: Client,
    folder: ComputationFolder,
    policy: Policy,
    bundle: bytes,
    *,
    progress: Progress | None = None,
) -> None:
    """Fetch the wheels that a verdict needs and this home does not have, where nothing else is wrong.

    What is refused anyway is worth no download. A wheel that the server does not hand out stays missing, and
    the verdict says so; one that is not what was named raises `VerificationError`.
    """
    store = WheelStore(client.home)
    named = named_packages(bundle)
    if not store.missing(named):
        return
    if _report(client, folder, policy, bundle, wheels={}).verdict.failures:
        return
    courier = WheelCourier(transport=client.transport, computation=folder.computation, store=store)
    try:
        courier.fetch(named, progress=progress)
    except TransportError as error:
        if error.code is None:
            raise


def own_release(home: Home | None) -> Release:
    """Return the installed release, with the bill of materials and the PALs that lie in the home.

    Raises `MalformedError` for a file there that is something else: another one is not used in its place.
    """
    if home is None:
        return load_release()
    return load_release(runtime_bill=_if_there(home.runtime_bill), known_pals=_if_there(home.known_pals))


def _if_there(path: Path) -> Path | None:
    # A link that leads nowhere is there, too: it was meant to be used.
    return path if os.path.lexists(path) else None


def assess(
    client: Client,
    folder: ComputationFolder,
    policy: Policy,
    *,
    bundle: bytes | None = None,
    progress: Progress | None = None,
) -> Assessment:
    """Fetch the evidence, unless given, and run every check; what comes back decides nothing by itself."""
    raw = client.fetch_evidence(folder.computation) if bundle is None else bundle
    fetch_wheels(client, folder, policy, raw, progress=progress)
    report = _report(client, folder, policy, raw, wheels=known_wheels(client.home, raw))
    return Assessment(bundle=raw, report=report)


def _report(
    client: Client, folder: ComputationFolder, policy: Policy, bundle: bytes, *, wheels: Wheels
) -> CapabilityReport:
    return appraise_capabilities(
        bundle,
        policy=policy,
        expected=expectations(client, folder),
        own_inputs=own_inputs(client, folder),
        release=own_release(client.home),
        wheels=wheels,
        roots=ROOTS,
        now=datetime.now(UTC),
    )


def verify(
    client: Client, folder: ComputationFolder, policy: Policy, *, bundle: bytes | None = None
) -> VerifiedEnclave:
    """Verify the enclave's evidence, archive it, and return what may be delivered to for ten minutes.

    Raises `VerificationError` (with the verdict), `CollateralError` or `MalformedError`.
    """
    raw = client.fetch_evidence(folder.computation) if bundle is None else bundle
    fetch_wheels(client, folder, policy, raw)
    enclave = verify_evidence(
        raw,
        policy=policy,
        expected=expectations(client, folder),
        release=own_release(client.home),
        wheels=known_wheels(client.home, raw),
        roots=ROOTS,
        now=datetime.now(UTC),
    )
    folder.save_evidence(enclave.mrenclave, raw)
    return enclave


def insecure_verify_simulated(
    client: Client, folder: ComputationFolder, policy: Policy, *, bundle: bytes | None = None
) -> SimulatedEnclave:
    """Do the steps of `verify` for a simulated enclave, which protects nothing from its host."""
    raw = client.fetch_evidence(folder.computation) if bundle is None else bundle
    fetch_wheels(client, folder, policy, raw)
    enclave = insecure_verify_simulated_evidence(
        raw,
        policy=policy,
        expected=expectations(client, folder),
        release=own_release(client.home),
        wheels=known_wheels(client.home, raw),
        roots=ROOTS,
        now=datetime.now(UTC),
    )
    folder.save_evidence(enclave.mrenclave, raw)
    return enclave
