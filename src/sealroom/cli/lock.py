"""`sealroom lock`: what a program needs, pinned by the hashes of its wheels."""

from __future__ import annotations

from pathlib import Path

import click

from sealroom.cli.options import INPUT_FOLDER, Invocation, command_options
from sealroom.client.locking import Locked, find_source, is_service, lock
from sealroom.client.wheel_store import WheelStore
from sealroom.core.measurement.platform_tags import MACHINES, SGX_PLATFORM, Platform


class PythonType(click.ParamType[int]):
    """A version of CPython 3, given as `3.N`."""

    name = "3.N"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return N, or fail as click expects."""
        if isinstance(value, int):
            return value
        major, _, minor = str(value).partition(".")
        if major != "3" or not minor.isdecimal() or len(minor) > 2:
            self.fail(f"got {str(value)!r}, expected a version like 3.11", param, ctx)
        return int(minor)


@click.command("lock")
@click.argument("folder", type=INPUT_FOLDER)
@click.option(
    "--python",
    "minor",
    type=PythonType(),
    default=f"3.{SGX_PLATFORM.minor}",
    show_default=True,
    help="The enclave's Python. SGX enclaves have 3.11; a simulated one has that of its server.",
)
@click.option(
    "--machine",
    type=click.Choice(MACHINES),
    default=SGX_PLATFORM.machine,
    show_default=True,
    help="The enclave's processor. SGX enclaves have x86_64; a simulated one has that of its server.",
)
@command_options
def command(invocation: Invocation, folder: Path, minor: int, machine: str) -> None:
    """Pin the packages that the program in FOLDER needs.

    Reads requirements.in, or without it the dependencies in pyproject.toml; writes requirements.txt with one
    version and one SHA-256 for each package. A service, which has a config.toml, also gets what its enclave
    serves it with, and needs neither of the two. Only wheels are taken, for CPython on Linux with glibc
    2.36; an enclave takes none that brings scripts, .pth files or modules named like the standard library's.
    uv resolves and pip downloads, from the index that this machine is set to. The wheels stay in your home
    folder, for sealroom code send and sealroom service test.
    """
    platform = Platform(minor=minor, machine=machine)
    what = "a service" if is_service(folder) else find_source(folder).name
    store = WheelStore(invocation.open_home())
    invocation.console.say(f"locking {what} for {platform.title}")
    with invocation.console.transfers() as progress:
        locked = lock(folder, store, platform, progress=progress)
    invocation.console.result(
        _document(locked, folder), lambda: _show(invocation, locked, folder / "requirements.txt")
    )


def _show(invocation: Invocation, locked: Locked, written: Path) -> None:
    rows = [(each.name, each.version, each.sha256.hex()) for each in locked.requirements]
    invocation.console.table(("package", "version", "SHA-256 of the wheel"), rows)
    click.echo(f"{written}: {locked.files} files of {locked.bytes / 1e6:.1f} MB of wheels will be measured")
    if is_service(written.parent):
        invocation.console.next_step(f"sealroom service package {written.parent}")
    else:
        invocation.console.next_step("sealroom code send UUID FOLDER sends the program and its wheels")


def _document(locked: Locked, folder: Path) -> dict[str, object]:
    return {
        "file": str(folder / "requirements.txt"),
        "packages": [
            {"name": each.name, "version": each.version, "sha256": each.sha256.hex()}
            for each in locked.requirements
        ],
        "measured_files": locked.files,
        "wheel_bytes": locked.bytes,
    }
