"""The words for how far a platform is behind, and how two of them become one.

Specification: docs/spec/collateral.md, "Matching".
"""

from __future__ import annotations

import enum

from sealroom.core.errors import MalformedError, VerificationError


class TcbStatus(enum.Enum):
    """What Intel says of a TCB level. The last two are never written in a document, only derived."""

    UP_TO_DATE = "UpToDate"
    SW_HARDENING_NEEDED = "SWHardeningNeeded"
    CONFIGURATION_NEEDED = "ConfigurationNeeded"
    CONFIGURATION_AND_SW_HARDENING_NEEDED = "ConfigurationAndSWHardeningNeeded"
    OUT_OF_DATE = "OutOfDate"
    OUT_OF_DATE_CONFIGURATION_NEEDED = "OutOfDateConfigurationNeeded"
    REVOKED = "Revoked"
    TD_RELAUNCH_ADVISED = "TDRelaunchAdvised"
    TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED = "TDRelaunchAdvisedConfigurationNeeded"

    @property
    def derived(self) -> bool:
        """Whether only a verifier, never a document, says this."""
        return self in _DERIVED

    @property
    def configuration_needed(self) -> bool:
        """Whether the platform's configuration is part of the complaint."""
        return self in _CONFIGURATION


_DERIVED = frozenset({TcbStatus.TD_RELAUNCH_ADVISED, TcbStatus.TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED})
_CONFIGURATION = frozenset(
    {
        TcbStatus.CONFIGURATION_NEEDED,
        TcbStatus.CONFIGURATION_AND_SW_HARDENING_NEEDED,
        TcbStatus.OUT_OF_DATE_CONFIGURATION_NEEDED,
        TcbStatus.TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED,
    }
)
_WORDS = {status.value: status for status in TcbStatus}
_DEGRADED = {
    TcbStatus.UP_TO_DATE: TcbStatus.OUT_OF_DATE,
    TcbStatus.SW_HARDENING_NEEDED: TcbStatus.OUT_OF_DATE,
    TcbStatus.TD_RELAUNCH_ADVISED: TcbStatus.OUT_OF_DATE,
    TcbStatus.CONFIGURATION_NEEDED: TcbStatus.OUT_OF_DATE_CONFIGURATION_NEEDED,
    TcbStatus.CONFIGURATION_AND_SW_HARDENING_NEEDED: TcbStatus.OUT_OF_DATE_CONFIGURATION_NEEDED,
    TcbStatus.TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED: TcbStatus.OUT_OF_DATE_CONFIGURATION_NEEDED,
}


def parse_tcb_status(text: str, *, name: str) -> TcbStatus:
    """Read a status out of a document; words that only a verifier may say are refused like unknown ones."""
    status = _WORDS.get(text)
    if status is None:
        raise MalformedError(f"{name}: unknown status")
    if status in _DERIVED:
        raise MalformedError(f"{name}: {status.value} does not stand in documents")
    return status


def converge(platform: TcbStatus, part: TcbStatus, *, name: str) -> TcbStatus:
    """Return the status of `platform` once a part of it (QE or TDX module) has status `part`."""
    if part is TcbStatus.UP_TO_DATE:
        return platform
    if part is TcbStatus.REVOKED:
        return TcbStatus.REVOKED
    if part is TcbStatus.OUT_OF_DATE:
        return _DEGRADED.get(platform, platform)
    raise VerificationError(f"{name}: status {part.value} is not one that {name} can have")
