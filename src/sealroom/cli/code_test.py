"""`sealroom code test`: a program tried at home, as a real run would treat it."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sealroom.cli.console import Console, Progress
from sealroom.cli.contract_options import chosen_limits, chosen_logs, contract_options
from sealroom.cli.exit_codes import CommandError, ExitCode
from sealroom.cli.options import INPUT_FOLDER, EmailType, Invocation, command_options
from sealroom.cli.waiting import Steps
from sealroom.core.wire.foreign_text import visible_lines
from sealroom.core.wire.receipt_closing import Outcome

if TYPE_CHECKING:
    from sealroom.client.wheel_store import WheelStore
    from sealroom.rehearsal.data_folder import ProviderFolder
    from sealroom.rehearsal.report import Report

_DEFAULT_CONSUMER = "result-consumer@code.test"
_CACHE_VARIABLE = "XDG_CACHE_HOME"


@click.command("test")
@click.argument("folder", type=INPUT_FOLDER)
@click.option("--data", type=INPUT_FOLDER, help="A folder with one folder for each Data Provider.")
@click.option("--no-data", is_flag=True, help="Try it without Data Providers.")
@click.option(
    "--data-provider",
    multiple=True,
    metavar="NAME",
    help="The folders in --data, once for each, in order. Default: sorted by name.",
)
@click.option(
    "--result-consumer",
    type=EmailType(),
    multiple=True,
    help="Who gets results; once for each, in order. Default: one consumer.",
)
@contract_options
@click.option(
    "--to",
    type=click.Path(path_type=Path, file_okay=False),
    help="An empty folder for the results. Default: a new one for temporary files.",
)
@command_options
def test_command(invocation: Invocation, /, folder: Path, to: Path | None, **choices: object) -> int:
    """Run the program in FOLDER at home, on data of your own, as a real run would.

    Import hook, runtime, confinement and budgets are those of a real run in the simulated enclave, without a
    server and with keys made for this once. What a real run would refuse is refused here. No account and no
    other computation is touched, and of your home folder only the wheels that requirements.txt names. Exit
    codes: 0 the program succeeded, 1 it failed or was refused, 2 folders that cannot be sent, 4 this machine
    cannot run the enclave.
    """
    if platform.system() != "Linux":
        raise CommandError(
            "the simulated enclave runs on Linux only", code="rehearsal", exit_code=ExitCode.TRANSPORT
        )
    from sealroom.rehearsal.stage import RehearsalError

    try:
        report = _play(invocation, folder, to, choices)
    except RehearsalError as error:
        raise CommandError(str(error), code="rehearsal", exit_code=ExitCode.TRANSPORT) from error
    invocation.console.result(_document(report), lambda: _print(invocation.console, report))
    return ExitCode.DONE if report.succeeded else ExitCode.REFUSED


def _play(invocation: Invocation, folder: Path, to: Path | None, choices: Mapping[str, object]) -> Report:
    from sealroom.rehearsal.cast import Choices
    from sealroom.rehearsal.play import Rehearsal

    providers = _providers(choices)
    consumers = choices["result_consumer"]
    if not isinstance(consumers, tuple):
        raise TypeError("click gave --result-consumer another type")
    results, console = _results_folder(to), invocation.console
    with _removed_if_empty(results), console.transfers() as progress, Steps(console) as steps:
        return Rehearsal(
            program=folder,
            providers=providers,
            choices=Choices(
                data_providers=[provider.email for provider in providers],
                result_consumers=consumers or (_DEFAULT_CONSUMER,),
                logs=chosen_logs(choices),
                limits=chosen_limits(choices),
            ),
            results=results,
            root=_cache_folder(),
            wheels=_wheels(invocation, folder, progress),
            tell=steps.tell,
            progress=progress,
        ).play()


def _providers(choices: Mapping[str, object]) -> tuple[ProviderFolder, ...]:
    from sealroom.rehearsal.data_folder import read_data_folder

    data, order = choices["data"], choices["data_provider"]
    if choices["no_data"]:
        if data is not None or order:
            raise click.UsageError("--no-data stands instead of --data and --data-provider")
        return ()
    if not isinstance(data, Path) or not isinstance(order, tuple):
        raise click.UsageError("name your data with --data DIR, or say --no-data")
    return read_data_folder(data, order)


def _results_folder(to: Path | None) -> Path:
    """Return where results go; a folder with something in it is refused before anything runs."""
    if to is None:
        return Path(tempfile.mkdtemp(prefix="sealroom-results-"))
    if to.exists() and any(to.iterdir()):
        raise click.BadParameter(f"{to} is not empty", param_hint="--to")
    return to


@contextmanager
def _removed_if_empty(folder: Path) -> Iterator[None]:
    try:
        yield
    finally:
        with suppress(OSError):
            folder.rmdir()


def _wheels(invocation: Invocation, folder: Path, progress: Progress) -> WheelStore | None:
    """Return the home's store with the wheels that a program names; without any, no home is opened."""
    from sealroom.client.code_archive import read_requirements
    from sealroom.client.locking import fetch_from_index
    from sealroom.client.wheel_store import WheelStore

    requirements = read_requirements(folder)
    if not requirements:
        return None
    store = WheelStore(invocation.open_home())
    fetch_from_index(requirements, store, progress=progress)
    return store


def _cache_folder() -> Path:
    base = os.environ.get(_CACHE_VARIABLE)
    return (Path(base) if base else Path.home() / ".cache") / "sealroom" / "code-test"


def _print(console: Console, report: Report) -> None:
    console.table(
        ("data provider", "input", "bytes", ""),
        [
            (use.provider, use.name, f"{use.size:,}", "read" if use.was_read else "not read")
            for use in report.inputs
        ],
        empty="no inputs",
    )
    console.table(
        ("result consumer", "result", "bytes", "written to"),
        [(result.consumer, result.name, f"{result.size:,}", str(result.path)) for result in report.results],
        empty="no results",
    )
    off = [held for held in report.protections if not held.on]
    for held in off:
        click.secho(f"not as in a real run: {held.name} is off on this machine ({held.detail})", fg="yellow")
    _print_log(report)
    _print_budgets(report)
    click.secho(_ending(report), fg="green" if report.succeeded else "red", bold=True)


def _print_log(report: Report) -> None:
    if report.log is None:
        click.echo(
            f"no log leaves with --logs {report.logs.value}"
            if report.outcome is not None
            else "no log: it went with the process"
        )
        return
    text = report.log.decode("utf-8", "replace")
    click.secho("what it printed" if text else "it printed nothing", bold=True)
    for line in visible_lines(text.removesuffix("\n")) if text else ():
        click.echo(f"  {line}")


def _print_budgets(report: Report) -> None:
    limits, logged = report.limits, len(report.log or b"")
    cut = ", and was cut there" if report.log and logged >= limits.max_log_bytes else ""
    click.echo(f"results: {report.bytes_out:,} of {limits.max_output_bytes:,} bytes, with their names")
    click.echo(f"log: {logged:,} of {limits.max_log_bytes:,} bytes{cut}")
    click.echo(f"time: {report.seconds:.1f} of {limits.max_seconds:,} s")


def _ending(report: Report) -> str:
    match report.outcome:
        case Outcome.SUCCEEDED:
            return "succeeded: exit code 0"
        case Outcome.LIMIT if report.seconds >= report.limits.max_seconds:
            return f"limit: the time was over (--max-seconds {report.limits.max_seconds}); no result leaves"
        case Outcome.LIMIT:
            said = "--max-output-bytes or --max-memory was too little, or the results too many"
            return f"limit: {said}; none leaves"
        case Outcome.FAILED if report.failure is not None:
            failure = report.failure
            return (
                f"failed: {failure.type} in {failure.file}, line {failure.line}, which everybody learns; "
                "no result leaves"
            )
        case Outcome.FAILED:
            return "failed: exit code 1; no result leaves"
        case None:
            return f"died: {report.death}; no result leaves, and no receipt says how it ended"


def _document(report: Report) -> dict[str, object]:
    failure = report.failure
    return {
        "outcome": "died" if report.outcome is None else report.outcome.value,
        "exit_code": report.exit_code,
        "failure": failure and {"type": failure.type, "file": failure.file, "line": failure.line},
        "death": report.death or None,
        "seconds": round(report.seconds, 3),
        "inputs": [
            {"provider": use.provider, "name": use.name, "size": use.size, "read": use.was_read}
            for use in report.inputs
        ],
        "results": [
            {"consumer": each.consumer, "name": each.name, "size": each.size, "path": str(each.path)}
            for each in report.results
        ],
        "bytes_out": report.bytes_out,
        "log": {
            "release": report.logs.value,
            "text": None if report.log is None else report.log.decode("utf-8", "replace"),
        },
        "protections": [
            {"name": held.name, "on": held.on, "detail": held.detail} for held in report.protections
        ],
    }
