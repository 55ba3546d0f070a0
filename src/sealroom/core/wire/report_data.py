"""How an enclave's two keys are bound to its quote: one function, called by both sides.

docs/spec/report-data.md. Must never leave one of the 64 bytes unchecked.
"""

import hmac

from sealroom.core.errors import VerificationError
from sealroom.core.wire.byte_fields import KEY_SIZE, check_size, sha256

REPORT_DATA_SIZE = 64
# Of the quote that carries them.
MAX_QUOTE_BYTES = 64 * 1024


def report_data(*, identity_pk: bytes, box_pk: bytes) -> bytes:
    """Return the 64 bytes that a quote of an enclave with these keys carries."""
    check_size(identity_pk, field="identity_pk", size=KEY_SIZE)
    check_size(box_pk, field="box_pk", size=KEY_SIZE)
    return sha256(identity_pk) + box_pk


def check_report_data(raw: bytes, *, identity_pk: bytes, box_pk: bytes) -> None:
    """Refuse `raw` unless all its 64 bytes bind exactly these two keys; raises `VerificationError`."""
    if not hmac.compare_digest(raw, report_data(identity_pk=identity_pk, box_pk=box_pk)):
        raise VerificationError("report_data: does not bind these keys")
