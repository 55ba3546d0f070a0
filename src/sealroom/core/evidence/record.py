"""Writes a verdict down while a verification goes on.

One check is recorded once. Whatever the verification never came to stands in the verdict as not reached, with
the reason: so a step that returns early hides nothing.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from sealroom.core.errors import CollateralError, MalformedError, PolicyError, VerificationError
from sealroom.core.evidence.catalogue import GROUPS
from sealroom.core.evidence.check_text import CheckText, GroupText
from sealroom.core.evidence.verdict import Blame, Check, CheckGroup, Outcome, worst
from sealroom.core.wire.foreign_text import visible

_T = TypeVar("_T")

_PAGE = "docs/spec/verification.md"
_MAX_OBSERVED = 2000


class Record:
    """The checks that were made so far, of the catalogue `groups` whose rules stand on `page`."""

    def __init__(self, *, groups: tuple[GroupText, ...] = GROUPS, page: str = _PAGE) -> None:
        self._groups = groups
        self._texts = {check.name: check for group in groups for check in group.checks}
        self._sources = {
            check.name: f"{page}, {chapter}.{section}"
            for chapter, group in enumerate(groups, 1)
            for section, check in enumerate(group.checks, 1)
        }
        self._checks: dict[str, Check] = {}

    def check(
        self,
        name: str,
        step: Callable[[], _T],
        observed: Callable[[_T], str] | str,
        *,
        required: str | None = None,
    ) -> _T | None:
        """Make one check that finds something: return what `step` returns, or `None` where it raised."""
        try:
            value = step()
        except (MalformedError, VerificationError, CollateralError) as exc:
            self._add(name, Outcome.FAILED, str(exc), required=required, blame=_blame(exc, self._texts[name]))
            return None
        text = observed if isinstance(observed, str) else observed(value)
        self._add(name, Outcome.PASSED, text, required=required)
        return value

    def rule(
        self, name: str, step: Callable[[], None], observed: str, *, required: str | None = None
    ) -> None:
        """Make one check that finds nothing: it passed if `step` returns."""

        def made() -> bool:
            step()
            return True

        self.check(name, made, observed, required=required)

    def simulated(self, name: str, observed: str) -> None:
        """Record a check that only a real enclave can pass."""
        self._add(name, Outcome.SIMULATED, observed)

    def not_reached(self, name: str, because: str) -> None:
        """Record why a check could not be made, where it is not that an earlier one failed."""
        self._add(name, Outcome.NOT_REACHED, "", because=because)

    def part(
        self,
        whole: str,
        *,
        name: str,
        title: str,
        outcome: Outcome,
        observed: str,
        required: str,
        blame: Blame | None,
    ) -> Check:
        """Return one part of the check `whole`, with its words and a title of its own."""
        check = self._made(self._texts[whole], outcome, observed, required=required, blame=blame)
        return replace(check, name=f"{whole}.{name}", title=visible(title))

    def parts(self, name: str, parts: tuple[Check, ...], observed: str) -> None:
        """Record a check that is made of others."""
        text = self._texts[name]
        outcome = worst(part.outcome for part in parts)
        blame = next((part.blame for part in parts if part.blame is not None), None)
        self._checks[name] = self._made(text, outcome, observed, parts=parts, blame=blame)

    @property
    def names(self) -> tuple[str, ...]:
        """Every check of the catalogue, in order."""
        return tuple(self._texts)

    def passed(self, name: str) -> bool:
        """Whether that check was made and passed."""
        return name in self._checks and self._checks[name].outcome is Outcome.PASSED

    def failed(self, name: str) -> bool:
        """Whether that check was made and failed."""
        return name in self._checks and self._checks[name].outcome is Outcome.FAILED

    def is_simulated(self, name: str) -> bool:
        """Whether that check was made, and only a real enclave could have passed it."""
        return name in self._checks and self._checks[name].outcome is Outcome.SIMULATED

    def groups(self) -> tuple[CheckGroup, ...]:
        """Return all checks of the catalogue in its order, those that were not made as not reached."""
        return tuple(self._group(group) for group in self._groups)

    def _group(self, group: GroupText) -> CheckGroup:
        parts = tuple(self._checks.get(text.name) or self._missing(text, group) for text in group.checks)
        return CheckGroup(name=group.name, title=group.title, parts=parts)

    def _missing(self, text: CheckText, group: GroupText) -> Check:
        own = [check for check in group.checks if check.name in self._checks]
        failed = [c.name for c in own if self._checks[c.name].outcome is Outcome.FAILED]
        failed += [name for name, check in self._checks.items() if check.outcome is Outcome.FAILED]
        because = f"{failed[0]} failed" if failed else "an earlier check was not reached"
        return self._made(text, Outcome.NOT_REACHED, "", because=because)

    def _add(
        self,
        name: str,
        outcome: Outcome,
        observed: str,
        *,
        required: str | None = None,
        because: str | None = None,
        blame: Blame | None = None,
    ) -> None:
        if name in self._checks:
            raise RuntimeError(f"{name}: recorded twice")
        self._checks[name] = self._made(
            self._texts[name], outcome, observed, required=required, because=because, blame=blame
        )

    def _made(
        self,
        text: CheckText,
        outcome: Outcome,
        observed: str,
        *,
        required: str | None = None,
        because: str | None = None,
        blame: Blame | None = None,
        parts: tuple[Check, ...] = (),
    ) -> Check:
        return Check(
            name=text.name,
            title=text.title,
            outcome=outcome,
            observed=visible(observed[:_MAX_OBSERVED]),
            required=text.required if required is None else required,
            meaning=text.meaning,
            remedy=text.remedy,
            source=self._sources[text.name],
            because=because,
            blame=blame,
            parts=parts,
        )


def _blame(exc: Exception, text: CheckText) -> Blame:
    if isinstance(exc, PolicyError):
        return Blame.POLICY
    if isinstance(exc, CollateralError):
        return Blame.COLLATERAL
    if isinstance(exc, MalformedError):
        return Blame.MALFORMED
    return text.blame
