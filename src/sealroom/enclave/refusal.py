"""The two ways in which an enclave says no: to one delivery, or for good.

A refused delivery changes nothing. A refused computation ends the enclave: everything is wiped and the reason
is signed. Spec: docs/spec/enclave-session.md, "Refusals".
"""

from __future__ import annotations

from sealroom.core.errors import VerificationError
from sealroom.core.wire.delivery import DeliveryRefusal, RefusalReason


class DeliveryRefusedError(VerificationError):
    """One delivery is answered with `reason`; it filled no slot."""

    def __init__(self, reason: DeliveryRefusal) -> None:
        super().__init__(f"delivery refused: {reason.value}")
        self.reason = reason


class ComputationRefusedError(VerificationError):
    """The enclave ends with a signed refusal that gives `reason`."""

    def __init__(self, reason: RefusalReason) -> None:
        super().__init__(f"computation refused: {reason.value}")
        self.reason = reason
