"""Sealing a code key and secrets to a service that was verified; done at home, so no enclave has this module.

Takes a verified service by type, and refuses one that is stale, simulated without the flag, or of another
application than the code key is for. Spec: docs/spec/services.md, "Sealing".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sealroom.core.errors import MalformedError, PolicyError
from sealroom.core.sealing.enclave_keys import seal_box
from sealroom.core.sealing.secret import SecretBuffer
from sealroom.core.sealing.service_key import CodeKey, service_id
from sealroom.core.wire.bootstrap import (
    MAX_BOOTSTRAP_BYTES,
    BootstrapDocument,
    BoundTo,
    SealedDocument,
    Secrets,
)
from sealroom.core.wire.service_arguments import CertificateMode
from sealroom.core.wire.terms import Tee
from sealroom.core.wire.verified_service import SimulatedService, VerifiedService

MAX_EVIDENCE_AGE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSecrets:
    """What goes to a service: `sealed` for the enclave alone, `for_operator` readable on the way.

    `tls_key` is the PEM of the private key of one's own certificate, `None` without one; it is sealed.
    """

    code_key: CodeKey = field(repr=False)
    sealed: Secrets = field(repr=False)
    for_operator: Secrets = field(repr=False)
    tls_key: str | None = field(repr=False)


def seal_to_service(
    secrets: ServiceSecrets,
    *,
    to: VerifiedService | SimulatedService,
    now: datetime,
    insecure_accept_simulated: UUID | None = None,
) -> bytes:
    """Return the document for the operator to pass on: code key and secrets in a box for `to` alone.

    1. The service is real, or simulated and accepted for this very application. 2. Its evidence was verified
    less than ten minutes before `now`. 3. The code key is the application's. 4. A TLS key is there exactly
    where the service wants one.

    Raises `PolicyError` for these, and `MalformedError` for more than a service takes. Sealing again makes
    another box, which the same enclave opens: the first that reaches it counts.
    """
    _check_kind(to, insecure_accept_simulated)
    age = now - to.verified_at
    if not timedelta(0) <= age < MAX_EVIDENCE_AGE:
        raise PolicyError(f"sealing: expected evidence verified less than {MAX_EVIDENCE_AGE} ago, got {age}")
    arguments = to.arguments
    if service_id(secrets.code_key, arguments.name) != arguments.service:
        raise PolicyError(f"sealing: the code key is not that of the application {arguments.service}")
    wanted = arguments.certificate is CertificateMode.OWN
    if wanted is not (secrets.tls_key is not None):
        raise PolicyError(
            f"sealing: the service is spawned with certificate={arguments.certificate.value}, which "
            f"{'needs the private key of your certificate' if wanted else 'takes no private key'}"
        )
    sealed = SealedDocument(
        code_key=secrets.code_key.reveal().hex(),
        tls_key=secrets.tls_key,
        bound_to=BoundTo(service=arguments.service, mrenclave=to.mrenclave),
        secrets=secrets.sealed,
    )
    document = BootstrapDocument(
        service=arguments.service,
        secrets=secrets.for_operator or None,
        sealed=_seal(sealed, to.box_pk),
        code_key=None,
        tls_key=None,
    ).to_bytes()
    if len(document) > MAX_BOOTSTRAP_BYTES:
        raise MalformedError(f"secrets: {len(document)} bytes sealed, a service takes {MAX_BOOTSTRAP_BYTES}")
    return document


def _seal(document: SealedDocument, box_pk: bytes) -> bytes:
    plain = bytearray(document.to_bytes())
    held = SecretBuffer.take(plain, len(plain))
    try:
        return seal_box(held, box_pk)
    finally:
        held.wipe()


def _check_kind(to: VerifiedService | SimulatedService, insecure_accept_simulated: UUID | None) -> None:
    # Python checks no types at run time, and this one stands between a key and whoever asks for it.
    if not isinstance(to, VerifiedService | SimulatedService):
        raise TypeError(f"sealing: expected a verified service, got {type(to).__name__}")
    match to:
        case VerifiedService():
            if to.arguments.tee is not Tee.SGX:
                raise PolicyError("sealing: the service's arguments do not say sgx")
        case SimulatedService():
            if insecure_accept_simulated != to.arguments.service:
                raise PolicyError(
                    "sealing: the service is simulated, which protects nothing; this application was not "
                    "named in insecure_accept_simulated"
                )
