"""One enclave from start to end, as a numbered list.

Must never sign both an opening and a refusal, run anything foreign before the keys are wiped, or print
anything that depends on a secret. Spec: docs/spec/enclave-session.md.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

from sealroom.core.errors import SealroomError
from sealroom.core.sealing.enclave_keys import BoxKey, IdentityKey
from sealroom.core.sealing.receipt import sign_refusal
from sealroom.core.wire import spool as names
from sealroom.core.wire.arguments import Arguments, arguments_from_items
from sealroom.core.wire.delivery import RefusalReason
from sealroom.core.wire.participants import Role
from sealroom.core.wire.receipt import Refusal
from sealroom.core.wire.receipt_closing import Outcome
from sealroom.core.wire.report_data import report_data
from sealroom.core.wire.spool import PublicKeys
from sealroom.enclave import messages, program_api
from sealroom.enclave.admission import Self, Slots
from sealroom.enclave.audit_hook import Boundaries
from sealroom.enclave.committed_inputs import CommittedInput
from sealroom.enclave.form import Form, form_of
from sealroom.enclave.host_writer import HostWriter
from sealroom.enclave.identity.attestation import attest, device_folder
from sealroom.enclave.importer import Importer
from sealroom.enclave.inputs import Input
from sealroom.enclave.limits import end_after
from sealroom.enclave.log_capture import LogCapture
from sealroom.enclave.messages import HostFolder
from sealroom.enclave.opening import Opened, open_receipt
from sealroom.enclave.outputs import Outputs
from sealroom.enclave.program import run_program
from sealroom.enclave.program_code import ProgramCode
from sealroom.enclave.refusal import ComputationRefusedError
from sealroom.enclave.running import Ending, Run
from sealroom.enclave.sealed_files import Checking
from sealroom.enclave.waiting import check_not_ended, wait_for_deliveries

EXIT_REFUSED = 1
EXIT_BROKEN = 2

_SPOOL = "spool"
_CODE = "code"
# Where `__file__` says that the program is. Nothing lies there: its files are on no disk.
_PROGRAM = "program"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Enclave:
    """An enclave that published who it is, and waits."""

    base: Path
    writer: HostWriter
    spool: HostFolder
    own: Self
    form: Form
    identity_key: IdentityKey
    box_key: BoxKey


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ready:
    """All that a run needs; every key that opens more is gone."""

    opened: Opened
    inputs: tuple[CommittedInput, ...]
    code: ProgramCode


def run_session(base: Path, items: Sequence[str]) -> int:
    """Run the enclave whose launch folder is `base`, with the measured `items`.

    1. Read the arguments, and find the form of delivery that they say.
    2. Make the identity key and the box key, and bind both to this enclave's report.
    3. Publish quote and public keys.
    4. Admit deliveries until every slot is full.
    5. Check once: words, data keys, inputs, code.
    6. Derive the keys of the run, sign the opening, wipe everything else.
    7. Leave writing to one thread, start the clock, redirect the descriptors, install import and audit hook.
    8. Run the program; seal its results and its log; sign the closing.

    Returns an exit code when no program ran: a run that was opened ends the process itself.
    """
    try:
        arguments = arguments_from_items(items)
        enclave = _publish(base, arguments, form_of(arguments))
        ready = _admit(enclave)
    except (SealroomError, OSError) as exc:
        print(f"enclave: {exc}", file=sys.stderr)
        return EXIT_BROKEN
    if ready is None:
        return EXIT_REFUSED
    return _run(enclave, ready)


def _publish(base: Path, arguments: Arguments, form: Form) -> _Enclave:
    """Do steps 2 and 3."""
    identity_key, writer = IdentityKey.generate(), HostWriter()
    spool = HostFolder(base / _SPOOL, writer)
    box_key = form.make_box_key(identity_key)
    public = PublicKeys(identity_pk=identity_key.public_key, box_pk=box_key.public_key)
    bound = report_data(identity_pk=public.identity_pk, box_pk=public.box_pk)
    tee = arguments.terms.tee
    identity = attest(device_folder(tee, base), tee=tee, report_data=bound)
    spool.write(names.QUOTE, identity.raw_quote)
    spool.write(names.PUBLIC, public.to_bytes())
    own = Self(
        arguments=arguments,
        mrenclave=identity.mrenclave,
        identity_pk=public.identity_pk,
        box_pk=public.box_pk,
    )
    return _Enclave(
        base=base,
        writer=writer,
        spool=spool,
        own=own,
        form=form,
        identity_key=identity_key,
        box_key=box_key,
    )


def _admit(enclave: _Enclave) -> _Ready | None:
    """Do steps 4 to 6; return `None` when the computation was refused, and the refusal signed."""
    slots = enclave.form.make_slots(enclave.own, box_key=enclave.box_key)
    checking = Checking(lambda: check_not_ended(enclave.spool))
    ready: _Ready | None = None
    try:
        wait_for_deliveries(enclave.spool, slots)
        slots.check_keys()
        inputs, code = _check_files(enclave, slots, checking)
        check_not_ended(enclave.spool)
        opened = open_receipt(
            slots, inputs, identity_key=enclave.identity_key, result_key=enclave.form.result_key
        )
        enclave.spool.write(names.OPENING, opened.envelope.to_bytes())
        ready = _Ready(opened=opened, inputs=inputs, code=code)
    except ComputationRefusedError as exc:
        _wipe_opened(enclave, slots, checking)
        _refuse(enclave, exc.reason)
    finally:
        # Also when the spool broke on the way: then nothing is signed, and nothing is left.
        if ready is None:
            _wipe_opened(enclave, slots, checking)
        enclave.identity_key.wipe()
    return ready


def _wipe_opened(enclave: _Enclave, slots: Slots, checking: Checking) -> None:
    """Wipe everything that opens anything: all secrets but the identity key."""
    slots.wipe()
    enclave.box_key.wipe()
    checking.wipe()


def _check_files(
    enclave: _Enclave, slots: Slots, checking: Checking
) -> tuple[tuple[CommittedInput, ...], ProgramCode]:
    """Do step 5, from the inputs on; a host that asks to end is heard between blocks."""
    form, spool = enclave.form, enclave.spool
    inputs = form.check_inputs(spool, slots, checking=checking)
    code = form.check_code(spool, HostFolder(enclave.base / _CODE), slots, checking=checking)
    return inputs, code


def _refuse(enclave: _Enclave, reason: RefusalReason) -> None:
    own = enclave.own
    refusal = Refusal(
        agreement=own.arguments.agreement,
        mrenclave=own.mrenclave,
        identity_pk=own.identity_pk,
        reason=reason,
    )
    envelope = sign_refusal(refusal, identity_key=enclave.identity_key)
    enclave.spool.write(names.REFUSAL, envelope.to_bytes())


def _run(enclave: _Enclave, ready: _Ready) -> NoReturn:
    """Do steps 7 and 8."""
    own, opened, limits = enclave.own, ready.opened, enclave.own.arguments.terms.limits
    make = partial(enclave.form.make_result, enclave.spool, own)
    outputs = Outputs(opened.consumers, make=make, max_bytes=limits.max_output_bytes)
    log = LogCapture(limits.max_log_bytes)
    run = Run(own=own, opened=opened, outputs=outputs, log=log, spool=enclave.spool)
    enclave.writer.take_over(writable=(tempfile.gettempdir(),))
    end_after(limits.max_seconds, lambda: run.finish(Ending(outcome=Outcome.LIMIT)))
    log.start()
    importer = Importer(ready.code, str(enclave.base / _PROGRAM))
    program_api.attach(
        program_api.Session(
            inputs=tuple(Input(found) for found in ready.inputs),
            outputs=outputs,
            providers=len(own.arguments.in_role(Role.DATA_PROVIDER)),
            open_code_file=importer.open_file,
        )
    )
    run_program(run, importer, _boundaries(enclave))


def _boundaries(enclave: _Enclave) -> Boundaries:
    """Return what a program may load, write and read (docs/spec/enclave-session.md, "Confinement")."""
    base, runtime = enclave.base, Path(os.__file__).parent.parent
    device = device_folder(enclave.own.arguments.terms.tee, base)
    return Boundaries(
        measured=tuple(str(folder) for folder in (base / "lib", base / "packages", runtime)),
        scratch=(tempfile.gettempdir(),),
        closed=(str(base / _SPOOL), str(device)),
        own=(messages,),
    )
