"""Make the test vectors of the wire formats: one folder a case under tests/vectors/wire.

Each case holds `input`, further files that its format needs (one line of text), and `expect`:

    format: which parser or verifier reads it
    layer:  accept, parse (refused as malformed) or verify (well-formed and not believed)
    why:    one sentence

Run without arguments to write the files, with `--check` to compare.
"""

import sys
from pathlib import Path

from wire_vector_cases import (
    argument_cases,
    code_signature_cases,
    delivery_cases,
    list_cases,
    report_data_cases,
)
from wire_vector_envelopes import bundle_cases, envelope_cases, payload_cases, receipt_cases, spool_cases

FOLDER = Path(__file__).parents[1] / "tests" / "vectors" / "wire"
MAKERS = (
    argument_cases,
    list_cases,
    code_signature_cases,
    delivery_cases,
    report_data_cases,
    envelope_cases,
    payload_cases,
    receipt_cases,
    bundle_cases,
    spool_cases,
)


def all_files() -> dict[str, bytes]:
    """Return every vector file, by its path under the folder."""
    cases = [case for maker in MAKERS for case in maker()]
    if len({case.name for case in cases}) != len(cases):
        raise SystemExit("two cases have one name")
    return {f"{case.name}/{name}": raw for case in cases for name, raw in case.contents().items()}


def main() -> int:
    wanted = all_files()
    present = {str(p.relative_to(FOLDER)): p.read_bytes() for p in sorted(FOLDER.rglob("*")) if p.is_file()}
    if sys.argv[1:] == ["--check"]:
        wrong = sorted(n for n in wanted.keys() | present.keys() if wanted.get(n) != present.get(n))
        print("\n".join(wrong) if wrong else f"{len(wanted)} files are as they should be")
        return 1 if wrong else 0
    for name in present.keys() - wanted.keys():
        (FOLDER / name).unlink()
    for name, raw in wanted.items():
        (FOLDER / name).parent.mkdir(parents=True, exist_ok=True)
        (FOLDER / name).write_bytes(raw)
    print(f"wrote {len(wanted)} files")
    return 0


if __name__ == "__main__":
    sys.exit(main())
