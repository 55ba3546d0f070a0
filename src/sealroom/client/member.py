"""What every member of a computation can do, and what everybody who holds a key in it can do besides.

Must never: verify against anything that came from the server; expectations are the invitation's, the
contacts' and the journal's.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from sealroom.client import delivering, runs, verification
from sealroom.client.code_archive import MAX_ARCHIVE_BYTES, OpenCode, read_code
from sealroom.client.computation import Computation
from sealroom.client.delivering import DeliveryAnswer, DeliveryRequest
from sealroom.client.delivery_journal import Consent, DeliveryKey, NotedRefusal
from sealroom.client.journal import Registration
from sealroom.client.json_values import JsonObject
from sealroom.client.receipts import RunRecord
from sealroom.client.runs import OpenedLog
from sealroom.client.session import Client
from sealroom.client.store import ComputationFolder
from sealroom.client.transport import Progress
from sealroom.client.verification import Assessment
from sealroom.core.errors import MalformedError, TransportError, VerificationError
from sealroom.core.evidence.policy import Policy
from sealroom.core.wire.code_list import CodeFile, CodeList, verify_code_signature
from sealroom.core.wire.enclave import SimulatedEnclave, VerifiedEnclave
from sealroom.core.wire.participants import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewedCode:
    """The readable part of the code, equal to the list that `signer` signed.

    Whether `signer` is who it should be is told by `signer_pinned` (a contact), and whether an enclave
    measured just this list by that enclave's verdict.
    """

    code: OpenCode
    digest: bytes
    signer_email: str
    signer: bytes
    signer_pinned: bool


class Member:
    """One computation, as any member sees it: the owner too, who holds no key."""

    def __init__(self, client: Client, computation: UUID) -> None:
        self.client = client
        self.computation = computation
        self.folder = ComputationFolder(client.home, computation)
        # Refuses, before anything else, a computation that was never joined or made here.
        self.folder.load()

    def status(self, *, with_evidence: bool = False) -> Computation:
        """Fetch where the computation stands, as the server says."""
        return self.client.computation(self.computation, with_evidence=with_evidence)

    def wait(
        self,
        until: Callable[[Computation], bool],
        *,
        timeout_seconds: float,
        poll_seconds: float = 1.0,
        seen: Callable[[Computation], None] | None = None,
    ) -> Computation:
        """Ask again and again until `until` is satisfied; raises `TransportError` after the timeout."""
        ends = time.monotonic() + timeout_seconds
        while True:
            found = self.status()
            if seen:
                seen(found)
            if until(found):
                return found
            if time.monotonic() >= ends:
                raise TransportError(
                    f"computation {self.computation}: still {found.state.value} after {timeout_seconds:g} s"
                )
            time.sleep(poll_seconds)

    def events(self) -> tuple[JsonObject, ...]:
        """Fetch the server's event list."""
        return self.client.transport.get_json(f"/computations/{self.computation}/events").items("events")

    def code(
        self,
        *,
        enclave: VerifiedEnclave | SimulatedEnclave | None = None,
        progress: Progress | None = None,
    ) -> ReviewedCode:
        """Download the code and return what can be read of it.

        Guaranteed: the archive is exactly the list, and the list carries the signature of the key that is
        shown as its provider's. With `enclave` it is also the list that this enclave measured, and the key
        is the one in its arguments. Raises `VerificationError` otherwise.
        """
        listed = self.client.transport.get_json(f"/computations/{self.computation}/code/list")
        files = _parse_code_list(listed)
        if enclave is not None and enclave.arguments.code_digest != files.digest:
            raise VerificationError("code: not the list that the enclave measured")
        email, signer = self._code_signer(enclave)
        verify_code_signature(
            public_key=signer,
            computation=self.computation,
            digest=files.digest,
            signature=listed.hexadecimal("signature", length=64),
        )
        with tempfile.TemporaryFile(dir=self.folder.path) as archive:
            self.client.transport.download(
                f"/computations/{self.computation}/code",
                archive,
                max_bytes=MAX_ARCHIVE_BYTES,
                progress=progress,
                label="code",
            )
            archive.seek(0)
            code = read_code(archive, files)
        return ReviewedCode(
            code=code,
            digest=files.digest,
            signer_email=email,
            signer=signer,
            signer_pinned=self._is_pinned(email, signer),
        )

    def note_reviewed(self, reviewed: ReviewedCode) -> None:
        """Note that this participant looked at this code: an enclave with another one fails its verdict."""
        self.client.journal.note_reviewed(self.computation, reviewed.digest)

    def fetch_evidence(self, *, epoch: int | None = None) -> bytes:
        """Fetch the evidence bundle of the current enclave, or of an earlier one; nothing is verified."""
        return self.client.fetch_evidence(self.computation, epoch=epoch)

    def appraise(
        self, policy: Policy, *, bundle: bytes | None = None, progress: Progress | None = None
    ) -> Assessment:
        """Run every check over the evidence (fetched unless given) and return the verdict for a person.

        Wheels that the code needs and this home does not have are fetched from the server first, and listed.
        """
        return verification.assess(self.client, self.folder, policy, bundle=bundle, progress=progress)

    def verify(self, policy: Policy, *, bundle: bytes | None = None) -> VerifiedEnclave:
        """Verify the evidence, or raise with the verdict; the result may be delivered to for ten minutes."""
        return verification.verify(self.client, self.folder, policy, bundle=bundle)

    def insecure_verify_simulated(self, policy: Policy, *, bundle: bytes | None = None) -> SimulatedEnclave:
        """Verify a simulated enclave by the same steps; it protects nothing from its host."""
        return verification.insecure_verify_simulated(self.client, self.folder, policy, bundle=bundle)

    def receipt(
        self,
        *,
        epoch: int | None = None,
        enclave: VerifiedEnclave | SimulatedEnclave | None = None,
    ) -> RunRecord:
        """Fetch the receipt of a launch (the latest that has one unless told) and verify it.

        Without `enclave` it must be of one that this participant delivered to, by the journal; the owner, who
        delivers nothing, gives the enclave that was verified. A refusal signed by an enclave that was
        delivered to is noted in the journal.
        """
        return runs.fetch_record(self.client, self.folder, epoch=epoch, enclave=enclave)

    def logs(self, *, epoch: int | None = None) -> OpenedLog:
        """Fetch and open the sealed log of a run, and check it against the receipt."""
        return runs.open_run_log(self.client, self.folder, epoch=epoch)

    def _code_signer(self, enclave: VerifiedEnclave | SimulatedEnclave | None) -> tuple[str, bytes]:
        if enclave is not None:
            provider = enclave.arguments.in_role(Role.CODE_PROVIDER)[0]
            return provider.email, provider.public_key
        claimed = next((p for p in self.status().participants if p.role is Role.CODE_PROVIDER), None)
        if claimed is None or claimed.public_key is None:
            raise VerificationError("code: its provider has registered no key")
        return claimed.email, claimed.public_key

    def _is_pinned(self, email: str, public_key: bytes) -> bool:
        known = self.client.contacts.find(email)
        if known is None or not known.pinned:
            return False
        if known.public_key != public_key:
            raise VerificationError("code: signed with another key than the one pinned for its provider")
        return True

    def _post(self, action: str, body: dict[str, object] | None = None) -> None:
        self.client.transport.post_json(f"/computations/{self.computation}/{action}", body)


class KeyHolder(Member):
    """A participant who registers a key in one role and delivers it: the base of three roles."""

    role: ClassVar[Role]

    def register(self) -> Computation:
        """Register this home's public key for the role; asking again changes nothing."""
        public_key = self.client.identity.public_key
        registration = Registration(role=self.role, email=self.client.account.email, public_key=public_key)
        self.client.journal.note_registration(self.computation, registration)
        self._post("keys", {"role": self.role.value, "public_key": public_key.hex()})
        return self.status()

    def deliver(
        self,
        enclave: VerifiedEnclave | SimulatedEnclave,
        *,
        consent: Consent | None = None,
        insecure_accept_simulated: UUID | None = None,
    ) -> DeliveryAnswer:
        """Deliver this role's key to an enclave verified less than ten minutes ago.

        At most once to one enclave; asked again, the same bytes are sent. A simulated enclave is taken only
        with this computation's UUID in `insecure_accept_simulated`. Refusals that the server holds are
        collected first. Raises `DeliveryBlockedError` when a person must decide.
        """
        self.collect_refusals()
        request = DeliveryRequest(
            enclave=enclave,
            role=self.role,
            consent=consent or Consent(),
            insecure_accept_simulated=insecure_accept_simulated,
        )
        return delivering.deliver(self.client, self.folder, request)

    def send_again(self) -> DeliveryAnswer | None:
        """Send the recorded delivery to the current enclave once more; `None` when there is none."""
        launch = self.status().launch
        if launch is None or launch.mrenclave is None:
            return None
        key = DeliveryKey(computation=self.computation, mrenclave=launch.mrenclave, role=self.role)
        noted = self.client.deliveries.delivery(key)
        return None if noted is None else delivering.send_delivery(self.client, key, noted.wire)

    def collect_refusals(self) -> tuple[NotedRefusal, ...]:
        """Fetch signed refusals, keep those that verify, and return all that are held."""
        runs.collect_refusals(self.client, self.folder)
        return self.client.deliveries.refusals(self.computation)

    def refuse(self, reason: str) -> Computation:
        """Refuse the current enclave, with a reason for everybody; it ends with a signed refusal."""
        self._post("refusal", {"reason": reason})
        return self.status()

    def withdraw(self, reason: str = "") -> Computation:
        """Leave the computation for good."""
        self._post("withdraw", {"reason": reason})
        return self.status()


def _parse_code_list(value: JsonObject) -> CodeList:
    files = []
    for entry in value.array("files"):
        if not isinstance(entry, list) or len(entry) != 3:
            raise MalformedError("code list: expected path, size and sha256")
        path, size, digest = entry
        if not isinstance(path, str) or not isinstance(digest, str) or type(size) is not int:
            raise MalformedError("code list: expected path, size and sha256")
        try:
            files.append(CodeFile(path=path, size=size, sha256=bytes.fromhex(digest)))
        except ValueError as error:
            raise MalformedError("code list: sha256 is not hexadecimal") from error
    return CodeList(files=tuple(files))
