"""`make demo`: one sealed computation between four parties, then three attempts to cheat.

    python -m examples.demo [--launcher gramine-direct]

Ends with 0 only when every step did what it says. Everything stays in one folder; nothing is left running.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from examples.demo.clinical_table import hospital_tables, largest_difference, train_in_the_open
from examples.demo.ending import Ending, write_ending
from examples.demo.hostile_operator import Settings
from examples.demo.processes import DemoError, Processes, processes
from examples.demo.scene import EMAILS, Address, Event, Scene
from examples.demo.story import Story
from examples.demo.telling import Telling
from examples.ready_wheels import ready
from sealroom.adapters.package_index import PackageIndexError

FOLDER = Path("demo-run")
CODE = Path(__file__).parent / "code"
TOLERANCE = 1e-6


def main() -> int:
    """Play everything; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m examples.demo")
    parser.add_argument(
        "--launcher",
        choices=["simulated", "gramine-direct"],
        default="simulated",
        help="what the servers start enclaves with; both are simulated",
    )
    launcher = parser.parse_args().launcher
    story = Story()
    folder = FOLDER.absolute()
    try:
        _empty(folder)
        with processes(folder) as running:
            _play(story, folder, Servers(running=running, launcher=launcher))
    except DemoError as failure:
        story.panel("The demonstration failed", [str(failure)], style="red")
        return 1
    return 0


def _empty(folder: Path) -> None:
    """Make the folder anew; one that this program did not make is left alone."""
    mark = folder / "made-by-sealroom-demo"
    if folder.exists():
        if not mark.exists():
            raise DemoError(f"{folder} is not a folder of this demonstration: move it away")
        shutil.rmtree(folder)
    folder.mkdir(mode=0o700)
    mark.touch()


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """The processes of the demonstration, and what its servers start enclaves with."""

    running: Processes
    launcher: str

    def start(self, who: str, data: Path) -> Address:
        """Start a server; returns where it listens."""
        words = ["server", "--data", str(data), "--port", "0", "--launcher", self.launcher, "--json"]
        self.running.start(who, "sealroom.cli.main", words)
        listening = self.running.first_line(who)
        return Address(url=str(listening["url"]), certificate=str(listening["certificate_sha256"]))


def _play(story: Story, folder: Path, servers: Servers) -> None:
    story.chapter("Two hospitals, one model: the records stay sealed")
    tables = hospital_tables()
    records = folder / "records"
    records.mkdir()
    for who, table in zip(("hospital-a", "hospital-b"), tables, strict=True):
        (records / f"{who}.csv").write_bytes(table)
        patients = len(table.splitlines()) - 1
        story.tell(who, f"holds the records of {patients} patients, {len(table):,} bytes of CSV")
    _get_the_wheels(folder)
    address = _start_server(story, folder, servers, "operator")
    scene = _scene("main", folder, servers.running, address, Telling(story, keys=len(EMAILS)))
    scene.play()
    model = _result(scene)
    coefficients = model["coefficients"]
    intercept = model["intercept"]
    if not isinstance(coefficients, dict) or not isinstance(intercept, float):
        raise DemoError("the result is not what the program writes")
    story.chapter("The same model, trained in the open on the pooled table")
    in_the_open = train_in_the_open(tables)
    difference = largest_difference(coefficients, intercept, in_the_open)
    story.aside(f"scikit-learn (newton-cholesky): largest difference of any coefficient {difference:.1e}")
    if not difference <= TOLERANCE:
        raise DemoError(f"the sealed model differs from the open one by {difference}")
    refusals = _refusals(story, folder, servers, address)
    ending = Ending(
        scene=scene,
        model=model,
        open_model=in_the_open,
        difference=difference,
        refusals=refusals,
        story=story,
    )
    write_ending(ending, folder)


def _get_the_wheels(folder: Path) -> None:
    """See that the program's packages are here: downloaded the first time, by the hashes in the lock."""
    try:
        ready(CODE, folder / "program")
    except PackageIndexError as failure:
        raise DemoError(f"the wheels of the program could not be downloaded: {failure}") from failure


def _refusals(story: Story, folder: Path, servers: Servers, address: Address) -> list[tuple[str, Event]]:
    """Play the three attempts; each must end in a signed refusal with its reason."""
    found, running = [], servers.running
    story.chapter("Attempt 1: one participant was given another word, with a checksum that fits")
    scene = _scene("another-word", folder, running, address, Telling(story, keys=len(EMAILS), brief=True))
    scene.wrong_word = "hospital-b"
    scene.play()
    found.append(("an invitation with another word", _refused(scene, "words-differ")))
    story.chapter("Attempt 2: the operator drops one hospital's file")
    hostile = _start_hostile_operator(story, folder, servers)
    scene = _scene("drop-file", folder, running, hostile, Telling(story, keys=len(EMAILS), brief=True))
    scene.play()
    found.append(("the operator drops one hospital's file", _refused(scene, "inputs-differ")))
    story.chapter("Attempt 3: it signs Hospital A's sealed key again, as Hospital B")
    scene = _scene(
        "copy-delivery", folder, running, hostile, Telling(story, keys=len(EMAILS) - 1, brief=True)
    )
    scene.absent = frozenset({"hospital-b"})
    scene.play()
    found.append(("the operator signs a copied key delivery", _refused(scene, "box-of-another-statement")))
    return found


def _start_hostile_operator(story: Story, folder: Path, servers: Servers) -> Address:
    """Put a hostile operator in front of a server of its own."""
    address, running = _start_server(story, folder, servers, "second operator"), servers.running
    settings = Settings(
        attacks=["drop-file", "copy-delivery"],
        victim=EMAILS["hospital-b"],
        upstream=address.url,
        upstream_certificate=address.certificate,
        folder=str(folder / "hostile-operator"),
    )
    path = folder / "settings" / "hostile-operator.json"
    path.write_text(json.dumps(asdict(settings)))
    running.start("hostile operator", "examples.demo.hostile_operator", [str(path)])
    listening = running.first_line("hostile operator")
    return Address(url=str(listening["url"]), certificate=str(listening["certificate_sha256"]))


def _start_server(story: Story, folder: Path, servers: Servers, who: str) -> Address:
    address = servers.start(who, folder / who.replace(" ", "-"))
    story.tell("operator", f"runs a server at {address.url}, in a process of its own")
    return address


def _scene(name: str, folder: Path, running: Processes, address: Address, telling: Telling) -> Scene:
    homes = "parties" if name in ("main", "another-word") else "parties-of-the-hostile-operator"
    return Scene(
        name=name,
        folder=folder,
        address=address,
        homes=homes,
        code=folder / "program",
        processes=running,
        heard=telling.heard,
    )


def _result(scene: Scene) -> dict[str, object]:
    files = scene.said("consumer", "results")["files"]
    if not isinstance(files, list) or len(files) != 1:
        raise DemoError("the consumer did not get one result")
    found = json.loads(Path(files[0][1]).read_bytes())
    if not isinstance(found, dict):
        raise DemoError("the result is not what the program writes")
    return found


def _refused(scene: Scene, reason: str) -> Event:
    """Demand that every party saw a refusal with this reason, signed by the enclave that it had verified."""
    parties = [who for who in EMAILS if who not in scene.absent]
    seen = [scene.said(who, "refused") for who in parties]
    if any(event["reason"] != reason for event in seen):
        raise DemoError(f"expected the signed refusal '{reason}', got {[event['reason'] for event in seen]}")
    return seen[0]


if __name__ == "__main__":
    sys.exit(main())
