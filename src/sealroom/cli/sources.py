"""--source: the services that a command may ask for Intel's documents, and asking them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from sealroom.adapters.collateral_cache import CollateralCache
from sealroom.adapters.pccs import CollateralFetcher, Fetched
from sealroom.adapters.provisioning import Source
from sealroom.cli.exit_codes import CommandError, ExitCode
from sealroom.core.errors import MalformedError, TransportError


class SourceType(click.ParamType[Source]):
    """`intel`, `azure`, or the https address of a PCCS."""

    name = "text"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Source:
        """Parse `value`, or fail as click expects."""
        if isinstance(value, Source):
            return value
        try:
            return Source.parse(str(value))
        except MalformedError as error:
            self.fail(f"got {str(value)!r}, {error}", param, ctx)


def fetch_documents(
    quote: bytes,
    sources: tuple[Source, ...],
    *,
    source_ca: Path | None,
    cache: CollateralCache | None,
    now: datetime,
) -> Fetched:
    """Ask `sources` in order; where none has usable documents, that is a `CommandError`."""
    try:
        with CollateralFetcher(sources, source_ca=source_ca, cache=cache) as fetcher:
            return fetcher.fetch(quote, now=now)
    except TransportError as exc:
        raise CommandError(str(exc), code="source", exit_code=ExitCode.TRANSPORT) from exc
