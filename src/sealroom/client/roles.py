"""The four roles, one small class each. `Client` is the account they act from.

`ComputationOwner` names the people and makes the invitation; `CodeProvider`, `DataProvider` and
`ResultConsumer` hold keys. Each of them verifies the enclave itself before it delivers one.
"""

from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

from sealroom.client.code_archive import CodeOwner, pack_code, read_requirements
from sealroom.client.computation import Computation, parse_computation
from sealroom.client.inputs import InputSender
from sealroom.client.locking import fetch_from_index
from sealroom.client.member import KeyHolder, Member
from sealroom.client.results import Result, ResultTarget, fetch_results
from sealroom.client.session import Client
from sealroom.client.store import ComputationFolder, JoinedComputation
from sealroom.client.transport import FileBody, Progress, Request
from sealroom.client.wheel_store import WheelStore
from sealroom.client.wheel_transfer import WheelCourier
from sealroom.core.errors import MalformedError, TransportError
from sealroom.core.measurement.requirements import Requirement
from sealroom.core.sealing.code_signature import sign_code
from sealroom.core.sealing.invitation import TERMS_PREFIX_SIZE, Invitation, format_invitation
from sealroom.core.sealing.words import WORD_COUNT, generate_words
from sealroom.core.wire.code_list import CodeList
from sealroom.core.wire.input_list import InputFile, InputList
from sealroom.core.wire.participants import Role
from sealroom.core.wire.terms import DeliveryForm, Limits, LogRelease, Tee, Terms

DEFAULT_LIMITS = Limits(
    max_output_bytes=64 * 1024 * 1024,
    max_log_bytes=64 * 1024,
    max_seconds=3600,
    max_memory=2 * 1024 * 1024 * 1024,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputationDraft:
    """What an owner decides: the people by their addresses, and every policy choice."""

    name: str
    code_provider: str
    data_providers: tuple[str, ...]
    result_consumers: tuple[str, ...]
    tee: Tee
    logs: LogRelease = LogRelease.PARTICIPANTS
    limits: Limits = field(default=DEFAULT_LIMITS)
    word_count: int = WORD_COUNT

    def terms(self, computation: UUID, *, owner: str) -> Terms:
        """Return the terms of a computation made of this draft; raises `MalformedError`."""
        return Terms(
            tee=self.tee,
            delivery=DeliveryForm.V1,
            computation=computation,
            owner=owner,
            code_provider=self.code_provider,
            data_providers=self.data_providers,
            result_consumers=self.result_consumers,
            logs=self.logs,
            limits=self.limits,
        )


class ComputationOwner(Member):
    """Who made the computation: names the people, hands out the invitation, ends and relaunches."""

    @classmethod
    def create(cls, client: Client, draft: ComputationDraft) -> "ComputationOwner":
        """Create a computation. UUID, words and invitation are made here; the server never learns the words.

        Hand `invitation_line` or `invitation_file` to the participants by another channel.
        """
        computation = uuid4()
        terms = draft.terms(computation, owner=client.account.email)
        invitation = Invitation(
            computation=computation,
            terms_prefix=terms.digest[:TERMS_PREFIX_SIZE],
            words=generate_words(draft.word_count),
        )
        client.journal.note_computation(computation, invitation.terms_prefix, created_here=True)
        folder = ComputationFolder(client.home, computation)
        folder.save(JoinedComputation(invitation=invitation, server=client.server))
        try:
            answer = client.transport.post_json("/computations", _proposal(terms, draft.name))
        except TransportError as error:
            if error.code is not None:
                folder.discard()
            raise
        if parse_computation(answer).computation != computation:
            raise MalformedError("computation: the server answered about another one")
        return cls(client, computation)

    @property
    def invitation_line(self) -> str:
        """The invitation as one line. It holds the words: never send it through the server."""
        return format_invitation(self.folder.load().invitation)

    @property
    def invitation_file(self) -> bytes | None:
        """The invitation as a file with the server's address; `None` if its certificate is not pinned."""
        return self.folder.load().file()

    def cancel(self, reason: str = "") -> Computation:
        """End the computation for good."""
        self._post("cancel", {"reason": reason})
        return self.status()

    def relaunch(self) -> Computation:
        """Launch again; everybody verifies and delivers again, and uploaded data stays."""
        self._post("relaunch")
        return self.status()

    def archive(self) -> Computation:
        """Put an ended computation away: input files are removed, receipts and results stay."""
        self._post("archive")
        return self.status()


class CodeProvider(KeyHolder):
    """Who brings the program."""

    role = Role.CODE_PROVIDER

    def send(self, folder: Path, *, progress: Progress | None = None) -> CodeList:
        """Send a program: `run.py` and `requirements.txt` in the clear, every other file sealed.

        The wheels that `requirements.txt` names go first, from this home's store; one that is not there is
        downloaded with pip. Raises `PackageIndexError` where that fails.

        New code while an enclave waits ends that enclave, and everybody verifies the next one.
        """
        owner = CodeOwner(
            computation=self.computation,
            public_key=self.client.identity.public_key,
            data_key=self.folder.data_key(self.role),
        )
        self._send_wheels(read_requirements(folder), progress)
        files = pack_code(folder, self.folder.code_archive, owner, progress=progress)
        signature = sign_code(files, computation=self.computation, signing_key=self.client.identity)
        self.client.journal.note_code(self.computation, digest=files.digest, signature=signature)
        self.client.transport.send(
            Request(
                method="POST",
                path=f"/computations/{self.computation}/code",
                content=FileBody(path=self.folder.code_archive, progress=progress, label="code"),
                patient=True,
                headers={"Sealroom-Code-Signature": signature.hex(), "Content-Type": "application/x-tar"},
            )
        )
        self.folder.code_archive.unlink(missing_ok=True)
        return files

    def _send_wheels(self, requirements: tuple[Requirement, ...], progress: Progress | None) -> None:
        if not requirements:
            return
        store = WheelStore(self.client.home)
        fetch_from_index(requirements, store, progress=progress)
        courier = WheelCourier(transport=self.client.transport, computation=self.computation, store=store)
        courier.send(requirements, progress=progress)


class DataProvider(KeyHolder):
    """Who brings data: sealed at home, uploaded resumably, then fixed by a commitment."""

    role = Role.DATA_PROVIDER

    def send(self, path: Path, *, name: str | None = None, progress: Progress | None = None) -> InputFile:
        """Seal a file and upload it; asked again after an interruption, it goes on where that stopped."""
        return self._sender().send(path, name=name, progress=progress)

    def remove(self, name: str) -> None:
        """Take a file back, possible until `done`."""
        self._sender().remove(name)

    @property
    def inputs(self) -> InputList:
        """The files sent so far, in the order that the enclave will read them."""
        return self.client.journal.uploads(self.computation)

    @property
    def commitment(self) -> bytes | None:
        """The commitment to the list of inputs, once it is done."""
        fixed = self.client.journal.commitment(self.computation)
        return None if fixed is None else fixed[0]

    def done(self, *, progress: Progress | None = None) -> bytes:
        """Say that the list is complete, and return the commitment. It is final for this computation."""
        return self._sender().done(progress=progress)

    def _sender(self) -> InputSender:
        return InputSender(
            transport=self.client.transport,
            journal=self.client.journal,
            folder=self.folder,
            public_key=self.client.identity.public_key,
        )


class ResultConsumer(KeyHolder):
    """Who reads the results."""

    role = Role.RESULT_CONSUMER

    def results(
        self, folder: Path | None = None, *, epoch: int | None = None, progress: Progress | None = None
    ) -> tuple[Result, ...]:
        """Download, verify against the receipt, and open every result, into `folder` or the home."""
        return fetch_results(
            self.client, self.folder, ResultTarget(folder=folder, epoch=epoch, progress=progress)
        )


KEY_HOLDERS: dict[Role, type[KeyHolder]] = {
    Role.CODE_PROVIDER: CodeProvider,
    Role.DATA_PROVIDER: DataProvider,
    Role.RESULT_CONSUMER: ResultConsumer,
}


def key_holder(client: Client, computation: UUID, role: Role) -> KeyHolder:
    """Return the participant of a computation in one role."""
    return KEY_HOLDERS[role](client, computation)


def _proposal(terms: Terms, name: str) -> dict[str, object]:
    return {
        "computation": str(terms.computation),
        "name": name,
        "tee": terms.tee.value,
        "delivery": terms.delivery.value,
        "code_provider": terms.code_provider,
        "data_providers": list(terms.data_providers),
        "result_consumers": list(terms.result_consumers),
        "logs": terms.logs.value,
        "max_output_bytes": terms.limits.max_output_bytes,
        "max_log_bytes": terms.limits.max_log_bytes,
        "max_seconds": terms.limits.max_seconds,
        "max_memory": terms.limits.max_memory,
    }
