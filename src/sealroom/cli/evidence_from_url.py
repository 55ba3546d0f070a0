"""`sealroom evidence from-url`: what the certificate of a running service proves about its TLS key."""

from __future__ import annotations

import click

from sealroom.adapters.tls_certificate import fetch_server_certificate
from sealroom.cli.evidence_certificate import CertificateQuestion, answer, certificate_options
from sealroom.cli.exit_codes import CommandError, ExitCode
from sealroom.cli.options import Invocation
from sealroom.core.errors import TransportError

_TIMEOUT_SECONDS = 10.0


@click.command("from-url")
@click.argument("url")
@certificate_options
def command(invocation: Invocation, question: CertificateQuestion, url: str) -> int:
    """Verify the quote in the certificate that URL shows, https://HOST[:PORT]; nothing is sent there.

    Exit codes: 0 accepted, 1 refused or simulated, 2 malformed, 3 collateral stale or missing, 4 no answer.
    """
    try:
        certificate = fetch_server_certificate(url, timeout_seconds=_TIMEOUT_SECONDS)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="URL") from error
    except TransportError as error:
        raise CommandError(str(error), code="service", exit_code=ExitCode.TRANSPORT) from error
    return answer(invocation, question, certificate)
