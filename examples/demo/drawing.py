"""`run.svg`: who sent what to whom in one real run, drawn from what the parties reported."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

COLUMN, ROW, TOP, SIDE = 168, 34, 52, 92
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #1f2328 }
.head { font-weight: 600 } .size { fill: #57606a; font-size: 11px }
.life { stroke: #d0d7de } .box { fill: #f6f8fa; stroke: #d0d7de }
.arrow { stroke: #1f2328; stroke-width: 1.2; fill: none } .sealed { stroke: #1a7f37 } .note { fill: #ddf4ff }
.lock { fill: #1a7f37; stroke: #1a7f37 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .size { fill: #8d96a0 } .box { fill: #161b22; stroke: #30363d }
  .life { stroke: #30363d } .arrow { stroke: #e6edf3 } .sealed { stroke: #3fb950 }
  .note { fill: #0c2d6b } .lock { fill: #3fb950; stroke: #3fb950 }
}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One thing sent; `sealed` when only the receiver it is meant for can read it."""

    sender: str
    receiver: str
    what: str
    size: int | None
    sealed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something that happened at one party."""

    at: str
    what: str


def draw(parties: Sequence[tuple[str, str]], steps: Sequence[Message | Note]) -> str:
    """Draw a sequence diagram; `parties` are (key, title) from left to right."""
    places = {key: SIDE + column * COLUMN for column, (key, _) in enumerate(parties)}
    width, height = 2 * SIDE + (len(parties) - 1) * COLUMN, TOP + ROW * (len(steps) + 1)
    shapes = [_party(places[key], title, height) for key, title in parties]
    for index, step in enumerate(steps):
        y = TOP + ROW * (index + 1)
        shapes.append(_note(step, places, y) if isinstance(step, Note) else _message(step, places, y))
    marker = (
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0 0 8 4 0 8z" fill="context-stroke"/></marker></defs>'
    )
    title = "who sends what to whom in one computation"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{title}"><style>{STYLE}</style>{marker}{"".join(shapes)}</svg>\n'
    )


def _party(x: int, title: str, height: int) -> str:
    half = COLUMN // 2 - 8
    return (
        f'<line class="life" x1="{x}" x2="{x}" y1="44" y2="{height}"/>'
        f'<rect class="box" x="{x - half}" y="12" width="{2 * half}" height="32" rx="6"/>'
        f'<text class="head" x="{x}" y="33" text-anchor="middle">{html.escape(title)}</text>'
    )


def _message(message: Message, places: dict[str, int], y: int) -> str:
    start, end = places[message.sender], places[message.receiver]
    lock = _lock(start + (22 if end > start else -22), y) if message.sealed else ""
    size = "" if message.size is None else f' <tspan class="size">{_size(message.size)}</tspan>'
    kind = "arrow sealed" if message.sealed else "arrow"
    return (
        f'<line class="{kind}" x1="{start}" x2="{end}" y1="{y}" y2="{y}" marker-end="url(#tip)"/>'
        f'<text x="{(start + end) / 2}" y="{y - 8}" text-anchor="middle">'
        f"{html.escape(message.what)}{size}</text>{lock}"
    )


def _lock(x: int, y: int) -> str:
    """Draw a closed lock on the arrow."""
    return (
        f'<path class="lock" d="M{x - 3.5} {y - 1}v-2.5a3.5 3.5 0 0 1 7 0v2.5" fill="none"/>'
        f'<rect class="lock" x="{x - 5}" y="{y - 1}" width="10" height="8" rx="1.5"/>'
    )


def _note(note: Note, places: dict[str, int], y: int) -> str:
    x, half = places[note.at], max(70, 4 * len(note.what))
    return (
        f'<rect class="note" x="{x - half}" y="{y - 17}" width="{2 * half}" height="22" rx="4"/>'
        f'<text x="{x}" y="{y - 2}" text-anchor="middle">{html.escape(note.what)}</text>'
    )


def _size(octets: int) -> str:
    return f"{octets} B" if octets < 1024 else f"{octets / 1024:.1f} KiB"
