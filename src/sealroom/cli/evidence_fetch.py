"""`sealroom evidence fetch`: what Intel publishes about a platform, for a quote or into a bundle.

Spec: docs/spec/provisioning.md.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click

from sealroom.adapters.collateral_cache import CollateralCache
from sealroom.adapters.pccs import Fetched
from sealroom.adapters.provisioning import Source
from sealroom.cli.console import read_file
from sealroom.cli.options import INPUT_FILE, OUTPUT_FILE, Invocation, command_options
from sealroom.cli.sources import SourceType, fetch_documents
from sealroom.core.wire.bundle import MAX_BUNDLE_BYTES, EvidenceBundle


@click.command("fetch")
@click.argument("file", type=INPUT_FILE)
@click.option(
    "--source",
    "sources",
    type=SourceType(),
    multiple=True,
    required=True,
    help="Where to ask: intel, azure, or the https address of a PCCS. Several are asked in order.",
)
@click.option("--save", type=OUTPUT_FILE, required=True, help="Write the completed file here.")
@click.option(
    "--source-ca",
    type=INPUT_FILE,
    help="Trust these certificates (PEM), too, when asking: that of a PCCS of your own.",
)
@click.option(
    "--save-pck-chain",
    type=OUTPUT_FILE,
    help="Where the quote carries no certificates: write those of its platform here.",
)
@click.option("--no-cache", is_flag=True, help="Ask even if what was fetched lately is kept in your folder.")
@command_options
def fetch(
    invocation: Invocation,
    file: Path,
    sources: tuple[Source, ...],
    save: Path,
    source_ca: Path | None,
    save_pck_chain: Path | None,
    no_cache: bool,
) -> None:
    """Fetch Intel's nine documents for the platform of FILE, a quote or an evidence bundle.

    A bundle is written again with the documents in it; for a quote the documents alone are written, for
    `evidence verify --quote FILE --collateral SAVED`. They are checked to be signed under the root of the
    quote's own certificates; what they are worth is for the verification to say.
    """
    raw = read_file(file, max_bytes=MAX_BUNDLE_BYTES)
    bundle = EvidenceBundle.from_bytes(raw) if raw.lstrip()[:1] == b"{" else None
    quote = raw if bundle is None else bundle.quote
    cache = None if no_cache else CollateralCache(folder=invocation.open_home().root / "collateral")
    found = fetch_documents(quote, sources, source_ca=source_ca, cache=cache, now=datetime.now(UTC))
    save.write_bytes(_content(bundle, found))
    if save_pck_chain is not None and found.pck_chain is not None:
        save_pck_chain.write_bytes(found.pck_chain)
    _report(invocation, found, save)


def _content(bundle: EvidenceBundle | None, found: Fetched) -> bytes:
    if bundle is not None:
        return replace(bundle, collateral=found.collateral).to_bytes()
    return json.dumps(found.collateral.to_value(), indent=1).encode("ascii") + b"\n"


def _report(invocation: Invocation, found: Fetched, save: Path) -> None:
    document = {
        "source": found.source,
        "valid_until": found.valid_until.isoformat(),
        "warnings": list(found.warnings),
        "saved": str(save),
    }

    def render() -> None:
        invocation.console.say(
            f"{save}: documents from {found.source}, good until {found.valid_until:%Y-%m-%d}"
        )
        for warning in found.warnings:
            click.secho("warning: ", fg="yellow", nl=False, err=True)
            click.echo(invocation.console.foreign(warning), err=True)

    invocation.console.result(document, render)
