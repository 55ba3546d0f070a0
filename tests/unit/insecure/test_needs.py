"""What a service needs of its sandbox, read from its measured arguments."""

import resource
from dataclasses import replace

import pytest

from sealroom.core.errors import MalformedError
from sealroom.core.wire.service_arguments import Connections
from sealroom.insecure.needs import Network, needs_of
from service_samples import ARGUMENTS


@pytest.mark.parametrize(
    ("connect", "network"), [(Connections.NONE, Network.SERVES), (Connections.ANY, Network.CONNECTS)]
)
def test_a_service_has_the_network_that_its_arguments_say(connect: Connections, network: Network) -> None:
    assert needs_of(replace(ARGUMENTS, connect=connect).to_bytes()).network is network


def test_a_service_has_a_limit_on_memory_and_none_on_time() -> None:
    needs = needs_of(replace(ARGUMENTS, max_memory=1 << 28).to_bytes())
    limits = dict(needs.limits)
    assert needs.max_memory == 1 << 28
    assert limits[resource.RLIMIT_AS] == (1 << 28) + (4 << 30)
    assert limits[resource.RLIMIT_CORE] == 0
    assert resource.RLIMIT_CPU not in limits


@pytest.mark.parametrize("old", [b"kind=service", b"tee=simulated", b"connect=none"])
def test_arguments_of_another_form_start_nothing(old: bytes) -> None:
    with pytest.raises(MalformedError):
        needs_of(ARGUMENTS.to_bytes().replace(old, b"x=y"))
