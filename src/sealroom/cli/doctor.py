"""`sealroom doctor`: what this machine can run, and what is missing."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

import click

from sealroom.adapters.gramine import Gramine
from sealroom.adapters.host_checks import (
    HostCheck,
    Purpose,
    examine,
    installed_pal,
    lacking_for_enclaves,
    this_host,
)
from sealroom.adapters.sgx_self_test import prepare_self_test, run_self_test
from sealroom.cli.exit_codes import CommandError, ExitCode
from sealroom.cli.options import INPUT_FILE, Invocation, command_options
from sealroom.cli.sign import chosen_signer
from sealroom.client.verification import own_release
from sealroom.core.measurement.release import Release
from sealroom.core.measurement.signing import SigstructSigner


@click.command("doctor")
@click.option(
    "--for",
    "purpose",
    type=click.Choice([purpose.value for purpose in Purpose]),
    help="Exit 1 unless everything is here for this kind of enclave.",
)
@click.option(
    "--self-test",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    metavar="PACKAGES",
    help="Start a first enclave on SGX, with the runtime of this release out of PACKAGES, a folder with "
    "the packages that its bill of materials names.",
)
@click.option("--key", type=INPUT_FILE, help="With --self-test: the signing key, PEM.")
@click.option(
    "--key-command",
    help="With --self-test, instead of --key, for a key in a device: as --key-command of `sealroom sign`.",
)
@click.option("--public-key", type=INPUT_FILE, help="With --key-command: the device's public key, PEM.")
@command_options
def command(
    invocation: Invocation,
    purpose: str | None,
    self_test: Path | None,
    key: Path | None,
    key_command: str | None,
    public_key: Path | None,
) -> int:
    """Say what this machine has for running enclaves, what is missing, and what brings it.

    Nothing is changed. A machine that looks complete proves nothing to a participant: `sealroom evidence
    verify` does. From here to a running computation: docs/deploy-sgx.md.

    The self-test makes an enclave as a computation's is made, without foreign code, starts it with
    gramine-sgx, and compares the MRENCLAVE of its quote with the computed one. Any Gramine will do.
    """
    release = own_release(invocation.existing_home())
    if self_test is not None:
        return _self_test(invocation, self_test, release, chosen_signer(key, key_command, public_key))
    if key is not None or key_command is not None or public_key is not None:
        raise click.UsageError("a key is for --self-test")
    checks = examine(this_host(), pals=release.pals)
    ready = {kind: _is_ready(checks, kind) for kind in Purpose}
    document = {
        "ready": {kind.value: value for kind, value in ready.items()},
        "checks": [_row(check) for check in checks],
    }
    invocation.console.result(document, lambda: _print(invocation, checks))
    return ExitCode.DONE if purpose is None or ready[Purpose(purpose)] else ExitCode.REFUSED


def _self_test(invocation: Invocation, packages: Path, release: Release, signer: SigstructSigner) -> int:
    pal = installed_pal(this_host())
    if pal is None:
        raise CommandError("self-test: no libpal.so beside gramine-sgx", code="no_gramine")
    bill = release.sgx_runtime
    if bill is None:
        raise CommandError("self-test: this release has no runtime for SGX", code="no_runtime")
    with tempfile.TemporaryDirectory(prefix="sealroom-self-test-") as folder:
        invocation.console.say("making the enclave")
        test = prepare_self_test(
            Path(folder) / "enclave",
            bill=bill,
            packages=packages,
            gramine=Gramine.of(pal),
            signer=signer,
            date=f"{datetime.now(UTC):%Y-%m-%d}",
        )
        if (lacking := lacking_for_enclaves(this_host())) is not None:
            raise CommandError(f"self-test: the enclave was made; {lacking}", code="launcher")
        invocation.console.say(f"starting it: {' '.join(test.command)}")
        run_self_test(test)
    document = {"mrenclave": test.mrenclave.hex(), "passed": True}
    invocation.console.result(document, lambda: click.echo(f"passed: MRENCLAVE {test.mrenclave.hex()}"))
    return ExitCode.DONE


def _is_ready(checks: tuple[HostCheck, ...], purpose: Purpose) -> bool:
    return all(check.present for check in checks if check.purpose is purpose)


def _row(check: HostCheck) -> dict[str, object]:
    return {
        "name": check.name,
        "present": check.present,
        "found": check.found,
        "for": check.purpose.value,
        "fix": None if check.present else check.fix,
    }


def _print(invocation: Invocation, checks: tuple[HostCheck, ...]) -> None:
    rows = [("ok" if c.present else "missing", c.name, c.purpose.value, c.found) for c in checks]
    invocation.console.table(("", "what", "for", "found"), rows)
    for check in checks:
        if not check.present:
            invocation.console.say(f"{check.name}: {check.fix}")
