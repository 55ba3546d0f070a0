"""The measured arguments of a service: one encoding, everything else refused."""

from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealroom.core.errors import MalformedError
from sealroom.core.wire.arguments import parse_arguments
from sealroom.core.wire.service_arguments import (
    CertificateMode,
    Connections,
    Interface,
    ServiceArguments,
    ServiceLogs,
    parse_service_arguments,
    service_arguments_from_items,
)
from sealroom.core.wire.terms import Tee

ARGUMENTS = ServiceArguments(
    tee=Tee.SIMULATED,
    service=UUID("6f1f7a0e-6f3e-4b7c-9d0a-4c6f5f3a2b10"),
    name="scoring",
    application="app.main:api",
    interface=Interface.ASGI,
    health="/health",
    certificate=CertificateMode.RA_TLS,
    hosts=("scoring.example", "127.0.0.1", "2001:db8::1"),
    port=8443,
    lifetime_days=90,
    bootstrap_seconds=3600,
    connect=Connections.NONE,
    logs=ServiceLogs.NONE,
    max_memory=1 << 30,
    code_digest=bytes(range(32)),
    packages_digest=bytes(32),
    spawn=bytes(16),
)
ITEMS = ARGUMENTS.items()


def changed(old: str, *new: str) -> list[str]:
    """The items with one, found by how it begins, replaced."""
    place = next(index for index, item in enumerate(ITEMS) if item.startswith(old))
    return [*ITEMS[:place], *new, *ITEMS[place + 1 :]]


def test_what_is_written_is_read_again():
    assert parse_service_arguments(ARGUMENTS.to_bytes()) == ARGUMENTS
    without_health = replace(ARGUMENTS, health="")
    assert parse_service_arguments(without_health.to_bytes()) == without_health


def test_arguments_of_a_service_are_not_those_of_a_computation():
    with pytest.raises(MalformedError, match="item 1: expected tee="):
        parse_arguments(ARGUMENTS.to_bytes())


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([], "item 0: expected format=1"),
        (changed("kind=", "kind=computation"), "item 1: expected kind=service"),
        (changed("tee=", "tee=tdx"), "tee: expected one of"),
        (changed("service=", "service=6F1F7A0E-6f3e-4b7c-9d0a-4c6f5f3a2b10"), "lower case"),
        (changed("service=", "service=6f1f7a0e-6f3e-1b7c-9d0a-4c6f5f3a2b10"), "version 4"),
        (changed("name=", "name=Scoring"), "name: expected"),
        (changed("name=", "name=-scoring"), "name: expected"),
        (changed("name=", "name="), "name: expected"),
        (changed("application=", "application=app.main"), "module:variable"),
        (changed("application=", "application=app..main:api"), "module:variable"),
        (changed("application=", "application=../app:api"), "module:variable"),
        (changed("interface=", "interface=cgi"), "interface: expected one of"),
        (changed("health=", "health=health"), "health: expected a path"),
        (changed("health=", "health=/a b"), "health: expected a path"),
        (changed("certificate=", "certificate=none"), "certificate: expected one of"),
        (changed("host=127", "host=127.0.0.01"), "host: expected a DNS name"),
        (changed("host=127", "host=Scoring.example"), "host: expected a DNS name"),
        (changed("host=127", "host=*.example"), "host: expected a DNS name"),
        (changed("host=2001", "host=2001:0db8::1"), "host: expected a DNS name"),
        (changed("host=2001", "host=fe80::1%eth0"), "host: expected a DNS name"),
        (changed("host=127", "host=scoring.example"), "1 to 32 distinct"),
        ([item for item in ITEMS if not item.startswith("host=")], "1 to 32 distinct"),
        (changed("host=127", *(f"host=10.0.0.{number}" for number in range(40))), "at most 50"),
        (changed("port=", "port=0"), "port: expected a number from 1"),
        (changed("port=", "port=65536"), "port: expected a number from 1 to 65535"),
        (changed("port=", "port=08443"), "without leading zero"),
        (changed("lifetime-days=", "lifetime-days=3651"), "lifetime-days"),
        (changed("bootstrap-seconds=", "bootstrap-seconds=0"), "bootstrap-seconds"),
        (changed("connect=", "connect=all"), "connect: expected one of"),
        (changed("logs=", "logs=participants"), "logs: expected one of"),
        (changed("max-memory=", "max-memory=0"), "max-memory"),
        (changed("code=", "code=" + "0" * 62), "code: expected 64"),
        (changed("spawn=", "spawn=" + "0" * 34), "spawn: expected 32"),
        ([*ITEMS, "more=1"], "not in the one accepted encoding"),
        ([*ITEMS[:3], ITEMS[4], ITEMS[3], *ITEMS[5:]], "item 3: expected service="),
    ],
)
def test_refuses_other_items(items, message):
    with pytest.raises(MalformedError, match=message):
        service_arguments_from_items(items)


def test_a_spawn_with_an_id_that_nothing_reads_again_is_refused():
    """Found by typing: what was spawned with one could neither be listed nor removed."""
    for service in (UUID(int=0), UUID("6f1f7a0e-6f3e-1b7c-9d0a-4c6f5f3a2b10")):
        with pytest.raises(MalformedError, match="service: expected a UUID of version 4"):
            replace(ARGUMENTS, service=service)


@given(raw=st.binary(max_size=400))
def test_any_bytes_are_arguments_or_malformed(raw):
    for text in (raw, ARGUMENTS.to_bytes()[: len(raw)] + raw, ARGUMENTS.to_bytes() + raw):
        try:
            assert parse_service_arguments(text).to_bytes() == text
        except MalformedError:
            continue
