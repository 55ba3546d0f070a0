"""Make the test vectors of the wire formats: one folder a case under tests/vectors/wire.

Each case holds `input`, further files that its format needs (one line of text), and `expect`:

    format: which parser or verifier reads it
    layer:  accept, parse (refused as malformed) or verify (well-formed and not believed)
    why:    one sentence

Run without arguments to write the files, with `--check` to compare.
"""

import sys
from pathlib import Path

from vector_files import write_or_check
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


if __name__ == "__main__":
    sys.exit(write_or_check(FOLDER, MAKERS))
