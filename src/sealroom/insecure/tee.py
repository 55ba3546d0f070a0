"""The simulated TEE, one process an enclave. Started by module name alone, by whoever launches enclaves.

    python -m sealroom.insecure.tee FOLDER --state STATE --prepare
    python -m sealroom.insecure.tee FOLDER --state STATE

`STATE` is a folder that all launches of one server share: the throw-away PKI, and copies of runtimes.

The first form writes what only this TEE knows, before there is a manifest: the PAL and the list of the
runtime's files. The second starts the enclave, serves its attestation device and ends with its exit code.

Must never: be mistaken for a TEE. Its quotes end in a root that the machine's operator made and keeps.
Spec page: docs/spec/launch-folder.md, "The simulated TEE".
"""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from sealroom.adapters.enclave_process import (
    EXIT_NOT_STARTED,
    die_with_parent,
    exit_code,
    keep_console,
    write_new,
)
from sealroom.core.errors import SealroomError
from sealroom.core.measurement.template import RUNTIME_FOLDER
from sealroom.insecure.attester import Attester
from sealroom.insecure.device import AttestationDevice
from sealroom.insecure.launch_folder import PAL_NAME, RUNTIME_NAME, check_launch_folder
from sealroom.insecure.needs import Network
from sealroom.insecure.runtime import stage_runtime
from sealroom.insecure.sandbox import DEVICE_NAME, choose_sandbox
from sealroom.insecure.synthetic_pal import synthetic_pal

COLLATERAL_PATH = "collateral.json"
PROTECTIONS_PATH = "host/protections.json"
CONSOLE_PATH = "host/console.log"

_RUNTIMES = "runtimes"
BANNER = """\
=====================================================================
  SIMULATED ENCLAVE: it protects nothing from this machine's operator
=====================================================================
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Prepare or run one launch; returns the exit code: the enclave's own, or 125 when it was not started."""
    parser = argparse.ArgumentParser(prog="python -m sealroom.insecure.tee", description=BANNER)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the launch folder")
    parser.add_argument("--state", type=Path, required=True, help="folder of the PKI and of runtimes")
    parser.add_argument(
        "--prepare", action="store_true", help="write PAL and list of runtime files, then end"
    )
    parser.add_argument("--serves", action="store_true", help="prepare for a service")
    parser.add_argument("--parent", type=int, metavar="PID", help="end when this process ends")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.prepare:
            prepare(chosen.folder, state=chosen.state, serves=chosen.serves)
            return 0
        die_with_parent(chosen.parent)
        return run(chosen.folder, state=chosen.state)
    except (SealroomError, OSError, RuntimeError, subprocess.SubprocessError) as exc:
        print(f"simulated TEE: {exc}", file=sys.stderr)
        return EXIT_NOT_STARTED


def prepare(folder: Path, *, state: Path, serves: bool = False) -> None:
    """Write the PAL and the list of the runtime's files, a service's or a computation's, into a folder."""
    store = state.resolve() / _RUNTIMES
    store.mkdir(mode=0o700, parents=True, exist_ok=True)
    runtime = stage_runtime(store, serves=serves)
    rows = [
        [f"{RUNTIME_FOLDER}/{file.path}", str(file.host_path), file.sha256.hex()] for file in runtime.files
    ]
    write_new(folder / PAL_NAME, synthetic_pal())
    write_new(folder / RUNTIME_NAME, json.dumps(rows).encode())


def run(folder: Path, *, state: Path) -> int:
    """Check the folder, start the enclave, serve its device, and return its exit code."""
    print(BANNER, file=sys.stderr)
    launch = check_launch_folder(folder.resolve())
    attester = Attester(mrenclave=launch.mrenclave, state=state, now=datetime.now(UTC))
    write_new(folder / COLLATERAL_PATH, attester.collateral_json())
    device = AttestationDevice(
        launch.folder / DEVICE_NAME,
        target_info=attester.target_info(),
        make_report=attester.report,
        make_quote=attester.quote,
    )
    device.create()
    sandbox = choose_sandbox(launch)
    rows = [dataclasses.asdict(protection) for protection in sandbox.protections]
    write_new(folder / PROTECTIONS_PATH, json.dumps(rows, indent=1).encode())
    console, inlet = os.pipe()
    enclave = sandbox.start(console=inlet)
    os.close(inlet)
    # Threads only now: a process with threads must not fork.
    device.serve()
    serves = launch.needs.network is not Network.NONE
    keeper = threading.Thread(
        target=partial(keep_console, console, folder / CONSOLE_PATH, serves=serves), daemon=True
    )
    keeper.start()
    code = exit_code(enclave)
    keeper.join(timeout=1)
    return code


if __name__ == "__main__":
    sys.exit(main())
