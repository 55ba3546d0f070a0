"""`sealroom service package`: the archive that an operator gets, and cannot read."""

from __future__ import annotations

from pathlib import Path

import click

from sealroom.cli.options import INPUT_FILE, INPUT_FOLDER, OUTPUT_FILE, Invocation, command_options
from sealroom.cli.service_projects import ready_wheels
from sealroom.client.service.code_keys import create_code_key, load_code_key
from sealroom.client.service.packing import locked_requirements, pack
from sealroom.client.service.project import CODE_KEY, Project
from sealroom.client.service.trying import find_interface


@click.command("package")
@click.argument("project", type=INPUT_FOLDER)
@click.option("--to", type=OUTPUT_FILE, help="The package. Default: NAME.package in this folder.")
@click.option(
    "--key", type=INPUT_FILE, help="The code key. Default: code.key in PROJECT, made where it is missing."
)
@command_options
def command(invocation: Invocation, project: Path, to: Path | None, key: Path | None) -> None:
    """Pack PROJECT into one file that only the code key opens.

    Each file of src/ and tests/ is encrypted under its own path; config.toml and requirements.txt stay
    readable. secrets.json, secrets_to_seal.json and code.key never get into it. The same project and key make
    the same file, byte for byte: whoever has the key can check what was packed.
    """
    opened = Project.open(project)
    # Before a key is made: whoever has to lock first is then told of the new key.
    locked_requirements(opened)
    interface = find_interface(opened, ready_wheels(invocation, opened))
    place = key or project / CODE_KEY
    is_new = key is None and not place.exists()
    code_key = create_code_key(place) if is_new else load_code_key(place)
    target = to or Path(f"{opened.config.name}.package")
    with invocation.console.transfers(unit="files") as progress:
        packed = pack(opened, code_key, target, interface=interface, progress=progress)
    package = packed.package
    document = {
        "package": str(target),
        "service": str(packed.service),
        "name": package.config.name,
        "interface": interface.value,
        "sha256": package.sha256.hex(),
        "code": package.code.digest.hex(),
        "files": [{"path": file.path, "bytes": file.size} for file in package.members],
        "key": str(place),
        "key_is_new": is_new,
    }

    def render() -> None:
        if is_new:
            invocation.console.say(f"{place} is new: keep it, and give it to nobody. It opens the code.")
        console = invocation.console
        console.say(f"{target}: {len(package.members)} files of the service {package.config.name}")
        console.row("service", str(packed.service))
        console.row("SHA-256", package.sha256.hex())
        console.row("code", package.code.digest.hex())
        console.next_step(f"give {target} to the operator, for sealroom service spawn")

    invocation.console.result(document, render)
