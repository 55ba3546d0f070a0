"""What an enclave needs of its sandbox, from the measured arguments alone: memory, limits, a network or none.

Must never: give a computation a network. Spec page: docs/spec/launch-folder.md, "The sandbox".
"""

import os
import resource
from dataclasses import dataclass
from enum import Enum

from sealroom.core.wire.argument_items import read_items
from sealroom.core.wire.arguments import MAX_ARGUMENTS_BYTES, parse_arguments
from sealroom.core.wire.service_arguments import (
    KIND_ITEM,
    Connections,
    ServiceArguments,
    parse_service_arguments,
)
from sealroom.core.wire.terms import Limits, Tee

# Interpreter, packages and the stacks of their threads are address space that the program did not ask for.
_MEMORY_ALLOWANCE = 1 << 30
# A service has four times as many threads.
_SERVICE_MEMORY_ALLOWANCE = 4 << 30
_FILE_ALLOWANCE = 64 << 20
_SECONDS_ALLOWANCE = 600
_MAX_OPEN_FILES = 4096


class Network(Enum):
    """Which sockets a program has."""

    NONE = "none"
    """Pairs of local ones."""
    SERVES = "serves"
    """The host's network, on which it takes connections."""
    CONNECTS = "connects"
    """The same, and connections of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """`limits` are (resource, value) pairs for the process."""

    tee: Tee
    max_memory: int
    limits: tuple[tuple[int, int], ...]
    network: Network


def needs_of(raw_arguments: bytes) -> Needs:
    """Return what the enclave with these measured arguments needs; raises `MalformedError` for others."""
    items = read_items(raw_arguments, max_bytes=MAX_ARGUMENTS_BYTES)
    if KIND_ITEM in items[:2]:
        return _of_service(parse_service_arguments(raw_arguments))
    terms = parse_arguments(raw_arguments).terms
    limits = resource_limits(terms.limits)
    return Needs(tee=terms.tee, max_memory=terms.limits.max_memory, limits=limits, network=Network.NONE)


def resource_limits(limits: Limits) -> tuple[tuple[int, int], ...]:
    """Return the limits of the process for the budgets that the participants agreed to."""
    seconds = limits.max_seconds * (os.cpu_count() or 1) + _SECONDS_ALLOWANCE
    # Containers and padded logs are larger than what they hold.
    file_bytes = 2 * (limits.max_output_bytes + limits.max_log_bytes) + _FILE_ALLOWANCE
    return (
        (resource.RLIMIT_AS, limits.max_memory + _MEMORY_ALLOWANCE),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_NOFILE, _MAX_OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    )


def _of_service(arguments: ServiceArguments) -> Needs:
    return Needs(
        tee=arguments.tee,
        max_memory=arguments.max_memory,
        # A service runs until it is stopped. Its files are in memory; what it writes to the host is counted.
        limits=(
            (resource.RLIMIT_AS, arguments.max_memory + _SERVICE_MEMORY_ALLOWANCE),
            (resource.RLIMIT_FSIZE, arguments.max_memory + _FILE_ALLOWANCE),
            (resource.RLIMIT_NOFILE, _MAX_OPEN_FILES),
            (resource.RLIMIT_CORE, 0),
        ),
        network=Network.CONNECTS if arguments.connect is Connections.ANY else Network.SERVES,
    )
