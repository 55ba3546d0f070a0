"""What an operator gives for enclaves on SGX: the key that signs them, the packages they are made of."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ParamSpec, TypeVar

import click

from sealroom.adapters.provisioning import Source
from sealroom.cli.options import INPUT_FILE
from sealroom.cli.sign import chosen_signer
from sealroom.cli.sources import SourceType
from sealroom.server.config import SgxSettings

_INTEL = Source.parse("intel")
_NEEDED = "with --launcher gramine-sgx, give --sgx-packages and --sgx-key (or --sgx-key-command)"

P = ParamSpec("P")
R = TypeVar("R")

_OPTIONS = (
    click.option(
        "--sgx-packages",
        type=click.Path(path_type=Path, file_okay=False, exists=True),
        help="For gramine-sgx: the folder with the packages that the bill of materials names.",
    ),
    click.option("--sgx-key", type=INPUT_FILE, help="For gramine-sgx: the key that signs enclaves, PEM."),
    click.option(
        "--sgx-key-command",
        help="Instead of --sgx-key, for a key in a device: as --key-command of `sealroom sign`.",
    ),
    click.option("--sgx-public-key", type=INPUT_FILE, help="With --sgx-key-command: its public key, PEM."),
    click.option(
        "--sgx-runtime-bill",
        type=INPUT_FILE,
        help="A bill of materials in place of the release's; participants have the same as runtime.bill in "
        "their homes.",
    ),
    click.option(
        "--sgx-known-pals",
        type=INPUT_FILE,
        help="PALs beside the release's; participants have the same as known_pals.toml in their homes.",
    ),
    click.option(
        "--sgx-source",
        "sgx_sources",
        type=SourceType(),
        multiple=True,
        help="Where Intel's documents are had: intel (the default), azure, or the https address of a PCCS. "
        "Several are asked in order.",
    ),
    click.option(
        "--sgx-source-ca", type=INPUT_FILE, help="Trust these certificates (PEM), too, when asking."
    ),
)


def sgx_options(function: Callable[P, R]) -> Callable[P, R]:
    """Add the options to a command, which reads them with `chosen_sgx`."""

    @functools.wraps(function)
    def command(*args: P.args, **kwargs: P.kwargs) -> R:
        return function(*args, **kwargs)

    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def chosen_sgx(choices: Mapping[str, object], *, wanted: bool) -> SgxSettings | None:
    """Return the settings, `None` where none are `wanted`; asks for the key's passphrase where it has one.

    Raises `click.UsageError` where something is missing, or was given for nothing.
    """
    if not wanted:
        if any(value for value in choices.values()):
            raise click.UsageError("the options --sgx-… belong to --launcher gramine-sgx")
        return None
    packages = _path(choices, "sgx_packages")
    if packages is None:
        raise click.UsageError(_NEEDED)
    command = choices["sgx_key_command"]
    try:
        signer = chosen_signer(
            _path(choices, "sgx_key"),
            None if command is None else str(command),
            _path(choices, "sgx_public_key"),
        )
    except click.UsageError as exc:
        raise click.UsageError(f"{_NEEDED}, with --sgx-public-key for the latter") from exc
    given = choices["sgx_sources"]
    sources = tuple(one for one in given if isinstance(one, Source)) if isinstance(given, tuple) else ()
    return SgxSettings(
        packages=packages,
        signer=signer,
        sources=sources or (_INTEL,),
        runtime_bill=_path(choices, "sgx_runtime_bill"),
        known_pals=_path(choices, "sgx_known_pals"),
        source_ca=_path(choices, "sgx_source_ca"),
    )


def _path(choices: Mapping[str, object], name: str) -> Path | None:
    value = choices[name]
    return value if isinstance(value, Path) else None
