"""Write docs/measured-code.md: sealroom's own code that every enclave runs, counted file by file.

`python tools/count_measured.py`, or `--check` to compare only. A line of code is one with a token on it
that is neither a comment nor part of a docstring.
"""

import argparse
import ast
import io
import sys
import tokenize
from pathlib import Path

from sealroom.adapters.release import first_party_sources, service_sources
from sealroom.core.wire.terms import DeliveryForm

TARGET = Path(__file__).resolve().parent.parent / "docs" / "measured-code.md"

_HEAD = """# Measured code

Written from the sources by `tools/count_measured.py`; do not edit by hand.

What of sealroom runs inside the enclave of a computation, and is to be read by whoever trusts one: the
entry point and all that it imports ([which files these are](spec/manifest.md#first-party-files)). Lines of
code are those without blank lines, comments and docstrings. The aim is 3,000, a day's audit; these are all
of them:
"""
_LEGACY = """
A computation in the published client's form (`delivery=legacy` in its arguments) has these as well, and no
other has:
"""
_FOLDERS = {
    "core/sealing": "keys, containers, deliveries, logs",
    "core/wire": "the messages, and the signatures over them",
    "enclave": "admission, program, inputs, outputs, logs",
    "enclave/identity": "the keys, and the quote that binds them",
}
_LEGACY_FOLDERS = {
    "core/compat": "the published client's forms of delivery and result",
    "enclave/legacy": "its computations",
}
_SERVICES = """
## Services

A [service](spec/services.md) measures its own session and what that imports, no computation's. What serves
it (uvicorn, pyOpenSSL, cryptography) comes as its packages and is not counted here.
"""
_TABLE = ("| | files | lines of code | all lines |", "|---|---|---|---|")
_NO_TEXT = frozenset(
    (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
)


def count_code(source: str) -> int:
    """Return the number of lines of code."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _NO_TEXT:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and node.end_lineno:
            lines.difference_update(range(node.lineno, node.end_lineno + 1))
    return len(lines)


def write() -> str:
    """Return the page."""
    counts, legacy = _counts(DeliveryForm.V1), _counts(DeliveryForm.LEGACY)
    rows = [_row(f"`{name}/`: {says}", _below(counts, name)) for name, says in _FOLDERS.items()]
    rows.append(_row("`__init__.py`, `core/errors.py`", _below(counts, "", "core")))
    rows.append(_row("**all**", list(counts.values())))
    files = [f"| `{name}` | {code} | {lines} |" for name, (code, lines) in sorted(legacy.items()) if lines]
    return "\n".join(
        (
            _HEAD,
            *_TABLE,
            *rows,
            _LEGACY,
            *_TABLE,
            *(_row(f"`{name}/`: {says}", _below(legacy, name)) for name, says in _LEGACY_FOLDERS.items()),
            "\n## File by file\n",
            "| file | lines of code | all lines |",
            "|---|---|---|",
            *files,
            *_services(),
            "",
        )
    )


def _services() -> tuple[str, ...]:
    """Return the part about services, whose own files stand one by one."""
    counts = {
        path.removeprefix("lib/sealroom/"): _count_file(source) for path, source in service_sources().items()
    }
    shared = _counts(DeliveryForm.V1)
    own = {name: count for name, count in counts.items() if name not in shared}
    return (
        _SERVICES,
        *_TABLE,
        _row("its own", list(own.values())),
        _row("of those above", [count for name, count in counts.items() if name not in own]),
        _row("**all**", list(counts.values())),
        "\n| its own file | lines of code | all lines |",
        "|---|---|---|",
        *(f"| `{name}` | {code} | {lines} |" for name, (code, lines) in sorted(own.items()) if lines),
    )


def _count_file(source: Path) -> tuple[int, int]:
    text = source.read_text("utf-8")
    return count_code(text), len(text.splitlines())


def _counts(form: DeliveryForm) -> dict[str, tuple[int, int]]:
    """Return lines of code and all lines of each file that is measured with that form of delivery."""
    sources = {_name(path): source.read_text("utf-8") for path, source in first_party_sources(form).items()}
    return {name: (count_code(text), len(text.splitlines())) for name, text in sources.items()}


def _name(path: str) -> str:
    """Return a measured file's path below the package: the entry point lies in the enclave's zone there."""
    return path.removeprefix("lib/sealroom/") if path.startswith("lib/") else f"enclave/{path}"


def _below(counts: dict[str, tuple[int, int]], *folders: str) -> list[tuple[int, int]]:
    return [count for name, count in counts.items() if name.rpartition("/")[0] in folders]


def _row(what: str, counts: list[tuple[int, int]]) -> str:
    code, lines = sum(code for code, _ in counts), sum(lines for _, lines in counts)
    return f"| {what} | {len(counts)} | {code:,} | {lines:,} |"


def main() -> int:
    """Write the page, or compare it."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--check", action="store_true", help="compare only; exit 1 where the page is old")
    if not options.parse_args().check:
        TARGET.write_text(write(), encoding="utf-8")
        return 0
    if TARGET.is_file() and TARGET.read_text(encoding="utf-8") == write():
        return 0
    print(f"{TARGET.name} is not current: run python tools/count_measured.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
