"""Which wheels fit the Python that an enclave runs: by their tags, and by nothing else.

Spec: docs/spec/packages.md, "Platform".
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sealroom.core.errors import MalformedError

MACHINES = ("aarch64", "x86_64")

# Debian 12's. An older glibc in a tag is what a wheel asks for at least.
_GLIBC_MINOR = 36
_OLD_MANYLINUX = ("manylinux1", "manylinux2010", "manylinux2014")
_MANYLINUX = re.compile(r"manylinux_2_([0-9]{1,3})_([0-9a-z_]+)")
_PYTHON = re.compile(r"(cp|py)3([0-9]{0,3})")
_EXTENSION = re.compile(r"\.cpython-3([0-9]{1,3})-([0-9a-z_]+)-linux-gnu\.so$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """CPython 3.`minor` on a processor, with glibc."""

    minor: int
    machine: str

    @property
    def title(self) -> str:
        """The platform as people say it."""
        return f"CPython 3.{self.minor} on {self.machine}"

    def fits(self, tag: str) -> bool:
        """Say whether a wheel with this tag, `python-abi-system`, runs here."""
        parts = tag.split("-")
        if len(parts) != 3:
            return False
        python, abi, system = parts
        return self._fits_python(python, abi) and self._fits_system(system)

    def _fits_python(self, python: str, abi: str) -> bool:
        match = _PYTHON.fullmatch(python)
        if match is None:
            return False
        minor = int(match[2]) if match[2] else 0
        if match[1] == "py":
            return abi == "none" and minor <= self.minor
        if abi == "abi3":
            return minor <= self.minor
        return minor == self.minor and abi in ("none", python)

    def _fits_system(self, system: str) -> bool:
        if system == "any" or system in {f"{old}_{self.machine}" for old in _OLD_MANYLINUX}:
            return True
        match = _MANYLINUX.fullmatch(system)
        return match is not None and int(match[1]) <= _GLIBC_MINOR and match[2] == self.machine


SGX_PLATFORM = Platform(minor=11, machine="x86_64")


def platform_of_runtime(paths: Iterable[str]) -> Platform:
    """Return the platform whose extension modules a runtime has; raises `MalformedError` unless it is one."""
    matches = [match for path in paths if (match := _EXTENSION.search(path))]
    found = {Platform(minor=int(match[1]), machine=match[2]) for match in matches}
    if len(found) != 1:
        raise MalformedError(f"runtime: its modules name {len(found)} kinds of Python, expected one")
    return found.pop()
