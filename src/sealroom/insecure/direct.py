"""The simulated TEE under Gramine without SGX, one process an enclave: for development.

    python -m sealroom.insecure.direct FOLDER --state STATE --prepare
    python -m sealroom.insecure.direct FOLDER --state STATE

As `sealroom.insecure.tee`, with the same identity and quotes, but the program runs in gramine-direct: what
Gramine's library OS does not do, or a manifest does not list, is found before there is hardware.

Must never: be mistaken for a TEE, nor gramine-direct for a sandbox.
Spec page: docs/spec/launch-folder.md, "gramine-direct".
"""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from sealroom.adapters.enclave_process import (
    EXIT_NOT_STARTED,
    die_with_parent,
    exit_code,
    explain_refused_files,
    keep_console,
    write_new,
)
from sealroom.core.errors import SealroomError
from sealroom.core.measurement.manifest import parse_manifest
from sealroom.insecure.attester import Attester
from sealroom.insecure.confinement import Confinement, is_possible
from sealroom.insecure.direct_manifest import direct_manifest, find_gramine
from sealroom.insecure.file_device import FileDevice
from sealroom.insecure.launch_folder import CheckedLaunch, check_launch_folder
from sealroom.insecure.sandbox import DEVICE_NAME, INSIDE, Protection
from sealroom.insecure.tee import BANNER, COLLATERAL_PATH, CONSOLE_PATH, PROTECTIONS_PATH, prepare

# `gramine-direct NAME` reads NAME.manifest.
_NAME = "direct"


def main(arguments: Sequence[str] | None = None) -> int:
    """Prepare or run one launch; returns the exit code: the enclave's own, or 125 when it was not started."""
    parser = argparse.ArgumentParser(prog="python -m sealroom.insecure.direct", description=BANNER)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the launch folder")
    parser.add_argument("--state", type=Path, required=True, help="folder of the PKI and of runtimes")
    parser.add_argument("--prepare", action="store_true", help="write PAL and list of runtime files")
    parser.add_argument("--parent", type=int, metavar="PID", help="end when this process ends")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.prepare:
            find_gramine()
            prepare(chosen.folder, state=chosen.state)
            return 0
        die_with_parent(chosen.parent)
        return run(chosen.folder, state=chosen.state)
    except (SealroomError, OSError, RuntimeError, subprocess.SubprocessError) as exc:
        print(f"gramine-direct: {exc}", file=sys.stderr)
        return EXIT_NOT_STARTED


def run(folder: Path, *, state: Path) -> int:
    """Check the folder, start the enclave under gramine-direct, and return its exit code."""
    print(BANNER, file=sys.stderr)
    launch = check_launch_folder(folder.resolve())
    gramine = find_gramine()
    attester = Attester(mrenclave=launch.mrenclave, state=state, now=datetime.now(UTC))
    write_new(folder / COLLATERAL_PATH, attester.collateral_json())
    device = FileDevice(
        launch.folder / DEVICE_NAME,
        target_info=attester.target_info(),
        make_report=attester.report,
        make_quote=attester.quote,
    )
    device.create()
    manifest = direct_manifest(
        parse_manifest(launch.manifest),
        folder=launch.folder,
        runtime=launch.runtime,
        gramine=gramine,
        device=f"{INSIDE}/{DEVICE_NAME}",
    )
    write_new(launch.folder / f"{_NAME}.manifest", manifest)
    isolated = Confinement(limits=(), no_new_privileges=True, isolate=True)
    confinement = isolated if is_possible(isolated) else dataclasses.replace(isolated, isolate=False)
    rows = [dataclasses.asdict(protection) for protection in _protections(confinement)]
    write_new(folder / PROTECTIONS_PATH, json.dumps(rows, indent=1).encode())
    code = _run(launch, gramine.program, confinement, device)
    if code != 0:
        explain_refused_files(launch.folder / CONSOLE_PATH, parse_manifest(manifest))
    return code


def _run(launch: CheckedLaunch, program: Path, confinement: Confinement, device: FileDevice) -> int:
    console, inlet = os.pipe()
    enclave = subprocess.Popen(  # noqa: S603 - Gramine's own starter
        (str(program), _NAME),
        stdin=subprocess.DEVNULL,
        stdout=inlet,
        stderr=inlet,
        cwd=launch.folder,
        # Gramine's starter is a script of the shell; the enclave sees the manifest's environment alone.
        env={"PATH": os.environ.get("PATH", os.defpath)},
        start_new_session=True,
        preexec_fn=confinement.apply,
    )
    os.close(inlet)
    # Threads only now: a process with threads must not fork.
    device.serve()
    path = launch.folder / CONSOLE_PATH
    keeper = threading.Thread(target=keep_console, args=(console, path), daemon=True)
    keeper.start()
    code = exit_code(enclave)
    keeper.join(timeout=1)
    return code


def _protections(confinement: Confinement) -> Iterator[Protection]:
    network = "a network namespace with nothing in it" if confinement.isolate else "no namespace can be made"
    yield Protection(name="no-network", on=confinement.isolate, detail=network)
    files = "gramine-direct opens the manifest's files alone, and is no barrier to a program that attacks it"
    yield Protection(name="private-files", on=False, detail=files)
    yield Protection(name="private-processes", on=False, detail="gramine-direct hides none of the host's")
    yield Protection(name="system-calls", on=False, detail="Gramine answers them; it is no barrier")
    spool = "Gramine knows no Landlock: C code can write into the spool"
    yield Protection(name="spool-by-us-alone", on=False, detail=spool)
    yield Protection(name="resource-limits", on=False, detail="none under gramine-direct")
    yield Protection(name="minimal-environment", on=True, detail="the variables of the manifest alone")
    yield Protection(name="ends-with-supervisor", on=True, detail="killed by the kernel when its parent dies")


if __name__ == "__main__":
    sys.exit(main())
