"""Draw docs/states.md from the state table: `python tools/draw_states.py`, or `--check` to compare only."""

import argparse
import sys
from pathlib import Path

from sealroom.server.states import TRANSITIONS, State, Transition

TARGET = Path(__file__).resolve().parent.parent / "docs" / "states.md"

_HEAD = """# States of a computation

Drawn from the table in `src/sealroom/server/states.py` by `tools/draw_states.py`; do not edit by hand. Every
arrow and every row writes one event of that name. What each event means to a caller: `docs/spec/api.md`.

Inside one launch a computation only moves forward. The thick arrows plan a new launch (the next epoch), after
which everybody verifies and delivers again.
"""


def draw() -> str:
    """Return the page."""
    return "\n".join((_HEAD, *_diagram(), "", *_table(), ""))


def _diagram() -> list[str]:
    lines = ["```mermaid", "flowchart TD"]
    lines += [f"    {state.value}([{state.value}])" for state in State]
    arrows: dict[tuple[str, str, bool], list[str]] = {}
    for transition in TRANSITIONS:
        if transition.source is transition.target and not transition.new_epoch:
            continue
        source = transition.source.value if transition.source else "start"
        arrow = (source, transition.target.value, transition.new_epoch)
        arrows.setdefault(arrow, []).append(transition.cause.value)
    lines.append("    start(( ))")
    for (source, target, new_epoch), causes in arrows.items():
        line = "==>" if new_epoch else "-->"
        lines.append(f'    {source} {line}|"{"<br>".join(causes)}"| {target}')
    return [*lines, "```"]


def _table() -> list[str]:
    rows: dict[tuple[str, str], list[Transition]] = {}
    for transition in TRANSITIONS:
        by = ", ".join(sorted(actor.value for actor in transition.by))
        rows.setdefault((transition.cause.value, by), []).append(transition)
    lines = ["| event | caused by | from | to |", "|---|---|---|---|"]
    for (cause, by), transitions in rows.items():
        sources = ", ".join(t.source.value if t.source else "(new)" for t in transitions)
        stays = all(t.source is t.target and not t.new_epoch for t in transitions)
        target = "(stays)" if stays else transitions[0].target.value
        if any(t.new_epoch for t in transitions):
            target += ", next epoch"
        lines.append(f"| `{cause}` | {by} | {sources} | {target} |")
    return lines


def main() -> int:
    """Write the page, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail when the page is not current")
    page = draw()
    if parser.parse_args().check:
        return int(TARGET.read_text(encoding="utf-8") != page)
    TARGET.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
