"""`sealroom sign`: the signature with which a processor starts an enclave."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from pathlib import Path

import click

from sealroom.adapters.key_command import KeyCommand
from sealroom.cli.console import read_file
from sealroom.cli.measured_inputs import read_manifest, read_pal
from sealroom.cli.options import INPUT_FILE, OUTPUT_FILE, Invocation, ask_passphrase, command_options
from sealroom.cli.sigstruct import print_sigstruct, sigstruct_document
from sealroom.core.measurement.manifest import parse_manifest
from sealroom.core.measurement.mrenclave import measure
from sealroom.core.measurement.signing import SigstructSigner, sign_sigstruct
from sealroom.core.measurement.signing_key import (
    MAX_KEY_BYTES,
    EnclaveSigningKey,
    is_encrypted,
    parse_enclave_signing_key,
    parse_public_modulus,
)
from sealroom.core.measurement.sigstruct import sigstruct_body


@click.command("sign")
@click.option("--manifest", type=INPUT_FILE, required=True, help="The expanded manifest: NAME.manifest.sgx.")
@click.option("--pal", type=INPUT_FILE, required=True, help="Gramine's SGX libpal.so of the same release.")
@click.option("-o", "--output", type=OUTPUT_FILE, required=True, help="Write the SIGSTRUCT here: NAME.sig.")
@click.option("--key", type=INPUT_FILE, help="The signing key: PEM, RSA of 3072 bits with exponent 3.")
@click.option(
    "--key-command",
    help="Instead of --key, for a key in a device: a command that reads the bytes to sign and "
    "writes their RSASSA-PKCS1-v1_5 signature with SHA-256, such as one of pkcs11-tool or openssl.",
)
@click.option("--public-key", type=INPUT_FILE, help="With --key-command: the device's public key, PEM.")
@click.option("--date", default="today", help="Its date, YYYY-MM-DD; 0000-00-00 makes the same file always.")
@command_options
def command(
    invocation: Invocation,
    manifest: Path,
    pal: Path,
    output: Path,
    key: Path | None,
    key_command: str | None,
    public_key: Path | None,
    date: str,
) -> None:
    """Sign an enclave: write SIGSTRUCT, which gramine-sgx wants beside the manifest.

    It is byte for byte the one that gramine-sgx-sign writes for the same key and date.
    """
    signer = chosen_signer(key, key_command, public_key)
    raw = read_manifest(manifest)
    measurement = measure(raw, read_pal(pal))
    written = f"{datetime.now(UTC).astimezone():%Y-%m-%d}" if date == "today" else date
    body = sigstruct_body(parse_manifest(raw), mrenclave=measurement.mrenclave, date=written)
    sigstruct = sign_sigstruct(body, signer)
    output.write_bytes(sigstruct.to_bytes())
    document = {"output": str(output), **sigstruct_document(sigstruct)}
    invocation.console.result(document, lambda: print_sigstruct(invocation, sigstruct))


def chosen_signer(key: Path | None, key_command: str | None, public_key: Path | None) -> SigstructSigner:
    """Return the signer that options name: a key in a file, or a device's command and its public key."""
    if key is not None and key_command is None and public_key is None:
        return read_signing_key(key)
    if key is None and key_command is not None and public_key is not None:
        modulus = parse_public_modulus(read_file(public_key, max_bytes=MAX_KEY_BYTES))
        return KeyCommand(_words(key_command), modulus=modulus)
    raise click.UsageError("give --key, or --key-command together with --public-key")


def _words(command_line: str) -> list[str]:
    try:
        words = shlex.split(command_line)
    except ValueError as exc:
        raise click.UsageError(f"key command: {exc}") from exc
    if not words:
        raise click.UsageError("key command: expected a program")
    return words


def read_signing_key(path: Path) -> EnclaveSigningKey:
    """Read a signing key, asking for its passphrase where it has one."""
    pem = read_file(path, max_bytes=MAX_KEY_BYTES)
    return parse_enclave_signing_key(pem, passphrase=ask_passphrase() if is_encrypted(pem) else None)
