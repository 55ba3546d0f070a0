"""Waiting for others: one line when what is waited for changes, and a running count on a terminal."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

import click

from sealroom.cli.console import Console
from sealroom.client.computation import Computation, ParticipantStatus, State
from sealroom.core.wire.foreign_text import visible
from sealroom.core.wire.participants import Role

POLL_SECONDS = 1.0
_TICK_SECONDS = 0.25
_WHEEL = "|/-\\"
_MOST_NAMES = 6


class Steps:
    """Says each step once, and turns a wheel beside it. Whatever ends the context leaves the line clean."""

    _HINT = ""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = sys.stderr.isatty() and not console.as_json
        self._said = ""
        self._since = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clear()

    def tell(self, text: str) -> None:
        """Say `text` if it is news; otherwise turn the wheel."""
        if text == self._said:
            self._tick()
        self._say(text)

    def _say(self, text: str) -> None:
        if text == self._said:
            return
        self._clear()
        self._said = text
        self._since = time.monotonic()
        self._console.say(text)

    def _tick(self) -> None:
        if self._live:
            waited = time.monotonic() - self._since
            wheel = _WHEEL[int(waited / _TICK_SECONDS) % len(_WHEEL)]
            note = f"{wheel} {waited:.0f} s{self._HINT}"
            click.echo(f"\r{note}", nl=False, err=True)

    def _clear(self) -> None:
        if self._live:
            click.echo("\r\x1b[K", nl=False, err=True)


class Waiting(Steps):
    """Shows what is waited for."""

    _HINT = " (Ctrl-C stops; the same command goes on here)"

    @property
    def began(self) -> bool:
        """Whether something was waited for since the last step of one's own."""
        return self._said.startswith("waiting")

    def wait(self, what: str, *, seconds: float = POLL_SECONDS) -> None:
        """Say `what` is waited for, if that is news, and let `seconds` pass."""
        self._say(f"waiting: {what}")
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            self._tick()
            time.sleep(min(left, _TICK_SECONDS) if self._live else left)

    def stop(self, text: str) -> None:
        """Say what happens now instead, if that is news."""
        self._say(text)


def missing_people(found: Computation) -> str | None:
    """Say who must move before the computation goes on; `None` where it is nobody in it."""
    if found.state in (State.CREATED, State.REGISTERING):
        return _sentence([(person, _before_launch(person)) for person in found.participants])
    if found.state is State.AWAITING_KEYS:
        return _sentence(
            [(p, _unsent(p) or ("" if p.delivered_at else "deliver a key")) for p in found.participants]
        )
    return None


def _before_launch(person: ParticipantStatus) -> str:
    if person.public_key is None:
        return "register"
    # Data may come while the enclave waits; nothing starts without the code.
    return _unsent(person) if person.role is Role.CODE_PROVIDER else ""


def _unsent(person: ParticipantStatus) -> str:
    if person.sent_at is not None or person.role is Role.RESULT_CONSUMER:
        return ""
    return "send the code" if person.role is Role.CODE_PROVIDER else "send data and say done"


def _sentence(deeds: list[tuple[ParticipantStatus, str]]) -> str | None:
    """Return `for A to register, B and C to deliver a key`, or `None` where nobody is left to do anything."""
    people: dict[str, list[str]] = {}
    for person, deed in deeds:
        email = visible(person.email)
        if deed and email not in people.setdefault(deed, []):
            people[deed].append(email)
    parts = [f"{_names(emails)} to {deed}" for deed, emails in people.items() if emails]
    return f"for {', '.join(parts)}" if parts else None


def _names(emails: list[str]) -> str:
    if len(emails) > _MOST_NAMES:
        return f"{', '.join(emails[:_MOST_NAMES])} and {len(emails) - _MOST_NAMES} others"
    return " and ".join(emails)
