"""Inputs and code in the published client's form: whole files, no commitment, no code signature.

What the server lists is what runs, as long as it opens with the provider's key and, for code, hashes to the
measured digest. Spec: docs/spec/legacy-delivery.md.
"""

from __future__ import annotations

from sealroom.core.compat.whole_file import SUFFIX
from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.wire import spool as names
from sealroom.core.wire.arguments import Arguments
from sealroom.core.wire.code_list import CodeList
from sealroom.core.wire.delivery import RefusalReason
from sealroom.core.wire.names import check_path
from sealroom.core.wire.receipt_opening import InputRecord
from sealroom.enclave.admission import Admitted
from sealroom.enclave.committed_inputs import CommittedInput, gather_inputs, read_input_list
from sealroom.enclave.legacy.whole_files import WholeFile, check_whole_file
from sealroom.enclave.messages import HostFolder
from sealroom.enclave.program_code import ProgramCode, read_clear_file, read_code_list
from sealroom.enclave.refusal import ComputationRefusedError
from sealroom.enclave.sealed_files import Checking, SealedFile


def check_legacy_inputs(
    spool: HostFolder, providers: tuple[Admitted, ...], *, checking: Checking
) -> tuple[CommittedInput, ...]:
    """Check every listed file against its list, and open it, in the order of the providers.

    Raises `ComputationRefusedError` with `inputs-differ` for what is missing, or does not open with its
    provider's key. That a provider uploaded exactly these files is the server's word.
    """
    return gather_inputs(
        found for provider in providers for found in _inputs_of(spool, provider, checking=checking)
    )


def check_legacy_code(
    spool: HostFolder, folder: HostFolder, provider: Admitted, *, arguments: Arguments, checking: Checking
) -> ProgramCode:
    """Check that the code is the one measured, and open its sealed files.

    Raises `ComputationRefusedError` with `code-unreadable`. That its provider made it is the server's word.
    """
    try:
        listed = read_code_list(spool, arguments)
        return _open_code(listed, folder, provider, checking=checking)
    except (MalformedError, VerificationError) as exc:
        raise ComputationRefusedError(RefusalReason.CODE_UNREADABLE) from exc


def _inputs_of(spool: HostFolder, provider: Admitted, *, checking: Checking) -> list[CommittedInput]:
    index = provider.participant.index
    return [
        CommittedInput(
            record=InputRecord(provider=index, name=listed.name, size=listed.size, sha256=listed.sha256),
            file=check_whole_file(
                spool,
                names.input_name(index, number),
                size=listed.size,
                sha256=listed.sha256,
                key=provider.keys.data_key,
                checking=checking,
            ),
        )
        for number, listed in enumerate(read_input_list(spool, index).files)
    ]


def _open_code(
    listed: CodeList, folder: HostFolder, provider: Admitted, *, checking: Checking
) -> ProgramCode:
    clear: dict[str, bytes] = {}
    sealed: dict[str, SealedFile | WholeFile] = {}
    for file in listed.files:
        path = file.path.removesuffix(SUFFIX)
        check_path(path, field="code path")
        if path in clear or path in sealed:
            raise MalformedError(f"{path}: stands in the code list clear and sealed")
        if path == file.path:
            clear[path] = read_clear_file(folder, file)
            continue
        sealed[path] = check_whole_file(
            folder,
            file.path,
            size=file.size,
            sha256=file.sha256,
            key=provider.keys.data_key,
            checking=checking,
        )
    return ProgramCode(clear=clear, sealed=sealed)
