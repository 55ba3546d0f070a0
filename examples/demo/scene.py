"""One computation of the demonstration: who takes part, where they connect, what they said."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from examples.demo.party import Settings
from examples.demo.processes import DemoError, Processes
from sealroom.core.sealing.invitation import (
    Invitation,
    format_invitation_file,
    parse_invitation_file,
)
from sealroom.core.sealing.words import word_list

EMAILS = {
    "hospital-a": "ana@hospital-a.example",
    "hospital-b": "ben@hospital-b.example",
    "code-provider": "dev@models.example",
    "consumer": "study@university.example",
}
PEOPLE = {
    "code-provider": [EMAILS["code-provider"]],
    "data-provider": [EMAILS["hospital-a"], EMAILS["hospital-b"]],
    "result-consumer": [EMAILS["consumer"]],
}
Event = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A server and the certificate that an invitation pins."""

    url: str
    certificate: str


@dataclass(slots=True, kw_only=True)
class Scene:
    """Starts the parties of one computation, and gathers what they say until the last has ended."""

    name: str
    folder: Path
    address: Address
    homes: str
    code: Path
    processes: Processes
    heard: Callable[[str, Event], None]
    absent: frozenset[str] = frozenset()
    wrong_word: str | None = None
    timeline: list[tuple[str, Event]] = field(default_factory=list)

    def play(self) -> None:
        """Play the scene; raises `DemoError` where a party ends badly."""
        parties = [who for who in EMAILS if who not in self.absent]
        self.processes.start(self._process("consumer"), "examples.demo.party", [self._settings("consumer")])
        self._listen(until=lambda who, event: event["event"] == "created")
        if self.wrong_word is not None:
            self._change_a_word(self.wrong_word)
        for who in parties:
            if who != "consumer":
                self.processes.start(self._process(who), "examples.demo.party", [self._settings(who)])
        ended: set[str] = set()
        while len(ended) < len(parties):
            ended |= self._listen(until=None)

    def said(self, who: str, event: str) -> Event:
        """Return the first event of that name that a party told."""
        for teller, found in self.timeline:
            if (teller, found["event"]) == (who, event):
                return found
        raise DemoError(f"{who} never told '{event}' in the scene '{self.name}'")

    def home(self, who: str) -> Path:
        """Return a party's home; scenes at one server share it, as people do."""
        return self.folder / self.homes / who

    def invitation(self, who: str) -> Path:
        """Return where a party finds its invitation: the owner's file, unless it got a wrong one."""
        name = f"{self.name}-{who}" if who == self.wrong_word else self.name
        return self.folder / "other-channel" / f"{name}.txt"

    def _listen(self, *, until: Callable[[str, Event], bool] | None) -> set[str]:
        while True:
            line = self.processes.next_line()
            who = line.who.removesuffix(f" ({self.name})")
            if line.content is None:
                code = self.processes.exit_code(line.who)
                if code != 0:
                    raise DemoError(f"{line.who} ended with {code}; see {self.processes.log(line.who)}")
                return {who}
            self.timeline.append((who, line.content))
            self.heard(who, line.content)
            if until is not None and until(who, line.content):
                return set()

    def _process(self, who: str) -> str:
        return f"{who} ({self.name})"

    def _settings(self, who: str) -> str:
        settings = Settings(
            home=str(self.home(who)),
            email=EMAILS[who],
            server=self.address.url,
            certificate=self.address.certificate,
            invitation=str(self.invitation(who)),
            code=str(self.code) if who == "code-provider" else None,
            data=str(self.folder / "records" / f"{who}.csv") if who.startswith("hospital") else None,
            people=PEOPLE if who == "consumer" else None,
        )
        path = self.folder / "settings" / f"{self.name}-{who}.json"
        path.parent.mkdir(exist_ok=True)
        self.home(who).parent.mkdir(exist_ok=True)
        self.invitation(who).parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(asdict(settings)))
        return str(path)

    def _change_a_word(self, who: str) -> None:
        """Give one party an invitation with another word, and a checksum that fits."""
        file = parse_invitation_file(self.invitation("the owner's").read_bytes())
        *words, last = file.invitation.words
        other = next(word for word in word_list() if word != last)
        changed = Invitation(
            computation=file.invitation.computation,
            terms_prefix=file.invitation.terms_prefix,
            words=(*words, other),
        )
        self.invitation(who).write_bytes(
            format_invitation_file(
                type(file)(invitation=changed, server=file.server, server_cert_sha256=file.server_cert_sha256)
            )
        )
