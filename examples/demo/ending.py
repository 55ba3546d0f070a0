"""What the demonstration leaves behind: files, commands that work on them, the report, the summary."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from examples.demo.clinical_table import OpenModel
from examples.demo.drawing import Message, Note, draw
from examples.demo.processes import DemoError, clean_environment
from examples.demo.report import Check, Refusal, Report
from examples.demo.scene import Event, Scene
from examples.demo.story import Story
from examples.demo.telling import BANNER
from sealroom.client import Home
from sealroom.client.store import ComputationFolder
from sealroom.core.wire.bundle import EvidenceBundle

WHO_SAW_WHAT = (
    (
        "Hospital A",
        "its own records, run.py, the outcome, the log",
        "Hospital B's records, the secret module, the result",
    ),
    (
        "Hospital B",
        "its own records, run.py, the outcome, the log",
        "Hospital A's records, the secret module, the result",
    ),
    ("Code Provider", "its program, the outcome, the log", "all records, the result"),
    ("Result Consumer", "run.py, the result, the outcome, the log", "all records, the secret module"),
    (
        "Operator",
        "names, sizes, times, run.py, who delivered when",
        "records, secret module, keys, words, log, result",
    ),
    ("Operator of a simulated enclave", "everything inside as well", "nothing: that is what SIMULATED means"),
)
PARTIES = (
    ("hospital-a", "Hospital A"),
    ("hospital-b", "Hospital B"),
    ("code-provider", "Code Provider"),
    ("consumer", "Result Consumer"),
    ("operator", "Operator's server"),
    ("enclave", "Enclave"),
)
# What happened, as an arrow: sender, receiver (None: whoever told it), what, and whether it was sealed.
MESSAGES = {
    "created": (None, "operator", "terms", False),
    "registered": (None, "operator", "public key", False),
    "code": (None, "operator", "signed program", True),
    "data": (None, "operator", "records", True),
    "Launching": ("operator", "enclave", "code, arguments", False),
    "AwaitingKeys": ("enclave", "operator", "quote, public keys", False),
    "read": ("operator", None, "evidence", False),
    "delivered": (None, "enclave", "key delivery", True),
    "Succeeded": ("enclave", "operator", "results, log, receipt", True),
    "results": ("operator", None, "results", True),
}
NOTES = {"verdict": (None, "verifies"), "Running": ("enclave", "wipes its keys, runs")}
AFTER: dict[str, Callable[[str], list[Message | Note]]] = {
    "created": lambda who: [Note(at=who, what="invitation, by another channel")],
    "results": lambda who: [Note(at=who, what="decrypts at home")],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Everything that the demonstration found."""

    scene: Scene
    model: dict[str, object]
    open_model: OpenModel
    difference: float
    refusals: Sequence[tuple[str, Event]]
    story: Story


def write_ending(ending: Ending, folder: Path) -> None:
    """Write report, drawing and files, try the commands, and print the summary."""
    bundle = _leave_files(ending.scene, folder)
    commands = _commands(ending.scene, folder)
    for command in commands:
        _try(command, folder)
    (folder / "report.html").write_text(_report(ending, commands).to_html())
    (folder / "run.svg").write_text(draw(PARTIES, _steps(ending, len(bundle))))
    _summary(ending, folder, commands)


def _leave_files(scene: Scene, folder: Path) -> bytes:
    """Copy evidence, arguments and receipt out of the consumer's home."""
    computation = UUID(str(scene.said("consumer", "created")["computation"]))
    kept = ComputationFolder(Home.open(scene.home("consumer")), computation)
    mrenclave = bytes.fromhex(str(scene.said("consumer", "receipt")["mrenclave"]))
    bundle, receipt = kept.evidence(mrenclave), kept.receipt(mrenclave)
    if bundle is None or receipt is None:
        raise DemoError(f"{computation} holds no evidence or no receipt")
    (folder / "evidence.json").write_bytes(bundle)
    (folder / "arguments").write_bytes(EvidenceBundle.from_bytes(bundle).arguments)
    (folder / "receipt.json").write_bytes(receipt)
    return bundle


def _commands(scene: Scene, folder: Path) -> list[list[str]]:
    def shown(path: Path) -> str:
        return str(path.relative_to(folder.parent))

    sealroom = ".venv/bin/sealroom"
    evidence, home = shown(folder / "evidence.json"), shown(scene.home("consumer"))
    accept = ["--policy", "up-to-date", "--insecure-accept-simulated", "--home", home]
    return [
        [sealroom, "evidence", "verify", evidence, *accept],
        [sealroom, "args", "show", shown(folder / "arguments")],
        [sealroom, "receipt", "verify", shown(folder / "receipt.json"), "--bundle", evidence, *accept],
    ]


def _try(command: list[str], folder: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "sealroom.cli.main", *command[1:]],
        cwd=folder.parent,
        env=clean_environment(folder),
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode != 0:
        raise DemoError(f"{shlex.join(command)} ended with {ran.returncode}: {ran.stderr or ran.stdout}")


def _report(ending: Ending, commands: Sequence[Sequence[str]]) -> Report:
    verdict = ending.scene.said("consumer", "verdict")["verdict"]
    receipt = ending.scene.said("consumer", "receipt")
    coefficients, test = ending.model["coefficients"], ending.model["test"]
    if not isinstance(verdict, dict) or not isinstance(coefficients, dict) or not isinstance(test, dict):
        raise DemoError("the parties told something else than they do")
    checks = [
        Check(
            name=check["title"],
            outcome=check["outcome"].replace("-", "_"),
            observed=check["because"] or check["observed"],
            meaning=check["meaning"],
        )
        for group in verdict["checks"]
        for check in group["checks"]
    ]
    return Report(
        banner=BANNER,
        checks=checks,
        who_saw_what=WHO_SAW_WHAT,
        coefficients=[
            (name, value, ending.open_model.coefficients[name]) for name, value in coefficients.items()
        ],
        largest_difference=ending.difference,
        test_report=[(name.replace("_", " "), f"{value:.4g}") for name, value in test.items()],
        receipt=[
            ("outcome", str(receipt["outcome"])),
            ("MRENCLAVE", str(receipt["mrenclave"])),
            ("log", str(receipt["log"])),
        ],
        refusals=[
            Refusal(attempt=attempt, reason=str(event["reason"]), signed_by=str(event["identity_pk"]))
            for attempt, event in ending.refusals
        ],
        commands=[shlex.join(command) for command in commands],
    )


def _steps(ending: Ending, bundle_size: int) -> list[Message | Note]:
    steps: list[Message | Note] = []
    told: set[str] = set()
    # Parties hear of a launch or a run at different moments; what made it possible came before it.
    for who, event in sorted(ending.scene.timeline, key=lambda told: _stage(told[1])):
        name = str(event["event"])
        if name == "state":
            name = str(event["state"])
            if name in told:
                continue
            told.add(name)
            who = "enclave"
        steps.extend(_step(who, name, event, bundle_size))
    return steps


def _stage(event: Event) -> int:
    order = (
        "created",
        "registered",
        "code",
        "data",
        "Launching",
        "AwaitingKeys",
        "read",
        "verdict",
        "delivered",
    )
    name = event.get("state", event["event"])
    return order.index(name) if name in order else len(order)


def _step(who: str, name: str, event: Event, bundle_size: int) -> list[Message | Note]:
    if name in NOTES:
        at, what = NOTES[name]
        return [Note(at=at or who, what=what)]
    if name not in MESSAGES:
        return []
    sender, receiver, what, sealed = MESSAGES[name]
    sizes = {"registered": 32, "read": bundle_size, "delivered": 402, "data": event.get("sealed")}
    files = event.get("files")
    size = sum(file[-1] for file in files) if isinstance(files, list) else sizes.get(name)
    message = Message(
        sender=sender or who,
        receiver=receiver or who,
        what=what,
        size=size if isinstance(size, int) else None,
        sealed=sealed,
    )
    return [message, *AFTER.get(name, lambda _: [])(who)]


def _summary(ending: Ending, folder: Path, commands: Sequence[Sequence[str]]) -> None:
    test = ending.model["test"]
    if not isinstance(test, dict):
        raise DemoError("the model has no test report")
    lines = [
        f"A model from {ending.model['training_rows']} sealed records, "
        f"right for {test['accuracy']:.1%} of {test['rows']} others.",
        f"Largest difference from scikit-learn in the open: {ending.difference:.1e} (allowed: 1e-6).",
        "",
        "Refused, each signed by the enclave:",
        *(f"  {event['reason']:<26} {attempt}" for attempt, event in ending.refusals),
        "",
        "The enclave was SIMULATED: the story is real, the protection is not.",
        f"Everything is in {folder.name}/. Look at {folder.name}/report.html, and try:",
        *(f"  {shlex.join(command)}" for command in commands),
    ]
    ending.story.chapter(f"Done in {ending.story.seconds:.0f} seconds")
    ending.story.panel("Summary", lines, style="green")
