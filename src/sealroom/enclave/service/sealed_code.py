"""The application's files: their list as it was measured, and each container opened to its end once.

What a key opens is decided by the containers themselves, which commit to it. Must never write a plaintext,
nor keep the code key. Spec: docs/spec/services.md; docs/spec/service-package.md; docs/spec/code-list.md.
"""

from __future__ import annotations

import hmac
import io
from collections.abc import Mapping
from types import MappingProxyType

from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.sealing.context import Context
from sealroom.core.sealing.service_key import CodeKey
from sealroom.core.wire import spool as names
from sealroom.core.wire.byte_fields import DIGEST_SIZE
from sealroom.core.wire.code_list import MAX_CODE_LIST_BYTES, REQUIREMENTS, SERVICE_FOLDER, ServiceCode
from sealroom.core.wire.service_arguments import ServiceArguments
from sealroom.enclave.messages import HostFolder
from sealroom.enclave.sealed_files import Checking, SealedFile, check_sealed_file

# Nothing of a service travels in the clear.
_NO_CLEAR_FILES: Mapping[str, bytes] = MappingProxyType({})
_NO_PACKAGES = bytes(DIGEST_SIZE)
_READ_BLOCK = 1 << 18


class ServiceFiles:
    """The opened files of an application by their path in `src/`, as the import hook reads them."""

    clear = _NO_CLEAR_FILES

    def __init__(self, sealed: Mapping[str, SealedFile]) -> None:
        self._sealed = sealed

    @property
    def paths(self) -> frozenset[str]:
        """Every path."""
        return frozenset(self._sealed)

    def read(self, path: str) -> bytes:
        """Return the plaintext of the file at `path`; raises `KeyError` when there is none."""
        with self._sealed[path].open() as reader:
            return reader.read()

    def open(self, path: str) -> io.BufferedReader:
        """Open the plaintext of the file at `path` for reading at any place; raises `KeyError`."""
        return io.BufferedReader(self._sealed[path].open())


def read_service_code(spool: HostFolder, arguments: ServiceArguments) -> ServiceCode:
    """Read the code list; raises `MalformedError` or `VerificationError` for any but the measured one."""
    raw = spool.read(names.CODE_LIST, max_bytes=MAX_CODE_LIST_BYTES)
    if raw is None:
        raise MalformedError("code list: missing")
    listed = ServiceCode.from_json(raw)
    if not hmac.compare_digest(listed.digest, arguments.code_digest):
        raise VerificationError("code list: not the measured one")
    requirements = listed.find(REQUIREMENTS)
    if (requirements.sha256 if requirements else _NO_PACKAGES) != arguments.packages_digest:
        raise VerificationError(f"{REQUIREMENTS}: not the measured one")
    return listed


def open_service_code(
    listed: ServiceCode, folder: HostFolder, *, key: CodeKey, arguments: ServiceArguments
) -> dict[str, SealedFile]:
    """Open every container to its end, and return them by their path in the project's `src/`.

    Raises `VerificationError` or `MalformedError` where one does not open; then no subkey is left.
    """
    checking = Checking(pause=lambda: None)
    sealed: dict[str, SealedFile] = {}
    try:
        for file in listed.files:
            if not file.path.startswith(SERVICE_FOLDER):
                continue
            found = check_sealed_file(
                folder,
                file.path,
                size=file.size,
                sha256=file.sha256,
                key=key,
                context=Context.service(service=arguments.service, path=file.path),
                checking=checking,
            )
            _open_to_the_end(found)
            sealed[file.path.removeprefix(SERVICE_FOLDER)] = found
    except BaseException:
        checking.wipe()
        raise
    return sealed


def _open_to_the_end(file: SealedFile) -> None:
    with file.open() as reader:
        while reader.read(_READ_BLOCK):
            pass
