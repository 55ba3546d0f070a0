"""Verifying the enclave of a computation against what this participant knows by itself.

Expectations are the invitation's, the contacts', the journal's and the installed release's. Must never: take
one of them from the server, or call an enclave verified that `core.evidence` did not.
Spec: docs/spec/verification.md.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from sealroom.adapters.release import load_release
from sealroom.client.session import Client
from sealroom.client.store import ComputationFolder
from sealroom.core.attestation.roots import INTEL_SGX_ROOT_KEY
from sealroom.core.evidence.capabilities import CapabilityReport, appraise_capabilities
from sealroom.core.evidence.expectations import Contact, Expectations, OwnRole
from sealroom.core.evidence.policy import Policy
from sealroom.core.evidence.verdict import Verdict
from sealroom.core.evidence.verify import insecure_verify_simulated_evidence, verify_evidence
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


def assess(
    client: Client, folder: ComputationFolder, policy: Policy, *, bundle: bytes | None = None
) -> Assessment:
    """Fetch the evidence, unless given, and run every check; what comes back decides nothing by itself."""
    raw = client.fetch_evidence(folder.computation) if bundle is None else bundle
    report = appraise_capabilities(
        raw,
        policy=policy,
        expected=expectations(client, folder),
        own_inputs=own_inputs(client, folder),
        release=load_release(),
        roots=ROOTS,
        now=datetime.now(UTC),
    )
    return Assessment(bundle=raw, report=report)


def verify(
    client: Client, folder: ComputationFolder, policy: Policy, *, bundle: bytes | None = None
) -> VerifiedEnclave:
    """Verify the enclave's evidence, archive it, and return what may be delivered to for ten minutes.

    Raises `VerificationError` (with the verdict), `CollateralError` or `MalformedError`.
    """
    raw = client.fetch_evidence(folder.computation) if bundle is None else bundle
    enclave = verify_evidence(
        raw,
        policy=policy,
        expected=expectations(client, folder),
        release=load_release(),
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
    enclave = insecure_verify_simulated_evidence(
        raw,
        policy=policy,
        expected=expectations(client, folder),
        release=load_release(),
        roots=ROOTS,
        now=datetime.now(UTC),
    )
    folder.save_evidence(enclave.mrenclave, raw)
    return enclave
