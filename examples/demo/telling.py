"""Turns what the parties' processes say into lines of the story."""

from __future__ import annotations

from collections import Counter

from examples.demo.scene import Event
from examples.demo.story import Story

STATES = {
    "Launching": "everybody has registered and the code is there: the operator starts an enclave",
    "AwaitingKeys": "has made its keys and published its evidence; it waits for everybody's key",
    "Running": "all deliveries are in, and the checks passed: it wiped its keys and runs the program",
    "Succeeded": "has sealed the results and the log, and signed the receipt",
}
RUN_STATES = ("Running", "Succeeded", "Refused")
RUN_EVENTS = ("receipt", "results", "refused", "done")
BANNER = "SIMULATED: this enclave protects nothing from the operator of its machine"


class Telling:
    """Tells one scene; `brief` leaves out what the first scene has shown already."""

    def __init__(self, story: Story, *, keys: int, brief: bool = False) -> None:
        self._story = story
        self._keys = keys
        self._brief = brief
        self._heard: Counter[str] = Counter()
        self._held_back: list[tuple[str, Event]] = []
        self._told_states: set[str] = set()
        self._showed_verdict = False

    def heard(self, who: str, event: Event) -> None:
        """Tell one event, and what waited for it: some hear of a launch or a run before others act."""
        self._heard[str(event["event"])] += 1
        if self._is_early(event):
            self._held_back.append((who, event))
            return
        self._tell(who, event)
        waiting, self._held_back = self._held_back, []
        for held in waiting:
            if self._is_early(held[1]):
                self._held_back.append(held)
            else:
                self._tell(*held)

    def _is_early(self, event: Event) -> bool:
        if event.get("state") == "Launching":
            return self._heard["registered"] < self._keys or not self._heard["code"]
        of_the_run = event.get("state") in RUN_STATES or event["event"] in RUN_EVENTS
        return of_the_run and self._heard["delivered"] < self._keys

    def _tell(self, who: str, event: Event) -> None:
        match event["event"]:
            case "state":
                self._state(str(event["state"]), event["protections"])
            case "verdict":
                self._verdict(who, event)
            case "delivered":
                self._story.tell(
                    who, f"seals its key to the enclave it verified and delivers it: {event['answer']}"
                )
            case "refused":
                self._refused(event)
            case "attack":
                self._story.tell("operator", f"attacks: {event['what']}")
            case "answer":
                self._story.tell("operator", f"is told: {event['what']}")
            case _ if not self._brief:
                self._detail(who, event)

    def _state(self, state: str, protections: object) -> None:
        if state in STATES and state not in self._told_states:
            self._told_states.add(state)
            who = "operator" if state == "Launching" else "enclave"
            self._story.tell(who, STATES[state])
            if state == "AwaitingKeys" and isinstance(protections, list) and not self._brief:
                around = ", ".join(name if is_on else f"{name} OFF" for name, is_on in protections)
                self._story.tell("operator", f"holds the program in: {around}")

    def _verdict(self, who: str, event: Event) -> None:
        verdict = event["verdict"]
        if not isinstance(verdict, dict):
            raise TypeError("a verdict is one JSON object")
        if self._brief:
            return
        if self._showed_verdict:
            self._story.tell(who, f"verifies for itself: {verdict['verdict']}, everything else passed")
            return
        self._showed_verdict = True
        self._story.tell(
            who, f"verifies the enclave on its own machine; MRENCLAVE {verdict['mrenclave'][:16]}..."
        )
        checks = [
            (check["title"], check["outcome"], check["because"] or check["observed"])
            for group in verdict["checks"]
            for check in group["checks"]
        ]
        self._story.verdict(BANNER, checks)

    def _refused(self, event: Event) -> None:
        if "refused" not in self._told_states:
            self._told_states.add("refused")
            self._story.tell("enclave", f"refuses, and signs why: {event['reason']}; then wipes its last key")

    def _detail(self, who: str, event: Event) -> None:
        tell = self._story.tell
        match event["event"]:
            case "identity":
                tell(who, f"makes its key pair, fingerprint ...{str(event['fingerprint'])[-16:]}")
            case "created":
                tell(
                    who,
                    "creates the computation, and hands the invitation with three words to the others itself",
                )
            case "registered":
                tell(who, f"registers its public key as {event['role']}")
            case "code":
                tell(who, f"sends its signed program: {_files(event['files'])}")
                tell(who, f"and the wheels that it needs, pinned by hash: {', '.join(event['packages'])}")
            case "data":
                tell(
                    who,
                    f"encrypts {event['name']} at home ({event['plain']:,} bytes), sends {event['sealed']:,}",
                )
                tell(who, f"says done; commitment {str(event['commitment'])[:16]}...")
            case "read":
                tell(who, f"reads run.py, {event['lines']} lines signed by {event['signer']}")
            case "receipt":
                tell(who, f"checks the receipt: {event['outcome']}")
            case "results":
                tell(who, f"decrypts at home: {_files(event['files'])}")


def _files(files: object) -> str:
    if not isinstance(files, list):
        raise TypeError("files are a list")
    readable = ("run.py", "requirements.txt")
    return ", ".join(f"{f[0]} ({'readable' if f[0] in readable else 'sealed'}, {f[-1]} bytes)" for f in files)
