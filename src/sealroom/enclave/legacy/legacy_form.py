"""The published client's form, where it differs from version 1. Spec: docs/spec/legacy-delivery.md."""

from __future__ import annotations

from sealroom.core.errors import VerificationError
from sealroom.core.sealing.enclave_keys import BoxKey, IdentityKey
from sealroom.core.sealing.keys import DataKey
from sealroom.core.wire.arguments import Arguments
from sealroom.core.wire.participants import Role
from sealroom.core.wire.terms import LogRelease
from sealroom.enclave.admission import Admitted, Self, Slots
from sealroom.enclave.committed_inputs import CommittedInput
from sealroom.enclave.form import Form
from sealroom.enclave.legacy.checked_files import check_legacy_code, check_legacy_inputs
from sealroom.enclave.legacy.slots import LegacySlots
from sealroom.enclave.legacy.whole_results import WholeResult
from sealroom.enclave.messages import HostFolder
from sealroom.enclave.opening import Consumer
from sealroom.enclave.program_code import ProgramCode
from sealroom.enclave.result_files import ResultFile
from sealroom.enclave.sealed_files import Checking


class LegacyForm(Form):
    """Weaker in everything that it overrides."""

    def check_arguments(self, arguments: Arguments) -> None:
        """Demand public logs: the published API gives its output to everybody."""
        if arguments.terms.logs is not LogRelease.PUBLIC:
            raise VerificationError("arguments: delivery=legacy goes with logs=public alone")

    def make_box_key(self, identity_key: IdentityKey) -> BoxKey:
        """Return the identity key's X25519 form: the published client knows no other key."""
        return BoxKey.from_signing_key(identity_key)

    def make_slots(self, own: Self, *, box_key: BoxKey) -> Slots:
        """Make slots that take the older form."""
        return LegacySlots(own, box_key=box_key)

    def check_inputs(
        self, spool: HostFolder, slots: Slots, *, checking: Checking
    ) -> tuple[CommittedInput, ...]:
        """Open whole files; nobody committed to them."""
        return check_legacy_inputs(spool, slots.in_role(Role.DATA_PROVIDER), checking=checking)

    def check_code(
        self, spool: HostFolder, folder: HostFolder, slots: Slots, *, checking: Checking
    ) -> ProgramCode:
        """Open whole files; nobody signed them."""
        (provider,) = slots.in_role(Role.CODE_PROVIDER)
        return check_legacy_code(spool, folder, provider, arguments=slots.own.arguments, checking=checking)

    def result_key(self, own: Self, slot: Admitted) -> DataKey:
        """Keep the consumer's own data key: its client opens results with nothing else."""
        return DataKey().fill_from(slot.keys.data_key)

    def make_result(
        self, spool: HostFolder, own: Self, consumer: Consumer, *, place: str, name: str
    ) -> ResultFile:
        """Make a result that stays in memory until the run has succeeded."""
        return WholeResult(spool, name, key=consumer.key)
