"""Make the test vectors of the sealed formats: one folder a case under tests/vectors/sealing.

Each case holds `input`, further files that its format needs (one line of text each), and `expect`:

    format: what reads it
    layer:  accept, or the layer that must refuse: parse (malformed), commit (key, context or subkey), chunk
            (authentication), signature, box-unreadable, box-of-another-statement, commitment (of a delivery
            or a list)
    why:    one sentence

Made by sealing_reference.py, which follows docs/spec and shares no code with sealroom. Run without
arguments to write the files, with `--check` to compare.
"""

import sys
from pathlib import Path

from sealing_container_cases import container_cases
from sealing_legacy_cases import legacy_delivery_cases
from sealing_message_cases import (
    commitment_cases,
    delivery_cases,
    derivation_cases,
    invitation_cases,
    log_cases,
)
from vector_files import write_or_check

FOLDER = Path(__file__).parents[1] / "tests" / "vectors" / "sealing"
MAKERS = (
    container_cases,
    delivery_cases,
    legacy_delivery_cases,
    commitment_cases,
    invitation_cases,
    log_cases,
    derivation_cases,
)


if __name__ == "__main__":
    sys.exit(write_or_check(FOLDER, MAKERS))
