"""What a processor and its quoting enclave would say about one enclave, said by software.

Must never: speak for another enclave than the one it was made for.
Spec page: docs/spec/launch-folder.md, "The attestation folder"; docs/spec/quotes.md.
"""

import json
import struct
from datetime import datetime
from pathlib import Path

from sealroom.insecure.collateral import make_collateral
from sealroom.insecure.pki import SimulationPki
from sealroom.insecure.quoting import INIT_MODE64BIT, XFRM_LEGACY, QuotingEnclave, ReportBody, local_report

# SDM vol. 3D, table 38-22: TARGETINFO, 512 bytes.
_TARGET_INFO = struct.Struct("<32sQQ464x")


class Attester:
    """Reports and quotes of the enclave with this `mrenclave`, under the PKI kept in `state`.

    The PKI is made there when there is none. `now` dates the collateral.
    """

    def __init__(self, *, mrenclave: bytes, state: Path, now: datetime) -> None:
        self._mrenclave = mrenclave
        pki = SimulationPki.load_or_create(state, now=now)
        self._quoting_enclave = QuotingEnclave(pki)
        self._collateral = make_collateral(pki, now=now)

    def collateral_json(self) -> bytes:
        """Return the collateral as caches of collateral keep it: a JSON object of nine texts."""
        return json.dumps(self._collateral, indent=1).encode()

    def target_info(self) -> bytes:
        """Return what a report must be made for, so that this enclave could check it."""
        return _TARGET_INFO.pack(self._mrenclave, INIT_MODE64BIT, XFRM_LEGACY)

    def report(self, report_data: bytes) -> bytes:
        """Return a local report of 432 bytes over the 64 bytes of `report_data`."""
        return local_report(self._body(report_data))

    def quote(self, report_data: bytes) -> bytes:
        """Return a quote over the 64 bytes of `report_data`."""
        return self._quoting_enclave.quote(self._body(report_data))

    def _body(self, report_data: bytes) -> ReportBody:
        return ReportBody(mrenclave=self._mrenclave, report_data=report_data)
