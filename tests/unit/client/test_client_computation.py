import copy
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sealroom.client
from sealroom.client.computation import Computation, MyRole, State, parse_computation
from sealroom.client.json_values import JsonObject
from sealroom.core.errors import MalformedError
from sealroom.core.wire.participants import Role

KEY = "11" * 32
DOCUMENT: dict[str, Any] = {
    "computation": "11111111-1111-4111-8111-111111111111",
    "name": "table",
    "owner": {"email": "olga@example.org"},
    "created_at": "2026-03-01T12:00:00Z",
    "state": "AwaitingKeys",
    "epoch": 2,
    "tee": "simulated",
    "delivery": "1",
    "logs": "participants",
    "max_output_bytes": 1,
    "max_log_bytes": 2,
    "max_seconds": 3,
    "max_memory": 4,
    "participants": [
        {
            "role": "data-provider",
            "index": 0,
            "email": "dana@example.org",
            "public_key": KEY,
            "registered_at": "2026-03-01T12:00:00+00:00",
            "data_done_at": "2026-03-01T13:00:00+01:00",
            "delivered_at": None,
        },
        {"role": "code-provider", "index": 0, "email": "carl@example.org", "public_key": None},
    ],
    "code": {"digest": KEY, "signature": "22" * 64, "version": 1, "sent_at": "2026-03-01T12:00:00Z"},
    "launches": [
        {"epoch": 1, "launched_at": None, "mrenclave": None},
        {"epoch": 2, "launched_at": "2026-03-01T12:00:00Z", "mrenclave": KEY},
    ],
    "runs": [{"epoch": 1, "started_at": "2026-03-01T12:00:00Z", "outcome": "failed", "exit_code": 1}],
    "refusal": {"by": "enclave", "reason": "words-differ", "epoch": 1},
    "my_roles": ["owner", "data-provider"],
}


def parse(document: object) -> Computation:
    return parse_computation(JsonObject.from_bytes(json.dumps(document).encode(), what="test"))


def test_the_servers_description_becomes_a_value() -> None:
    found = parse(DOCUMENT)
    assert found.state is State.AWAITING_KEYS
    assert found.my_roles == (MyRole.OWNER, MyRole.DATA_PROVIDER)
    assert found.my_key_roles == (Role.DATA_PROVIDER,)
    assert found.launch is not None
    assert found.launch.mrenclave == bytes.fromhex(KEY)
    assert found.run is None
    assert found.enclave.identity is None
    dana, carl = found.participants
    assert dana.sent_at == dana.registered_at
    assert (carl.public_key, carl.sent_at) == (None, None)
    assert found.slot(Role.DATA_PROVIDER, "dana@example.org") == dana


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("state",), "Unknown"),
        (("computation",), "11111111111141118111111111111111"),
        (("epoch",), -1),
        (("epoch",), True),
        (("created_at",), "2026-03-01T12:00:00"),
        (("created_at",), "yesterday"),
        (("participants",), {}),
        (("participants", 0, "public_key"), KEY.replace("11", "AA")),
        (("participants", 0, "role"), "owner"),
        (("participants", 0), 5),
        (("code", "digest"), "11"),
        (("launches", 0, "mrenclave"), "zz" * 32),
        (("my_roles",), ["root"]),
        (("my_roles",), [1]),
        (("tee",), None),
    ],
)
def test_anything_else_is_malformed(path: tuple[str | int, ...], value: object) -> None:
    document = copy.deepcopy(DOCUMENT)
    place: Any = document
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    with pytest.raises(MalformedError):
        parse(document)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("path", [("owner",), ("participants", 0)])
def test_an_address_that_a_terminal_would_obey_is_malformed(path: tuple[str | int, ...]) -> None:
    document = copy.deepcopy(DOCUMENT)
    place: Any = document
    for part in path:
        place = place[part]
    place["email"] = "carl@example.org\x1b[2J\x1b[H, key pinned"
    with pytest.raises(MalformedError, match="email"):
        parse(document)


@given(st.sampled_from(sorted(DOCUMENT)), json_values)
def test_no_member_can_break_the_parser(name: str, value: object) -> None:
    with suppress(MalformedError):
        parse(DOCUMENT | {name: value})


@given(st.binary(max_size=100))
def test_any_bytes_are_an_object_or_malformed(raw: bytes) -> None:
    with suppress(MalformedError):
        JsonObject.from_bytes(raw, what="test")


def test_deep_nesting_is_malformed() -> None:
    with pytest.raises(MalformedError):
        JsonObject.from_bytes(b'{"a":' * 200_000, what="test")


def test_every_public_name_is_there() -> None:
    assert dir(sealroom.client) == sorted(sealroom.client.__all__)
    for name in sealroom.client.__all__:
        assert getattr(sealroom.client, name) is not None
    with pytest.raises(AttributeError, match="no attribute"):
        _ = sealroom.client.missing
