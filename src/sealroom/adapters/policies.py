"""Policies by name or from a file."""

from importlib import resources
from pathlib import Path

from sealroom.core.errors import MalformedError
from sealroom.core.evidence.policy import MAX_POLICY_BYTES, Policy

READY_POLICIES = ("strict", "up-to-date", "insecure-any-status")


def load_policy(name_or_path: str) -> Policy:
    """Return the ready policy of that name, or else the one in that file.

    Raises `MalformedError` where the file cannot be read or is no policy.
    """
    return Policy.from_toml(read_policy(name_or_path))


def read_policy(name_or_path: str) -> bytes:
    """Return the TOML of a policy: the ready ones are files to read, too."""
    if name_or_path in READY_POLICIES:
        folder = resources.files("sealroom.core.evidence") / "policies"
        return (folder / f"{name_or_path}.toml").read_bytes()
    try:
        with Path(name_or_path).open("rb") as file:
            return file.read(MAX_POLICY_BYTES + 1)
    except OSError as exc:
        known = ", ".join(READY_POLICIES)
        raise MalformedError(f"policy {name_or_path!r}: neither a readable file nor one of {known}") from exc
