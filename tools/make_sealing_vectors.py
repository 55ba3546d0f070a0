"""Make the test vectors of the sealed formats: one folder a case under tests/vectors/sealing.

Each case holds `input`, further files that its format needs (one line of text each), and `expect`:

    format: what reads it
    layer:  accept, or the layer that must refuse: parse (malformed), commit (key, context or subkey), chunk
            (authentication), box-unreadable, box-of-another-statement, commitment (a delivery's, or a list's)
    why:    one sentence

Made by sealing_reference.py, which follows docs/spec and shares no code with sealroom. Run without
arguments to write the files, with `--check` to compare.
"""

import sys
from pathlib import Path

from sealing_container_cases import container_cases
from sealing_message_cases import (
    commitment_cases,
    delivery_cases,
    derivation_cases,
    invitation_cases,
    log_cases,
)

FOLDER = Path(__file__).parents[1] / "tests" / "vectors" / "sealing"
MAKERS = (container_cases, delivery_cases, commitment_cases, invitation_cases, log_cases, derivation_cases)


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
