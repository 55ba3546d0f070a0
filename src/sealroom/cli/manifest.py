"""`sealroom manifest`: what an enclave is started from, built, expanded, checked and compared."""

from __future__ import annotations

import click

from sealroom.cli import manifest_build, manifest_check, manifest_diff, manifest_expand, manifest_explain
from sealroom.cli.groups import Group


@click.group("manifest", cls=Group)
def command() -> None:
    """Build, expand, check and compare the manifests of enclaves."""


command.add_command(manifest_build.command)
command.add_command(manifest_check.command)
command.add_command(manifest_diff.command)
command.add_command(manifest_expand.command)
command.add_command(manifest_explain.command)
