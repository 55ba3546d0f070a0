"""The code key of a service, and the application that it stands for.

Spec: docs/spec/service-package.md, "The code key, and the application's id".
"""

from __future__ import annotations

from uuid import UUID

from nacl._sodium import ffi

from sealroom.core.sealing.hkdf import hmac_sha256
from sealroom.core.sealing.secret import Secret32
from sealroom.core.wire.byte_fields import label_bytes
from sealroom.core.wire.service_arguments import check_service_name

_ID_LABEL = "sealroom/v1/service-id"
_UUID_SIZE = 16


class CodeKey(Secret32):
    """What the files of a service are sealed with: whoever has it can read the code."""

    __slots__ = ()


def service_id(key: CodeKey, name: str) -> UUID:
    """Return the id of the application `name` under `key`: the same for all its versions.

    Raises `MalformedError` for what is no service's name.
    """
    check_service_name(name)
    made = hmac_sha256(key, label_bytes(_ID_LABEL), name.encode("ascii"))
    bits = bytes(ffi.buffer(made.cdata, _UUID_SIZE))
    made.wipe()
    return UUID(bytes=bits, version=4)
