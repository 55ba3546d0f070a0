"""What a waiting enclave accepts: one key, once, that is this application's and opens its code.

    WAITING --offer: wrong id, box or key--> WAITING, or EXHAUSTED after ten
    WAITING --offer: all of it right-------> ACCEPTED, for good
    ACCEPTED --any offer-------------------> ACCEPTED (409)

All that can be compared is compared before anything is said, in constant time, and a refusal does not say
what was wrong. The box key is wiped with the first acceptance. Must never keep a part of a refused offer, nor
put one into a message. Spec: docs/spec/services.md, "Bootstrap".
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from sealroom.core.errors import MalformedError, SealroomError, VerificationError
from sealroom.core.sealing.enclave_keys import BoxKey
from sealroom.core.sealing.service_key import CodeKey, service_id
from sealroom.core.wire.bootstrap import BootstrapDocument, BoundTo, SealedDocument, Secrets
from sealroom.core.wire.service_arguments import CertificateMode, ServiceArguments
from sealroom.enclave.sealed_files import SealedFile
from sealroom.enclave.service.tls import ServerTls, own_tls

MAX_REFUSED = 10

_NOTHING = SealedDocument(code_key=None, tls_key=None, bound_to=None, secrets={})


class Verdict(Enum):
    """The answer to an offer, as the status that says it."""

    ACCEPTED = 200
    MALFORMED = 400
    REFUSED = 401
    TAKEN = 409


@dataclass(frozen=True, slots=True, kw_only=True)
class Provision:
    """What was accepted: the code, ready to be read; secrets; the delivered TLS key's side, if it is used."""

    code: Mapping[str, SealedFile] = field(repr=False)
    secrets: Secrets = field(repr=False)
    sealed_secrets: Secrets = field(repr=False)
    tls: ServerTls | None = field(repr=False)


class Provisioning:
    """The one acceptance of a service. Offers are made one after the other.

    `open_code` opens the code with a key, or raises; `own_chain` are the certificates for a delivered key.
    """

    def __init__(
        self,
        arguments: ServiceArguments,
        *,
        mrenclave: bytes,
        box_key: BoxKey,
        open_code: Callable[[CodeKey], Mapping[str, SealedFile]],
        own_chain: bytes | None,
    ) -> None:
        self._arguments = arguments
        self._mrenclave = mrenclave
        self._box_key = box_key
        self._open_code = open_code
        self._own_chain = own_chain
        self._refused = 0
        self.accepted: Provision | None = None

    @property
    def exhausted(self) -> bool:
        """Whether so many offers were refused that the enclave ends."""
        return self._refused >= MAX_REFUSED

    def offer(self, body: bytes) -> Verdict:
        """Decide about one offer, in this order.

        1. Nothing after an acceptance, and nothing after the last attempt.
        2. The document is one.
        3. The box, where there is one, opens and was made for this service and this enclave.
        4. The id is the application's, and so is the key: it is what the id was made from.
        5. A TLS key is there where it is used, and only there, and is the certificate's.
        6. Every file of the code opens.
        """
        if self.accepted is not None:
            return Verdict.TAKEN
        if self.exhausted:
            return Verdict.REFUSED
        try:
            document = BootstrapDocument.from_bytes(body)
        except MalformedError:
            return Verdict.MALFORMED
        if document.code_key is None and document.sealed is None:
            return Verdict.MALFORMED
        try:
            self.accepted = self._accept(document)
        except (SealroomError, OSError):
            self._refused += 1
            return Verdict.REFUSED
        self._box_key.wipe()
        return Verdict.ACCEPTED

    def wipe(self) -> None:
        """Forget how boxes are opened."""
        self._box_key.wipe()

    def _accept(self, document: BootstrapDocument) -> Provision:
        sealed = _NOTHING if document.sealed is None else self._open_box(document.sealed)
        key = _code_key(document, sealed)
        try:
            self._check(document, sealed, key)
            tls = self._tls(document, sealed)
            code = self._open_code(key)
        finally:
            key.wipe()
        return Provision(code=code, secrets=document.secrets or {}, sealed_secrets=sealed.secrets, tls=tls)

    def _open_box(self, box: bytes) -> SealedDocument:
        plain = self._box_key.open(box)
        try:
            # A copy that nothing can erase: the application's own, as is all code that will run here.
            return SealedDocument.from_bytes(plain.reveal())
        finally:
            plain.wipe()

    def _check(self, document: BootstrapDocument, sealed: SealedDocument, key: CodeKey) -> None:
        own, bound = self._arguments.service, sealed.bound_to
        if bound is None:
            bound = BoundTo(service=own, mrenclave=self._mrenclave)
        # Every comparison is made, whatever came of the others.
        right = [
            hmac.compare_digest(document.service.bytes, own.bytes),
            hmac.compare_digest(service_id(key, self._arguments.name).bytes, own.bytes),
            hmac.compare_digest(bound.service.bytes, own.bytes),
            hmac.compare_digest(bound.mrenclave, self._mrenclave),
        ]
        if not all(right):
            raise VerificationError("bootstrap: not for this enclave")

    def _tls(self, document: BootstrapDocument, sealed: SealedDocument) -> ServerTls | None:
        key = sealed.tls_key or document.tls_key
        wanted = self._arguments.certificate is CertificateMode.OWN
        if (key is not None) is not wanted:
            raise VerificationError("bootstrap: a TLS key where none is used, or none where one is")
        return None if key is None else own_tls(key, self._own_chain or b"")


def _code_key(document: BootstrapDocument, sealed: SealedDocument) -> CodeKey:
    digits = [key for key in (sealed.code_key, document.code_key) if key is not None]
    if not digits or not hmac.compare_digest(digits[0], digits[-1]):
        raise VerificationError("bootstrap: no code key, or two")
    return CodeKey.from_bytes(bytearray.fromhex(digits[0]))
