"""`requirements.txt`: one strict form, read and written in one place.

Each line pins one package to one version and one wheel. Must never: repair or skip a line. What pip would
understand besides (options, addresses, markers) is refused, because nobody who reads the file would know what
the enclave gets.

Spec: docs/spec/packages.md, "requirements.txt".
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from sealroom.core.errors import MalformedError
from sealroom.core.wire.code_list import REQUIREMENTS

MAX_REQUIREMENTS = 256

_MAX_SHOWN = 100
_SEPARATORS = re.compile(r"[-_.]+")
_NAME = r"[a-z0-9]+(?:-[a-z0-9]+)*"
_VERSION = r"[0-9][0-9a-z.+!]{0,63}"
_LINE = re.compile(rf"(?P<name>{_NAME})==(?P<version>{_VERSION}) --hash=sha256:(?P<sha256>[0-9a-f]{{64}})")
_FORM = "name==version --hash=sha256:<64 hex digits>, as `sealroom lock` writes it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One package: its name in normal form, its exact version, and the SHA-256 of its wheel."""

    name: str
    version: str
    sha256: bytes

    @property
    def title(self) -> str:
        """The package as people say it."""
        return f"{self.name} {self.version}"

    @property
    def line(self) -> str:
        """The line that says it."""
        return f"{self.name}=={self.version} --hash=sha256:{self.sha256.hex()}"


def normal_name(name: str) -> str:
    """Return the one spelling of a package's name."""
    return _SEPARATORS.sub("-", name).lower()


def parse_requirements(raw: bytes) -> tuple[Requirement, ...]:
    """Return the packages of a `requirements.txt`, none for an empty one.

    Raises `MalformedError`, naming the line, for anything but the form that `write_requirements` writes.
    """
    try:
        text = raw.decode("ascii")
    except UnicodeDecodeError as exc:
        raise MalformedError(f"{REQUIREMENTS}: not ASCII") from exc
    *lines, rest = text.split("\n")
    if rest:
        raise MalformedError(f"{REQUIREMENTS}: the last line is not ended: got {rest[:_MAX_SHOWN]!r}")
    if len(lines) > MAX_REQUIREMENTS:
        raise MalformedError(
            f"{REQUIREMENTS}: got {len(lines)} lines, expected at most {MAX_REQUIREMENTS}, one a package"
        )
    found = tuple(_parse_line(line, number) for number, line in enumerate(lines, 1))
    _check_order(found)
    return found


def write_requirements(requirements: Sequence[Requirement]) -> bytes:
    """Return the file that pins these packages; raises `MalformedError` where no file could."""
    ordered = sorted(requirements, key=lambda requirement: requirement.name)
    raw = "".join(f"{requirement.line}\n" for requirement in ordered).encode("ascii", "replace")
    parse_requirements(raw)
    return raw


def _parse_line(line: str, number: int) -> Requirement:
    match = _LINE.fullmatch(line)
    if match is None:
        raise MalformedError(f"{REQUIREMENTS}: line {number}: got {line[:_MAX_SHOWN]!r}, expected {_FORM}")
    return Requirement(name=match["name"], version=match["version"], sha256=bytes.fromhex(match["sha256"]))


def _check_order(requirements: tuple[Requirement, ...]) -> None:
    for before, after in pairwise(requirements):
        if before.name >= after.name:
            raise MalformedError(
                f"{REQUIREMENTS}: got {after.name} after {before.name}, expected each package once, by name"
            )
    digests = {requirement.sha256 for requirement in requirements}
    if len(digests) != len(requirements):
        raise MalformedError(f"{REQUIREMENTS}: two packages have one hash")
