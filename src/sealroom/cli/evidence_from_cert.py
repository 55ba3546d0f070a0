"""`sealroom evidence from-cert`: what a certificate in a file proves about its TLS key."""

from __future__ import annotations

from pathlib import Path

import click

from sealroom.cli.evidence_certificate import (
    CertificateQuestion,
    answer,
    certificate_der,
    certificate_options,
)
from sealroom.cli.options import INPUT_FILE, Invocation
from sealroom.core.attestation.certificate_walk import MAX_WALKED_BYTES


@click.command("from-cert")
@click.argument("file", type=INPUT_FILE)
@certificate_options
def command(invocation: Invocation, question: CertificateQuestion, file: Path) -> int:
    """Verify the quote in FILE, an RA-TLS certificate in PEM or DER, and that it binds the TLS key.

    Exit codes: 0 accepted, 1 refused or simulated, 2 malformed, 3 collateral stale or missing.
    """
    with file.open("rb") as stream:
        # One byte more than is taken, so that it is the parser that refuses.
        raw = stream.read(MAX_WALKED_BYTES + 1)
    return answer(invocation, question, certificate_der(raw))
