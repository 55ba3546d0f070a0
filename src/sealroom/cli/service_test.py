"""`sealroom service test`: the application and its tests at home, without an enclave."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from sealroom.cli.exit_codes import ExitCode
from sealroom.cli.options import INPUT_FOLDER, Invocation, command_options
from sealroom.cli.service_projects import ready_wheels
from sealroom.client.service.project import Project
from sealroom.client.service.trying import Trial, try_service


@click.command("test")
@click.argument("project", type=INPUT_FOLDER)
@command_options
def command(invocation: Invocation, project: Path) -> int:
    """Serve the application in PROJECT on this machine, without an enclave, and run its tests.

    Its packages are the wheels that requirements.txt names; without that file, those of this Python. Its
    secrets are secrets.json and secrets_to_seal.json. The tests are tests_cmd of config.toml, run in tests/
    with the address in $TEST_REMOTE_URL; what tests_requirements names, pip installs for them alone. Nothing
    is confined here: an enclave gives an application less. Exit codes: 0 the tests passed, 1 they failed or
    the application did not start.
    """
    opened = Project.open(project)
    store = ready_wheels(invocation, opened)
    trial = try_service(opened, store, output=sys.stderr if invocation.console.as_json else sys.stdout)
    document = {
        "name": opened.config.name,
        "interface": trial.interface.value,
        "tests": opened.config.tests_command,
        "exit_code": trial.exit_code,
        "passed": trial.exit_code == 0,
    }

    def render() -> None:
        invocation.console.say(_said(trial))
        if trial.exit_code == 0:
            step = "package" if opened.requirements() else "lock"
            invocation.console.next_step(
                f"sealroom service package {project}" if step == "package" else f"sealroom lock {project}"
            )

    invocation.console.result(document, render)
    return ExitCode.DONE if trial.exit_code in (0, None) else ExitCode.REFUSED


def _said(trial: Trial) -> str:
    how = trial.interface.value.upper()
    if trial.exit_code is None:
        return f"the application answers, by {how}; config.toml names no tests"
    if trial.exit_code == 0:
        return f"the application answers, by {how}, and its tests passed"
    return f"the tests ended with exit code {trial.exit_code}"
