"""The fixed words of a check, and of the question that several checks answer together."""

from dataclasses import dataclass

from sealroom.core.evidence.verdict import Blame


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckText:
    """The words of one check, and whose fault it is when it fails."""

    name: str
    title: str
    required: str
    meaning: str
    remedy: str
    blame: Blame = Blame.EVIDENCE


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupText:
    """The question that some checks answer together."""

    name: str
    title: str
    checks: tuple[CheckText, ...]
