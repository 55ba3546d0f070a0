"""One enclave on SGX, from its start to its end: the process between its supervisor and gramine-sgx.

    python -m sealroom.server.sgx_enclave FOLDER --state STATE --parent PID

It starts gramine-sgx in the launch folder, keeps the start of the console, fetches Intel's documents for the
quote that the enclave shows, and ends with the enclave's exit code.

Must never: be believed by anybody. What it fetches is verified by each participant.
Spec page: docs/spec/launch-folder.md, "On SGX".
"""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from sealroom.adapters.enclave_process import (
    EXIT_NOT_STARTED,
    die_with_parent,
    exit_code,
    explain_refused_files,
    keep_console,
    write_new,
)
from sealroom.adapters.pccs import CollateralFetcher
from sealroom.adapters.provisioning import Source
from sealroom.core.errors import MalformedError, SealroomError
from sealroom.core.measurement.manifest import parse_manifest
from sealroom.core.measurement.template import ARGUMENTS_PATH
from sealroom.core.wire.argument_items import read_items
from sealroom.core.wire.arguments import MAX_ARGUMENTS_BYTES
from sealroom.core.wire.bundle import RawCollateral
from sealroom.core.wire.report_data import MAX_QUOTE_BYTES
from sealroom.core.wire.service_arguments import KIND_ITEM
from sealroom.core.wire.spool import QUOTE
from sealroom.core.wire.strict_json import encode_json
from sealroom.server.launchers.base import Protection
from sealroom.server.launchers.host_files import CONSOLE, HOST_FOLDER, PROTECTIONS
from sealroom.server.launchers.published import COLLATERAL, NO_COLLATERAL
from sealroom.server.launchers.sgx_files import MANIFEST, NAME, StartingOrder
from sealroom.server.launchers.spool_files import SPOOL_FOLDER, Spool
from sealroom.server.no_network import can_leave_network, tie_and_leave_network

# Gramine's starter is a script of the shell; the enclave sees the manifest's environment alone.
_ENVIRONMENT = ("PATH", "LANG")
_LOOK_SECONDS = 0.25
_FETCHES = 10
_PAUSE_SECONDS = 30.0

Fetch = Callable[[bytes], RawCollateral]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one launch; returns the exit code: the enclave's own, or 125 when it was not started."""
    parser = argparse.ArgumentParser(prog="python -m sealroom.server.sgx_enclave")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the launch folder")
    parser.add_argument("--state", type=Path, required=True, help="what all launches share")
    parser.add_argument("--parent", type=int, metavar="PID", help="end when this process ends")
    chosen = parser.parse_args(arguments)
    try:
        die_with_parent(chosen.parent)
        return run(chosen.folder.resolve(), StartingOrder.load(chosen.state))
    except (SealroomError, OSError, RuntimeError, subprocess.SubprocessError) as exc:
        print(f"gramine-sgx: {exc}", file=sys.stderr)
        return EXIT_NOT_STARTED


def run(folder: Path, order: StartingOrder) -> int:
    """Start the enclave, fetch what belongs to its quote, and return its exit code."""
    serves = _serves(folder)
    isolated = not serves and can_leave_network()
    rows = [dataclasses.asdict(one) for one in _protections(isolated=isolated, serves=serves)]
    write_new(folder / HOST_FOLDER / PROTECTIONS, json.dumps(rows, indent=1).encode())
    console, inlet = os.pipe()
    enclave = subprocess.Popen(  # noqa: S603 - Gramine's own starter
        (order.program, NAME),
        stdin=subprocess.DEVNULL,
        stdout=inlet,
        stderr=inlet,
        cwd=folder,
        env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
        start_new_session=True,
        preexec_fn=tie_and_leave_network if isolated else die_with_parent,
    )
    os.close(inlet)
    # Threads only now: a process with threads must not fork.
    kept = folder / HOST_FOLDER / CONSOLE
    keeper = threading.Thread(target=partial(keep_console, console, kept, serves=serves), daemon=True)
    keeper.start()
    threading.Thread(target=publish_collateral, args=(folder, _fetch_from(order)), daemon=True).start()
    code = exit_code(enclave)
    keeper.join(timeout=1)
    if code != 0 and not Spool(folder / SPOOL_FOLDER).has(QUOTE):
        # In an enclave Gramine logs nothing, not even why it does not start.
        said = "it showed no quote: sealroom doctor --for sgx, then sealroom doctor --self-test"
        print(f"gramine-sgx: ended with {code}, and {said}", file=sys.stderr)
    if code != 0:
        explain_refused_files(kept, parse_manifest((folder / MANIFEST).read_bytes()))
    return code


def publish_collateral(folder: Path, fetch: Fetch, *, sleep: Callable[[float], None] = time.sleep) -> None:
    """Wait for the quote and write Intel's documents for it; `null` where nobody had them often enough.

    Without the file no evidence is published, so it is written in the end whatever happened.
    """
    spool = Spool(folder / SPOOL_FOLDER)
    try:
        while (quote := _shown(spool)) is None:
            sleep(_LOOK_SECONDS)
    except MalformedError as exc:
        # Who composes the evidence finds the same, and gives the launch up.
        print(f"gramine-sgx: {exc}", file=sys.stderr, flush=True)
        return
    for tried in range(_FETCHES):
        try:
            write_new(folder / COLLATERAL, encode_json(fetch(quote).to_value()))
            return
        except (SealroomError, OSError) as exc:
            print(f"gramine-sgx: Intel's documents: {exc}", file=sys.stderr, flush=True)
        if tried + 1 < _FETCHES:
            sleep(_PAUSE_SECONDS)
    write_new(folder / COLLATERAL, NO_COLLATERAL)


def _shown(spool: Spool) -> bytes | None:
    try:
        return spool.read(QUOTE, max_bytes=MAX_QUOTE_BYTES)
    except FileNotFoundError:
        return None


def _fetch_from(order: StartingOrder) -> Fetch:
    sources = tuple(Source.parse(url) for url in order.sources)
    source_ca = None if order.source_ca is None else Path(order.source_ca)

    def fetch(quote: bytes) -> RawCollateral:
        with CollateralFetcher(sources, source_ca=source_ca) as fetcher:
            return fetcher.fetch(quote, now=datetime.now(UTC)).collateral

    return fetch


def _serves(folder: Path) -> bool:
    """Say whether the measured arguments are a service's, which takes connections."""
    with (folder / ARGUMENTS_PATH).open("rb") as file:
        raw = file.read(MAX_ARGUMENTS_BYTES + 1)
    return KIND_ITEM in read_items(raw, max_bytes=MAX_ARGUMENTS_BYTES)[:2]


def _protections(*, isolated: bool, serves: bool) -> Iterator[Protection]:
    enclave = "SGX: its memory is encrypted, and its identity is what each participant verified"
    yield Protection(name="enclave", on=True, detail=enclave)
    network = "a network namespace with nothing in it" if isolated else "no namespace can be made"
    network = "a service takes connections" if serves else network
    yield Protection(name="no-network", on=isolated, detail=network)
    files = "the manifest's files alone, unless the program breaks out of Gramine"
    yield Protection(name="private-files", on=True, detail=files)
    yield Protection(name="private-processes", on=True, detail="the enclave sees no process of the host")
    yield Protection(name="resource-limits", on=True, detail="the size of the enclave and 16 threads")
    yield Protection(name="minimal-environment", on=True, detail="the variables of the manifest alone")
    yield Protection(name="ends-with-supervisor", on=True, detail="killed by the kernel when its parent dies")


if __name__ == "__main__":
    sys.exit(main())
