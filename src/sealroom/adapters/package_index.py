"""Packages from a package index: what to take, by uv, and the wheels themselves, by pip.

Both are asked as programs with the settings that this machine has for them (index, certificates, proxies).
Nothing that they say is believed: wheels count by their SHA-256, which the caller compares.

Must never: build a package, which would run its code, or take anything but wheels.
"""

import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sealroom.core.errors import SealroomError
from sealroom.core.measurement.platform_tags import Platform
from sealroom.core.measurement.requirements import normal_name

_SECONDS = 1800
_MOST_WORDS = 2000
_NEWEST_GLIBC, _OLDEST_GLIBC = 36, 5
_OLD_NAMES = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
_PACKAGE = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[^\s;\\]+)(?P<rest>[^\\]*)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


class PackageIndexError(SealroomError):
    """The index, or the program that asks it, could not do what was asked; the message is theirs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedPackage:
    """One package that a project needs, in one version; `hashes` are those of all files of that version."""

    name: str
    version: str
    hashes: frozenset[bytes]


def resolve(
    sources: Sequence[Path], platform: Platform, *, leave_out: Sequence[str] = ()
) -> tuple[ResolvedPackage, ...]:
    """Return everything that the requirements in `sources` need together on `platform`, as wheels alone.

    Each is a `requirements.in` or a `pyproject.toml`. What is called as one of `leave_out` is left out,
    whoever needs it. Raises `PackageIndexError`.
    """
    without = [word for name in leave_out for word in ("--no-emit-package", name)]
    command = [
        _uv(), "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--generate-hashes",
        "--only-binary", ":all:", "--python-version", f"3.{platform.minor}",
        "--python-platform", f"{platform.machine}-manylinux_2_{_NEWEST_GLIBC}",
        *without, *(str(source.absolute()) for source in sources),
    ]  # fmt: skip
    return _parse_resolution(_run(command, folder=sources[0].parent, what="uv"))


def download_wheel(
    name: str, version: str, hashes: Sequence[bytes], platform: Platform, folder: Path
) -> Path:
    """Download the best wheel of one version for `platform` into an empty folder, and return it.

    pip compares it with `hashes`. Raises `PackageIndexError`.
    """
    wanted = folder / "wanted.txt"
    lines = [f"{name}=={version}", *(f"    --hash=sha256:{digest.hex()}" for digest in hashes)]
    wanted.write_text(" \\\n".join(lines) + "\n")
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input",
        "--no-deps", "--only-binary", ":all:", "--require-hashes", "--implementation", "cp",
        "--python-version", f"3.{platform.minor}", "--dest", str(folder), "--requirement", str(wanted),
        *(word for tag in _platforms(platform) for word in ("--platform", tag)),
    ]  # fmt: skip
    _run(command, folder=folder, what="pip")
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise PackageIndexError(f"pip: got {len(wheels)} wheels of {name} {version}, expected one")
    return wheels[0]


def _platforms(platform: Platform) -> list[str]:
    """Return the systems whose wheels run there, the newest first: pip takes them in this order."""
    systems = []
    for glibc in range(_NEWEST_GLIBC, _OLDEST_GLIBC - 1, -1):
        systems.append(f"manylinux_2_{glibc}_{platform.machine}")
        if glibc in _OLD_NAMES:
            systems.append(f"{_OLD_NAMES[glibc]}_{platform.machine}")
    return systems


def _parse_resolution(text: str) -> tuple[ResolvedPackage, ...]:
    """Read uv's lines: one package, continued by its hashes; anything else is an error of ours or uv's."""
    packages = []
    for line in text.replace("\\\n", " ").splitlines():
        if not line.strip():
            continue
        match = _PACKAGE.match(line)
        hashes = frozenset(bytes.fromhex(digest) for digest in _HASH.findall(line))
        if match is None or _HASH.sub("", match["rest"]).strip() or not hashes:
            raise PackageIndexError(f"uv: got {line[:200]!r}, expected name==version with hashes")
        packages.append(
            ResolvedPackage(name=normal_name(match["name"]), version=match["version"], hashes=hashes)
        )
    return tuple(packages)


def _uv() -> str:
    try:
        from uv import find_uv_bin
    except ImportError as exc:
        raise PackageIndexError("uv is not installed: pip install 'sealroom[lock]'") from exc
    return str(find_uv_bin())


def _run(command: Sequence[str], *, folder: Path, what: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - fixed programs; names and versions were parsed
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise PackageIndexError(f"{what}: no answer within {_SECONDS} s") from exc
    if done.returncode != 0:
        # One line, as every message: uv folds and draws below its own.
        said = " ".join(done.stderr.split())[-_MOST_WORDS:]
        raise PackageIndexError(f"{what}: {said or 'failed and said nothing'}")
    return done.stdout
