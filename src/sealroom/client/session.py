"""One participant's account at one server, and the home that everything about it is kept in.

The roles in a computation are in `roles`. Must never: send a token to another server than gave it.
Spec: docs/spec/api.md.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import UUID, uuid4

from sealroom.client.accounts import Account, Accounts
from sealroom.client.computation import (
    Computation,
    Enclave,
    EnclaveIdentity,
    parse_computation,
)
from sealroom.client.contacts import Contacts
from sealroom.client.delivery_journal import DeliveryJournal
from sealroom.client.home import Home
from sealroom.client.identity import load_identity
from sealroom.client.journal import Journal
from sealroom.client.json_values import JsonObject
from sealroom.client.private_files import read_bounded, write_private
from sealroom.client.store import ComputationFolder, JoinedComputation
from sealroom.client.transport import Request, ServerAddress, Transport, TransportOptions
from sealroom.core.attestation.quote import parse_quote
from sealroom.core.attestation.reports import SgxReport
from sealroom.core.errors import MalformedError, SealroomError, VerificationError
from sealroom.core.sealing.keys import SigningKey
from sealroom.core.wire.arguments import parse_arguments
from sealroom.core.wire.bundle import MAX_BUNDLE_BYTES, EvidenceBundle
from sealroom.core.wire.participants import check_email

_MAX_PENDING_BYTES = 4096


class AccountError(SealroomError):
    """There is no account where one is needed, or one where there must be none."""


class Client:
    """A home and one server. Use as a context manager, or call `close`.

    `identity` is the signing key, or a function that opens it when it is first needed (for a passphrase).
    When omitted, the home's key is opened without a passphrase.
    """

    def __init__(
        self,
        *,
        home: Home | Path | str | None = None,
        server: ServerAddress | str,
        identity: SigningKey | Callable[[], SigningKey] | None = None,
        options: TransportOptions | None = None,
    ) -> None:
        self.home = home if isinstance(home, Home) else Home.open(home)
        self.server = ServerAddress(url=server) if isinstance(server, str) else server
        self.contacts = Contacts(self.home)
        self.accounts = Accounts(self.home)
        self.journal = Journal(self.home)
        self.deliveries = DeliveryJournal(self.journal)
        self.transport = Transport(self.server, options)
        self._identity = identity
        account = self.accounts.find(self.server.origin)
        self.transport.use_token(account.token if account else None)

    @classmethod
    def for_computation(
        cls,
        computation: UUID,
        *,
        home: Home | Path | str | None = None,
        identity: SigningKey | Callable[[], SigningKey] | None = None,
        options: TransportOptions | None = None,
    ) -> "Client":
        """Open the client for the server of a computation that was joined or made from this home."""
        opened = home if isinstance(home, Home) else Home.open(home)
        joined = ComputationFolder(opened, computation).load()
        return cls(home=opened, server=joined.server, identity=identity, options=options)

    def close(self) -> None:
        """Close the journal and all connections."""
        self.transport.close()
        self.journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def identity(self) -> SigningKey:
        """The participant's key pair, opened when first asked for."""
        if self._identity is None:
            self._identity = load_identity(self.home)
        elif not isinstance(self._identity, SigningKey):
            self._identity = self._identity()
        return self._identity

    @property
    def account(self) -> Account:
        """The account at this server; raises `AccountError` when there is none."""
        account = self.accounts.find(self.server.origin)
        if account is None:
            raise AccountError(
                f"account: none at {self.server.origin} in {self.home.root}; see sealroom account create"
            )
        return account

    def create_account(self, email: str) -> Account:
        """Make an account at this server and store its token.

        Asked again after an interruption, it finishes what was begun, with the same idempotency key. Raises
        `AccountError` when this home has an account there already.
        """
        check_email(email)
        known = self.accounts.find(self.server.origin)
        if known is not None:
            raise AccountError(f"account: {self.home.root} has one at {self.server.origin}, {known.email}")
        key = self._pending_account(email)
        answer = self.transport.post_json("/accounts", {"email": email}, key=key)
        if answer.text("email") != email:
            raise MalformedError("account: the server answered about another address")
        account = Account(server=self.server.origin, email=email, token=answer.text("token"))
        self.accounts.save(account)
        self._pending_path.unlink(missing_ok=True)
        self.transport.use_token(account.token)
        return account

    def accept_invitation(self, joined: JoinedComputation) -> ComputationFolder:
        """Note an invitation and make its folder.

        Raises `VerificationError` when the UUID was seen with other terms. The same computation with other
        words replaces the words: somebody mistyped, and the owner sent them again.
        """
        invitation = joined.invitation
        self.journal.note_computation(invitation.computation, invitation.terms_prefix)
        folder = ComputationFolder(self.home, invitation.computation)
        if self.journal.is_made_here(invitation.computation) and folder.load().invitation != invitation:
            raise VerificationError("invitation: not the one that was made here for this computation")
        folder.save(joined)
        return folder

    def computations(self) -> tuple[Computation, ...]:
        """List every computation that this account has a part in, without the enclaves' evidence."""
        return tuple(map(parse_computation, self.transport.get_json("/computations").items("computations")))

    def computation(self, computation: UUID, *, with_evidence: bool = False) -> Computation:
        """Fetch one computation; with `with_evidence`, what its enclave says it is, not verified."""
        found = parse_computation(self.transport.get_json(f"/computations/{computation}"))
        if found.computation != computation:
            raise MalformedError("computation: the server answered about another one")
        launch = found.launch
        if not with_evidence or launch is None or launch.evidence_at is None:
            return found
        bundle = self.fetch_evidence(computation)
        return replace(found, enclave=Enclave(identity=claimed_identity(bundle)))

    def fetch_evidence(self, computation: UUID, *, epoch: int | None = None) -> bytes:
        """Fetch the evidence bundle of the current enclave, or of an earlier one, as the server has it."""
        request = Request(
            method="GET",
            path=f"/computations/{computation}/evidence",
            params={} if epoch is None else {"epoch": epoch},
        )
        return self.transport.send(request, max_bytes=MAX_BUNDLE_BYTES)

    @property
    def _pending_path(self) -> Path:
        return self.home.root / "account-request.json"

    def _pending_account(self, email: str) -> UUID:
        """Return the idempotency key of this account's creation, stored before it is used.

        The token is shown to that key alone, so a client killed before the answer must repeat the same one.
        """
        wanted = {"email": email, "server": self.server.origin}
        with self.home.lock():
            try:
                raw = read_bounded(self._pending_path, max_bytes=_MAX_PENDING_BYTES, what="account request")
            except FileNotFoundError:
                pass
            else:
                known = JsonObject.from_bytes(raw, what="account request")
                if {"email": known.text("email"), "server": known.text("server")} == wanted:
                    return known.uuid("key")
            key = uuid4()
            write_private(self._pending_path, json.dumps(wanted | {"key": str(key)}).encode())
            return key


def claimed_identity(raw_bundle: bytes) -> EnclaveIdentity:
    """Read what a bundle says about its enclave; raises `MalformedError`. Nothing of it is verified."""
    bundle = EvidenceBundle.from_bytes(raw_bundle)
    body = parse_quote(bundle.quote).body
    if not isinstance(body, SgxReport):
        raise MalformedError("quote: not of an SGX enclave")
    return EnclaveIdentity(
        identity_pk=bundle.identity_pk,
        box_pk=body.report_data[32:],
        quote=bundle.quote,
        manifest=bundle.manifest,
        arguments=parse_arguments(bundle.arguments),
        measurement=body.mrenclave,
    )
