"""Receipt, evidence and invitation of one simulated launch of the installed release, as files."""

import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "core" / "evidence"))

import evidence_world as w
from archive_world import Archive

from sealroom.adapters.release import load_release
from sealroom.core.sealing.invitation import Invitation, format_invitation
from sealroom.core.wire.terms import Tee

__all__ = ["OFF_LINE", "Files", "hand_over", "launched", "w"]

NOW = "2026-03-01T12:00:00Z"
OFF_LINE = ("--policy", "up-to-date", "--at", NOW, "--home", "nobody")


@cache
def launched() -> Archive:
    """A launch of what is installed here: the command line knows no other release."""
    release = load_release()
    (pal,) = (known for known in release.pals if known.tee is Tee.SIMULATED)
    return Archive(evidence=w.world(release=release, pal=pal))


@dataclass(frozen=True, kw_only=True)
class Files:
    """A folder with what a third party was handed."""

    folder: Path

    def write(self, name: str, content: bytes | str) -> str:
        raw = content.encode() if isinstance(content, str) else content
        (self.folder / name).write_bytes(raw)
        return name


def hand_over(folder: Path) -> Files:
    files, made = Files(folder=folder), launched()
    files.write("receipt.json", made.run())
    files.write("evidence.json", made.bundle)
    invitation = Invitation(
        computation=w.COMPUTATION, terms_prefix=w.TERMS.digest[:16], words=("abandon", "ability", "able")
    )
    files.write("invitation.txt", format_invitation(invitation) + "\n")
    return files
