"""Wheels between a home's store and the server: sent before the code, fetched before a verdict.

The server is a courier. What it hands out counts only with the SHA-256 that `requirements.txt` names, and
what is in it is decided by the list that is made here.

Spec: docs/spec/packages.md, "Travel".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO
from uuid import UUID

from sealroom.client.json_values import JsonObject
from sealroom.client.transport import FileBody, Progress, Request, Transport
from sealroom.client.wheel_store import WheelStore
from sealroom.core.errors import MalformedError, TransportError
from sealroom.core.measurement.requirements import Requirement, write_requirements
from sealroom.core.measurement.zip_archive import MAX_WHEEL_BYTES

_ATTEMPTS_WITHOUT_PROGRESS = 5
_GOES_ON = (None, "upload_offset", "upload_busy")


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelCourier:
    """The wheels of one computation, on one server."""

    transport: Transport
    computation: UUID
    store: WheelStore

    def send(self, requirements: Sequence[Requirement], *, progress: Progress | None = None) -> None:
        """Send every wheel that the server does not have; asked again, it goes on where it stopped.

        All of them must be in the store.
        """
        if not requirements:
            return
        sizes = [self.store.path(each.sha256).stat().st_size for each in requirements]
        answer = self.transport.post_json(
            f"/computations/{self.computation}/wheels",
            {"requirements": write_requirements(requirements).decode(), "sizes": sizes},
        )
        states = {state.sha256: state for state in map(_WheelState.parse, answer.items("wheels"))}
        for requirement in requirements:
            state = states.get(requirement.sha256)
            if state is None:
                raise MalformedError(f"wheels: the server forgot {requirement.title}")
            self._send_one(requirement, state, progress)

    def fetch(self, requirements: Sequence[Requirement], *, progress: Progress | None = None) -> None:
        """Fetch the wheels that the store does not have.

        Raises `VerificationError`, naming the package, for a wheel that is not the one that was named, and
        `TransportError` for one that the server does not hand out.
        """
        for requirement in self.store.missing(requirements):

            def download(sink: IO[bytes], wanted: Requirement = requirement) -> None:
                self.transport.download(
                    self._path(wanted),
                    sink,
                    max_bytes=MAX_WHEEL_BYTES,
                    progress=progress,
                    label=wanted.title,
                )

            self.store.add(requirement, download)

    def _send_one(self, requirement: Requirement, state: "_WheelState", progress: Progress | None) -> None:
        path = self.store.path(requirement.sha256)
        stuck = 0
        while not state.completed:
            body = FileBody(path=path, offset=state.received, progress=progress, label=requirement.title)
            before = state
            try:
                state = self._put(requirement, body)
            except TransportError as error:
                if error.code not in _GOES_ON:
                    raise
                state = self._state(requirement)
            stuck = 0 if state.received > before.received else stuck + 1
            if stuck > _ATTEMPTS_WITHOUT_PROGRESS:
                raise TransportError(f"wheel of {requirement.title}: the server takes no more of it")

    def _put(self, requirement: Requirement, body: FileBody) -> "_WheelState":
        raw = self.transport.send(
            Request(
                method="PUT",
                path=self._path(requirement),
                params={"offset": body.offset},
                content=body,
                retry=False,
                patient=True,
            )
        )
        return _WheelState.parse(JsonObject.from_bytes(raw, what="answer to a wheel"))

    def _state(self, requirement: Requirement) -> "_WheelState":
        listed = self.transport.get_json(f"/computations/{self.computation}/wheels")
        for state in map(_WheelState.parse, listed.items("wheels")):
            if state.sha256 == requirement.sha256:
                return state
        raise MalformedError(f"wheels: the server forgot {requirement.title}")

    def _path(self, requirement: Requirement) -> str:
        return f"/computations/{self.computation}/wheels/{requirement.sha256.hex()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _WheelState:
    """How far a wheel is at the server."""

    sha256: bytes
    received: int
    completed: bool

    @classmethod
    def parse(cls, value: JsonObject) -> "_WheelState":
        return cls(
            sha256=value.hexadecimal("sha256", length=32),
            received=value.number("received"),
            completed=value.flag("completed"),
        )
