"""A release of sealroom, as far as an enclave measures it.

Loaded by `sealroom.adapters.release` from the installation that runs, on both sides: what a server says about
its own release is never used.
"""

from dataclasses import dataclass

from sealroom.core.measurement.known_pals import KnownPal
from sealroom.core.measurement.runtime_bill import RuntimeBill
from sealroom.core.measurement.template import MeasuredFile
from sealroom.core.wire.terms import DeliveryForm, Tee


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Sealroom's own files as they are measured, and what they run on.

    `first_party` are those of computations, `legacy_first_party` of computations in the published client's
    form, `service_first_party` of services. `pals` are the PALs that either may run on.

    `sgx_runtime` is the bill of materials of the runtime inside SGX, or `None` where this release has none:
    then no runtime on SGX can be compared, and nothing is delivered to it. The simulated TEE measures the
    host's own.
    """

    version: str
    first_party: tuple[MeasuredFile, ...]
    legacy_first_party: tuple[MeasuredFile, ...]
    service_first_party: tuple[MeasuredFile, ...]
    pals: tuple[KnownPal, ...]
    sgx_runtime: RuntimeBill | None

    def first_party_for(self, form: DeliveryForm) -> tuple[MeasuredFile, ...]:
        """Return the files of a computation with that form of delivery."""
        return self.legacy_first_party if form is DeliveryForm.LEGACY else self.first_party

    def pal_for(self, tee: Tee) -> KnownPal | None:
        """Return the first known PAL of that kind of TEE, which is the one new enclaves start with."""
        return next((pal for pal in self.pals if pal.tee is tee), None)

    def known_pal(self, sha256: bytes) -> KnownPal | None:
        """Return the known PAL with that digest, or `None`."""
        return next((pal for pal in self.pals if pal.sha256 == sha256), None)
