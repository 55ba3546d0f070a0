"""`report.html`: the verdict, who saw what, the model beside the one trained in the open, the receipt.

One self-contained page: no script, nothing loaded from anywhere.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

STYLE = """
:root { color-scheme: light dark; --line: #8884; --good: #2a7d46; --bad: #b3261e; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0 } h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line) }
table { border-collapse: collapse; width: 100%; font-size: .92rem }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem; border-bottom: 1px solid var(--line);
  overflow-wrap: anywhere }
th:first-child, td:first-child { overflow-wrap: normal; min-width: 9rem }
code { font-size: .85rem; overflow-wrap: anywhere }
th, td span { white-space: nowrap }
.banner { background: var(--bad); color: #fff; padding: .6rem 1rem; font-weight: 700; text-align: center }
.passed { color: var(--good) } .failed { color: var(--bad); font-weight: 700 } .not_reached { opacity: .65 }
svg { width: 100%; height: auto } svg text { fill: currentColor; font: 11px system-ui, sans-serif }
"""
HEAD = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>sealroom</title><style>{STYLE}</style>'
ROW, LEFT, WIDTH = 18, 190, 820


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line of the verdict."""

    name: str
    outcome: str
    observed: str
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One of the refusals that the demonstration plays."""

    attempt: str
    reason: str
    signed_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that the page shows."""

    banner: str
    checks: Sequence[Check]
    who_saw_what: Sequence[tuple[str, str, str]]
    coefficients: Sequence[tuple[str, float, float]]
    largest_difference: float
    test_report: Sequence[tuple[str, str]]
    receipt: Sequence[tuple[str, str]]
    refusals: Sequence[Refusal]
    commands: Sequence[str]

    def to_html(self) -> str:
        """Return the page."""
        checks = (
            (check.name, _outcome(check.outcome), check.observed, check.meaning) for check in self.checks
        )
        refusals = ((refusal.attempt, refusal.reason, refusal.signed_by) for refusal in self.refusals)
        parts = [
            "<h1>One sealed computation</h1>",
            "<p>Two hospitals, a Code Provider and a Result Consumer trained a model together. "
            "This page was made from what their machines kept.</p>",
            f'<p class="banner">{html.escape(self.banner)}</p>',
            "<h2>What the Result Consumer verified before its key left home</h2>",
            _table(("check", "outcome", "observed", "what it means"), checks),
            "<h2>Who saw what</h2>",
            _table(("who", "saw in the clear", "saw sealed, or never"), self.who_saw_what),
            "<h2>The model, beside scikit-learn's on the pooled table in the open</h2>",
            f"<p>Largest difference of any coefficient: <b>{self.largest_difference:.1e}</b>.</p>",
            _dots(self.coefficients),
            _table(("on rows that were kept for the test", ""), self.test_report),
            "<h2>The receipt</h2>",
            _table(("what the enclave signed", ""), self.receipt),
            "<h2>Refusals</h2>",
            _table(("attempt", "reason", "signed by"), refusals),
            "<h2>Look for yourself</h2>",
            "".join(f"<p><code>{html.escape(command)}</code></p>" for command in self.commands),
        ]
        return HEAD + "\n".join(parts) + "</html>\n"


class _Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def _outcome(outcome: str) -> str:
    return _Markup(f'<span class="{outcome}">{outcome.replace("_", " ")}</span>')


def _cell(text: str) -> str:
    return text if isinstance(text, _Markup) else html.escape(text)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{html.escape(column)}</th>" for column in columns)
    body = "".join("<tr>" + "".join(f"<td>{_cell(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _dots(coefficients: Sequence[tuple[str, float, float]]) -> str:
    """Draw each coefficient twice: a ring for the open model, a dot inside it for the sealed one."""
    reach = max(max(abs(sealed), abs(in_the_open)) for _, sealed, in_the_open in coefficients) or 1.0
    middle, scale = LEFT + (WIDTH - LEFT) / 2, (WIDTH - LEFT) / 2 / (reach * 1.05)
    height = ROW * (len(coefficients) + 2)
    shapes = [
        f'<line x1="{middle}" x2="{middle}" y1="0" y2="{height - ROW}" stroke="currentColor" opacity=".3"/>'
    ]
    for row, (name, sealed, in_the_open) in enumerate(coefficients):
        y = ROW * (row + 1) - 5
        shapes.append(f'<text x="{LEFT - 10}" y="{y + 4}" text-anchor="end">{html.escape(name)}</text>')
        ring = 'fill="none" stroke="currentColor" stroke-width="1.4"'
        shapes.append(f'<circle cx="{middle + in_the_open * scale:.2f}" cy="{y}" r="6" {ring}/>')
        shapes.append(f'<circle cx="{middle + sealed * scale:.2f}" cy="{y}" r="3.2" fill="#2a7d46"/>')
    legend = f"ring: scikit-learn in the open · dot: sealed · scale ±{reach:.2f}"
    shapes.append(f'<text x="{middle}" y="{height - 4}" text-anchor="middle">{legend}</text>')
    title = "coefficients of the sealed model and of the open model"
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{title}">{"".join(shapes)}</svg>'
