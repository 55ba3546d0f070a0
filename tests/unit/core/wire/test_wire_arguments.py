import re
from dataclasses import FrozenInstanceError, replace
from hashlib import sha256
from uuid import UUID

import pytest
import wire_samples as samples
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey

from sealroom.core.errors import MalformedError
from sealroom.core.wire import argument_items
from sealroom.core.wire.argument_items import INTERPRETER_ARGUMENTS
from sealroom.core.wire.arguments import arguments_from_items, parse_arguments
from sealroom.core.wire.participants import Participant, Role, check_email
from sealroom.core.wire.signatures import check_public_key
from sealroom.core.wire.terms import DeliveryForm, Limits, LogRelease, Tee

ITEMS = samples.ARGUMENTS.items()
NAMES = [item.partition("=")[0] for item in ITEMS]


def with_item(name: str, value: str) -> list[str]:
    items = list(ITEMS)
    items[NAMES.index(name)] = f"{name}={value}"
    return items


def test_the_measured_file_is_the_interpreter_arguments_then_the_items_each_ended_by_nul():
    expected = [*INTERPRETER_ARGUMENTS, *ITEMS]
    assert samples.ARGUMENTS.to_bytes().split(b"\0") == [*(item.encode() for item in expected), b""]


def test_the_order_of_the_items_is_the_documented_one():
    assert NAMES == [
        "format",
        "tee",
        "delivery",
        "computation",
        "owner",
        "code-provider",
        "data-provider",
        "data-provider",
        "result-consumer",
        "logs",
        "max-output-bytes",
        "max-log-bytes",
        "max-seconds",
        "max-memory",
        "entry",
        "code",
        "packages",
        "launch",
    ]


def test_what_was_written_reads_back_from_the_file_and_from_the_items():
    assert parse_arguments(samples.ARGUMENTS.to_bytes()) == samples.ARGUMENTS
    assert arguments_from_items(list(ITEMS)) == samples.ARGUMENTS


def test_the_agreement_is_over_the_items_alone():
    items = b"".join(item.encode() + b"\0" for item in ITEMS)
    assert samples.ARGUMENTS.agreement == sha256(b"sealroom/v1/agreement\0" + items).digest()


def test_the_terms_leave_out_keys_code_packages_and_launch():
    kept = [item for item in ITEMS if item.split("=")[0] not in ("code", "packages", "launch")]
    without_keys = [item.rsplit("=", 1)[0] if item.count("=") == 2 else item for item in kept]
    expected = sha256(b"sealroom/v1/terms\0" + b"".join(i.encode() + b"\0" for i in without_keys)).digest()
    assert samples.ARGUMENTS.terms_digest == expected
    assert samples.TERMS.digest == expected


def test_the_terms_do_not_change_when_keys_code_or_launch_do():
    other = replace(samples.ARGUMENTS, code_digest=b"\1" * 32, packages_digest=b"\2" * 32, launch=b"\3" * 16)
    assert other.terms_digest == samples.ARGUMENTS.terms_digest
    assert other.agreement != samples.ARGUMENTS.agreement


@pytest.mark.parametrize(
    "change",
    [
        {"tee": Tee.SGX},
        {"delivery": DeliveryForm.LEGACY},
        {"computation": UUID("1f8fad5b-d9cb-469f-a165-70867728950e")},
        {"owner": "other@clinic.example"},
        {"code_provider": "other@clinic.example"},
        {"data_providers": ("south@clinic.example", "north@clinic.example")},
        {"result_consumers": ()},
        {"logs": LogRelease.PUBLIC},
        {"limits": Limits(max_output_bytes=1, max_log_bytes=65536, max_seconds=600, max_memory=2147483648)},
        {"limits": Limits(max_output_bytes=1048576, max_log_bytes=1, max_seconds=600, max_memory=2147483648)},
        {
            "limits": Limits(
                max_output_bytes=1048576, max_log_bytes=65536, max_seconds=1, max_memory=2147483648
            )
        },
        {"limits": Limits(max_output_bytes=1048576, max_log_bytes=65536, max_seconds=600, max_memory=1)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_choice_of_the_owner_changes_the_terms(change):
    assert replace(samples.TERMS, **change).digest != samples.TERMS.digest


@pytest.mark.parametrize("position", range(len(ITEMS)))
def test_refuses_a_missing_item(position):
    items = list(ITEMS)
    del items[position]
    # Without one of two data providers, or the only consumer, the rest is a valid contract of other people.
    if NAMES[position] in ("data-provider", "result-consumer"):
        assert arguments_from_items(items) != samples.ARGUMENTS
        return
    with pytest.raises(MalformedError):
        arguments_from_items(items)


@pytest.mark.parametrize("position", range(len(ITEMS)))
def test_refuses_a_repeated_item(position):
    with pytest.raises(MalformedError):
        arguments_from_items([*ITEMS[: position + 1], *ITEMS[position:]])


@pytest.mark.parametrize("position", [i for i in range(len(ITEMS) - 1) if NAMES[i] != NAMES[i + 1]])
def test_refuses_two_items_in_another_order(position):
    items = list(ITEMS)
    items[position], items[position + 1] = items[position + 1], items[position]
    with pytest.raises(MalformedError):
        arguments_from_items(items)


def test_data_providers_in_another_order_are_another_agreement():
    items = list(ITEMS)
    items[6], items[7] = items[7], items[6]
    assert arguments_from_items(items).agreement != samples.ARGUMENTS.agreement


@pytest.mark.parametrize("name", sorted(set(NAMES)))
def test_refuses_an_abbreviated_item(name):
    items = list(ITEMS)
    position = NAMES.index(name)
    items[position] = items[position].replace(name, name[:-1], 1)
    with pytest.raises(MalformedError):
        arguments_from_items(items)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("format", "2"),
        ("tee", "SGX"),
        ("tee", "sim"),
        ("delivery", "v1"),
        ("computation", "0F8FAD5B-D9CB-469F-A165-70867728950E"),
        ("computation", "0f8fad5bd9cb469fa16570867728950e"),
        ("computation", "{0f8fad5b-d9cb-469f-a165-70867728950e}"),
        ("computation", "0f8fad5b-d9cb-169f-a165-70867728950e"),
        ("computation", "0f8fad5b-d9cb-469f-c165-70867728950e"),
        ("owner", "Owner@clinic.example"),
        ("owner", ""),
        ("logs", "everyone"),
        ("max-seconds", "0600"),
        ("max-seconds", "+600"),
        ("max-seconds", "6_00"),
        ("max-seconds", "0"),
        ("max-seconds", ""),
        ("max-seconds", "-1"),
        ("max-seconds", " 600"),
        ("max-seconds", "\N{ARABIC-INDIC DIGIT SIX}00"),
        ("max-memory", "9223372036854775808"),
        ("max-memory", "9" * 5000),
        ("max-memory", "0"),
        ("entry", "model/fit.py"),
        ("code", "00"),
        ("code", "A0" * 32),
        ("packages", "0" * 63),
        ("launch", "0" * 33),
        ("launch", "0" * 64),
    ],
)
def test_refuses_another_spelling_of_a_value(name, value):
    with pytest.raises(MalformedError):
        arguments_from_items(with_item(name, value))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        samples.ARGUMENTS.to_bytes()[:-1],
        samples.ARGUMENTS.to_bytes() + b"\0",
        samples.ARGUMENTS.to_bytes() + b"x\0",
        samples.ARGUMENTS.to_bytes().replace(b"python3\0", b"python3.11\0", 1),
        samples.ARGUMENTS.to_bytes().replace(b"-I\0", b"", 1),
        samples.ARGUMENTS.to_bytes().replace(b"format=1\0", b"format=1\0\0", 1),
        b"".join(item.encode() + b"\0" for item in ITEMS),
    ],
)
def test_refuses_a_file_that_is_not_exactly_the_measured_one(raw):
    with pytest.raises(MalformedError):
        parse_arguments(raw)


def test_refuses_a_file_over_its_bound_before_reading_it():
    with pytest.raises(MalformedError, match="at most 262144"):
        parse_arguments(bytes(262145))


def test_refuses_a_homograph_of_an_address():
    cyrillic = "n\N{CYRILLIC SMALL LETTER O}rth@clinic.example"
    with pytest.raises(MalformedError):
        check_email(cyrillic)
    raw = samples.ARGUMENTS.to_bytes().replace(b"north@clinic.example", cyrillic.encode(), 1)
    with pytest.raises(MalformedError):
        parse_arguments(raw)


@pytest.mark.parametrize("email", ["", "a", "a@", "@b", "a b@c", "a@b@c", "a=b@c", "a@b\n", "a@" + "b" * 300])
def test_refuses_what_is_no_address(email):
    with pytest.raises(MalformedError):
        check_email(email)


def test_refuses_one_key_under_two_addresses():
    items = [item.replace("south@", "extra@") if i == 7 else item for i, item in enumerate(ITEMS)]
    items[7] = items[7].rsplit("=", 1)[0] + "=" + samples.ARGUMENTS.participants[1].public_key.hex()
    with pytest.raises(MalformedError, match="one key stands under two e-mails"):
        arguments_from_items(items)


def test_refuses_one_key_twice_in_a_role():
    items = list(ITEMS)
    items[7] = items[6]
    with pytest.raises(MalformedError, match="one e-mail stands twice"):
        arguments_from_items(items)


def test_refuses_one_person_twice_in_a_role_with_another_key():
    items = list(ITEMS)
    key = samples.public(SigningKey(b"\x44" * 32)).hex()
    items[7] = f"data-provider=north@clinic.example={key}"
    with pytest.raises(MalformedError, match="one e-mail stands twice"):
        arguments_from_items(items)


def test_accepts_one_person_in_two_roles_with_one_key():
    north = [p for p in samples.ARGUMENTS.participants if p.email == "north@clinic.example"]
    assert [p.role for p in north] == [Role.DATA_PROVIDER, Role.RESULT_CONSUMER]
    assert north[0].public_key == north[1].public_key


def test_accepts_nobody_but_a_code_provider():
    terms = replace(samples.TERMS, data_providers=(), result_consumers=())
    arguments = replace(samples.ARGUMENTS, terms=terms, participants=samples.slots_of(terms))
    assert parse_arguments(arguments.to_bytes()) == arguments


@pytest.mark.parametrize("count", [0, 2])
def test_refuses_any_number_of_code_providers_but_one(count):
    items = list(ITEMS)
    other = "code-provider=south@clinic.example=" + samples.ARGUMENTS.participants[2].public_key.hex()
    items[5:6] = [items[5], other][:count]
    with pytest.raises(MalformedError):
        arguments_from_items(items)


def test_refuses_more_participants_than_an_index_can_name():
    key = samples.ARGUMENTS.participants[1].public_key.hex()
    many = [f"data-provider=p{i}@clinic.example={key}" for i in range(257)]
    with pytest.raises(MalformedError):
        arguments_from_items([*ITEMS[:6], *many, *ITEMS[8:]])


# libsodium's own list: points of small order, and encodings that are not canonical or not of the group.
REFUSED_KEYS = [
    "00" * 32,
    "01" + "00" * 31,
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0200000000000000000000000000000000000000000000000000000000000000",
]


@pytest.mark.parametrize("key", REFUSED_KEYS)
def test_refuses_keys_of_small_order_and_second_encodings(key):
    with pytest.raises(MalformedError):
        check_public_key(bytes.fromhex(key))
    items = list(ITEMS)
    items[6] = f"data-provider=north@clinic.example={key}"
    with pytest.raises(MalformedError):
        arguments_from_items(items)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_refuses_keys_of_another_length(size):
    with pytest.raises(MalformedError):
        check_public_key(bytes(size))


def test_arguments_cannot_be_built_with_a_slot_missing_or_moved():
    slots = samples.ARGUMENTS.participants
    for wrong in (slots[:-1], slots[::-1], ()):
        with pytest.raises(MalformedError):
            replace(samples.ARGUMENTS, participants=wrong)


def test_arguments_find_a_slot_by_role_and_key():
    north = samples.ARGUMENTS.participants[1]
    assert samples.ARGUMENTS.find(Role.DATA_PROVIDER, north.public_key) == north
    assert samples.ARGUMENTS.find(Role.CODE_PROVIDER, north.public_key) is None
    assert [p.index for p in samples.ARGUMENTS.in_role(Role.DATA_PROVIDER)] == [0, 1]
    assert samples.ARGUMENTS.computation == samples.COMPUTATION


def test_the_comparison_catches_what_a_lenient_field_parser_would_let_through(monkeypatch):
    monkeypatch.setattr(argument_items, "_NUMBER", re.compile("[0-9]+"))
    with pytest.raises(MalformedError, match="one accepted encoding"):
        arguments_from_items(with_item("max-seconds", "0600"))


@pytest.mark.parametrize(("position", "item"), [(0, "format=2"), (14, "entry=main.py")])
def test_names_the_fixed_item_that_is_not_there(position, item):
    with pytest.raises(MalformedError, match=f"item {position}: expected {ITEMS[position]}"):
        arguments_from_items([*ITEMS[:position], item, *ITEMS[position + 1 :]])


def test_refuses_more_items_than_a_contract_can_have():
    with pytest.raises(MalformedError, match="at most"):
        arguments_from_items(["format=1"] * 600)


@pytest.mark.parametrize(
    "change",
    [
        {"entry": "main.py"},
        {"launch": bytes(15)},
        {"code_digest": b""},
        {"packages_digest": bytes(31)},
    ],
)
def test_arguments_cannot_be_built_with_other_values(change):
    with pytest.raises(MalformedError):
        replace(samples.ARGUMENTS, **change)


def test_terms_cannot_be_built_with_too_many_people_or_another_uuid():
    with pytest.raises(MalformedError):
        replace(samples.TERMS, result_consumers=tuple(f"p{i}@x" for i in range(257)))
    with pytest.raises(MalformedError):
        replace(samples.TERMS, computation=UUID("0f8fad5b-d9cb-169f-a165-70867728950e"))


def test_arguments_are_frozen():
    with pytest.raises(FrozenInstanceError):
        samples.ARGUMENTS.launch = bytes(16)  # type: ignore[misc]


def test_a_participant_cannot_be_built_with_an_index_out_of_range():
    with pytest.raises(MalformedError):
        Participant(
            role=Role.DATA_PROVIDER,
            index=256,
            email="a@b",
            public_key=samples.public(samples.ENCLAVE_KEY),
        )


KEYS = [samples.public(SigningKey(bytes([i + 1]) * 32)) for i in range(6)]
NUMBERS = st.integers(min_value=1, max_value=2**63 - 1)


@st.composite
def contracts(draw):
    people = [f"p{i}@site.example" for i in range(6)]
    terms = replace(
        samples.TERMS,
        tee=draw(st.sampled_from(Tee)),
        delivery=draw(st.sampled_from(DeliveryForm)),
        computation=draw(st.uuids(version=4)),
        code_provider=draw(st.sampled_from(people)),
        data_providers=tuple(draw(st.lists(st.sampled_from(people), unique=True))),
        result_consumers=tuple(draw(st.lists(st.sampled_from(people), unique=True))),
        logs=draw(st.sampled_from(LogRelease)),
        limits=Limits(
            max_output_bytes=draw(NUMBERS),
            max_log_bytes=draw(NUMBERS),
            max_seconds=draw(NUMBERS),
            max_memory=draw(NUMBERS),
        ),
    )
    slots = tuple(
        Participant(role=role, index=index, email=email, public_key=KEYS[people.index(email)])
        for role, index, email in terms.roles()
    )
    return replace(
        samples.ARGUMENTS, terms=terms, participants=slots, launch=draw(st.binary(min_size=16, max_size=16))
    )


@given(contracts())
def test_any_contract_reads_back(arguments):
    assert parse_arguments(arguments.to_bytes()) == arguments
    assert arguments_from_items(arguments.items()) == arguments


@given(st.binary(max_size=400))
def test_any_bytes_are_a_value_or_malformed(tail):
    for raw in (tail, b"\0".join(i.encode() for i in INTERPRETER_ARGUMENTS) + b"\0" + tail):
        try:
            parse_arguments(raw)
        except MalformedError:
            continue


@given(st.lists(st.text(max_size=80), max_size=30))
def test_any_items_are_a_value_or_malformed(items):
    try:
        arguments_from_items(items)
    except MalformedError:
        return


@given(st.integers(0, len(samples.ARGUMENTS.to_bytes()) - 1), st.integers(1, 255))
def test_one_changed_byte_is_refused_or_is_another_contract(position, mask):
    raw = bytearray(samples.ARGUMENTS.to_bytes())
    raw[position] ^= mask
    try:
        parsed = parse_arguments(bytes(raw))
    except MalformedError:
        return
    assert parsed.to_bytes() == bytes(raw)
    assert parsed.agreement != samples.ARGUMENTS.agreement
