"""Where in a session the form of delivery matters: version 1, which another form overrides.

The measured arguments choose the form, once and for all participants. Spec: docs/spec/enclave-session.md.
"""

from __future__ import annotations

from sealroom.core.sealing.context import Context
from sealroom.core.sealing.enclave_keys import BoxKey, IdentityKey
from sealroom.core.sealing.secret import Secret32
from sealroom.core.wire.arguments import Arguments
from sealroom.core.wire.participants import Role
from sealroom.core.wire.terms import DeliveryForm
from sealroom.enclave.admission import Admitted, Self, Slots
from sealroom.enclave.committed_inputs import CommittedInput, check_inputs
from sealroom.enclave.messages import HostFolder
from sealroom.enclave.opening import Consumer, output_key
from sealroom.enclave.program_code import ProgramCode, check_code
from sealroom.enclave.result_files import ResultFile, SealedResult
from sealroom.enclave.sealed_files import Checking


class Form:
    """Version 1."""

    def check_arguments(self, arguments: Arguments) -> None:
        """Refuse, with `VerificationError`, arguments that this form cannot keep."""

    def make_box_key(self, identity_key: IdentityKey) -> BoxKey:
        """Make the key that deliveries are sealed to."""
        return BoxKey.generate()

    def make_slots(self, own: Self, *, box_key: BoxKey) -> Slots:
        """Make the empty slots."""
        return Slots(own, box_key=box_key)

    def check_inputs(
        self, spool: HostFolder, slots: Slots, *, checking: Checking
    ) -> tuple[CommittedInput, ...]:
        """Check every input file; raises `ComputationRefusedError`."""
        return check_inputs(
            spool,
            slots.in_role(Role.DATA_PROVIDER),
            computation=slots.own.arguments.computation,
            checking=checking,
        )

    def check_code(
        self, spool: HostFolder, folder: HostFolder, slots: Slots, *, checking: Checking
    ) -> ProgramCode:
        """Check the program's files; raises `ComputationRefusedError`."""
        (provider,) = slots.in_role(Role.CODE_PROVIDER)
        return check_code(spool, folder, provider, arguments=slots.own.arguments, checking=checking)

    def result_key(self, own: Self, slot: Admitted) -> Secret32:
        """Return what results to a consumer are sealed with, in a buffer of its own."""
        return output_key(own, slot)

    def make_result(
        self, spool: HostFolder, own: Self, consumer: Consumer, *, place: str, name: str
    ) -> ResultFile:
        """Make a result that is not begun yet."""
        return SealedResult(
            spool,
            place,
            key=consumer.key,
            context=Context.result(
                computation=own.arguments.computation,
                owner_pk=consumer.participant.public_key,
                box_pk=own.box_pk,
                name=name,
            ),
        )


def form_of(arguments: Arguments) -> Form:
    """Return the form that the arguments say; raises `VerificationError` where they contradict it."""
    form = Form()
    if arguments.terms.delivery is DeliveryForm.LEGACY:
        # Loaded for no other computation.
        from sealroom.enclave.legacy.legacy_form import LegacyForm

        form = LegacyForm()
    form.check_arguments(arguments)
    return form
