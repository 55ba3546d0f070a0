"""What a container is bound to: whose it is, what for, and under which name.

A container opens under exactly the context it was sealed with, so a file cannot be moved to another
computation, purpose, owner, launch or name. Spec: docs/spec/container.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from uuid import UUID

from sealroom.core.sealing.keys import PUBLIC_KEY_SIZE
from sealroom.core.wire.byte_fields import u16
from sealroom.core.wire.names import check_file_name, check_path

NO_ENCLAVE = bytes(32)
NO_OWNER = bytes(32)
LOG_NAME = "log"


class Purpose(Enum):
    """What a container holds; the number is what the context says."""

    CODE = 1
    INPUT = 2
    RESULT = 3
    LOG = 4
    SERVICE = 5

    @property
    def is_of_one_launch(self) -> bool:
        """Whether the context names the enclave: results and logs belong to one launch."""
        return self in (Purpose.RESULT, Purpose.LOG)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Computation, purpose, whose data key it is, launch (its box key, or zeros) and the file's name."""

    computation: UUID
    purpose: Purpose
    owner_pk: bytes
    enclave: bytes
    name: str

    def __post_init__(self) -> None:
        if len(self.owner_pk) != PUBLIC_KEY_SIZE or len(self.enclave) != PUBLIC_KEY_SIZE:
            raise ValueError(f"container context: expected keys of {PUBLIC_KEY_SIZE} octets")
        if (self.enclave != NO_ENCLAVE) != self.purpose.is_of_one_launch:
            raise ValueError("container context: results and logs name an enclave, nothing else does")
        _check_name(self.purpose, self.name)

    @classmethod
    def code(cls, *, computation: UUID, owner_pk: bytes, path: str) -> Context:
        """Bind an encrypted file of the Code Provider to its path in the archive."""
        return cls(
            computation=computation, purpose=Purpose.CODE, owner_pk=owner_pk, enclave=NO_ENCLAVE, name=path
        )

    @classmethod
    def input(cls, *, computation: UUID, owner_pk: bytes, name: str) -> Context:
        """Bind a Data Provider's file to its name in the input list."""
        return cls(
            computation=computation, purpose=Purpose.INPUT, owner_pk=owner_pk, enclave=NO_ENCLAVE, name=name
        )

    @classmethod
    def result(cls, *, computation: UUID, owner_pk: bytes, box_pk: bytes, name: str) -> Context:
        """Bind an output to its consumer (`owner_pk`) and the launch it came from."""
        return cls(
            computation=computation, purpose=Purpose.RESULT, owner_pk=owner_pk, enclave=box_pk, name=name
        )

    @classmethod
    def log(cls, *, computation: UUID, box_pk: bytes) -> Context:
        """Bind a log to the launch it came from; it has no single owner."""
        return cls(
            computation=computation, purpose=Purpose.LOG, owner_pk=NO_OWNER, enclave=box_pk, name=LOG_NAME
        )

    @classmethod
    def service(cls, *, service: UUID, path: str) -> Context:
        """Bind a file of a service's package to its application and its path in the archive."""
        return cls(
            computation=service, purpose=Purpose.SERVICE, owner_pk=NO_OWNER, enclave=NO_ENCLAVE, name=path
        )

    def to_bytes(self) -> bytes:
        """Serialise for key derivation: `uuid | purpose | owner_pk | enclave | u16 length | name`."""
        name = self.name.encode("utf-8")
        return b"".join(
            (
                self.computation.bytes,
                bytes([self.purpose.value]),
                self.owner_pk,
                self.enclave,
                u16(len(name)),
                name,
            )
        )


def _check_name(purpose: Purpose, name: str) -> None:
    """Refuse, with `MalformedError`, a name that has a second spelling or leaves its folder."""
    match purpose:
        case Purpose.CODE | Purpose.SERVICE:
            check_path(name, field="container path")
        case Purpose.INPUT | Purpose.RESULT:
            check_file_name(name, field="container name")
        case Purpose.LOG:
            if name != LOG_NAME:
                raise ValueError(f"container name: a log is named {LOG_NAME}")
