"""Inputs as an enclave has them after its checks, made in this process."""

from pathlib import Path
from uuid import UUID

from sealroom.core.sealing.container_streams import seal_bytes
from sealroom.core.sealing.context import Context
from sealroom.core.sealing.keys import DataKey
from sealroom.core.wire.byte_fields import sha256
from sealroom.core.wire.receipt_opening import InputRecord
from sealroom.enclave.committed_inputs import CommittedInput
from sealroom.enclave.inputs import Input
from sealroom.enclave.messages import HostFolder
from sealroom.enclave.sealed_files import Checking, check_sealed_file

COMPUTATION = UUID("5c7f6a52-0d4b-4a3e-9b43-3f9c5e1f2a10")
LOG2 = 12
CHUNK = 1 << LOG2


def make_input(
    folder: Path, content: bytes, *, name: str = "table", provider: int = 0, chunk_log2: int = LOG2
) -> Input:
    context = Context.input(computation=COMPUTATION, owner_pk=bytes([1]) * 32, name=name)
    key = DataKey.from_bytes(b"\x17" * 32)
    raw = seal_bytes(content, key=key, context=context, chunk_log2=chunk_log2)
    place = f"{provider}-{name}"
    (folder / place).write_bytes(raw)
    file = check_sealed_file(
        HostFolder(folder),
        place,
        size=len(raw),
        sha256=sha256(raw),
        key=key,
        context=context,
        checking=Checking(lambda: None),
    )
    record = InputRecord(provider=provider, name=name, size=len(raw), sha256=sha256(raw))
    return Input(CommittedInput(record=record, file=file))


def container_of(folder: Path, file: Input) -> Path:
    return folder / f"{file.provider}-{file.name}"
