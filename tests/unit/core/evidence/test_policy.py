from dataclasses import fields, replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealroom.adapters.policies import READY_POLICIES, load_policy, read_policy
from sealroom.core.attestation.quote import TeeType
from sealroom.core.attestation.tcb_status import TcbStatus
from sealroom.core.errors import MalformedError
from sealroom.core.evidence.policy import MAX_POLICY_BYTES, Policy, SignerRule, Word
from sealroom.core.wire.participants import Role
from sealroom.core.wire.terms import LogRelease

_READY = read_policy("up-to-date").decode()
_LINES = [line.split(" = ")[0] for line in _READY.splitlines() if " = " in line and not line.startswith("#")]


def _edited(old: str, new: str) -> bytes:
    assert _READY.count(old) == 1
    return _READY.replace(old, new).encode()


@pytest.mark.parametrize("name", READY_POLICIES)
def test_ready_policies_go_by_their_name(name: str) -> None:
    assert load_policy(name).name == name


def test_ready_policies_say_what_they_are_for() -> None:
    strict, current, looking = map(load_policy, READY_POLICIES)
    assert strict.tcb_statuses == {TcbStatus.UP_TO_DATE}
    assert strict.advisories is Word.NONE
    assert strict.require_pinned == frozenset(Role)
    assert strict.logs == {LogRelease.NONE}
    assert TcbStatus.OUT_OF_DATE not in current.tcb_statuses
    assert looking.tcb_statuses == frozenset(TcbStatus) - {TcbStatus.REVOKED}
    assert looking.tee == frozenset(TeeType)
    assert {policy.max_deliveries for policy in (strict, current, looking)} == {1}


def test_policy_has_no_default_anywhere() -> None:
    for field in fields(Policy):
        with pytest.raises(TypeError):
            Policy(
                **{f.name: getattr(load_policy("strict"), f.name) for f in fields(Policy) if f is not field}
            )


@pytest.mark.parametrize("line", [line for line in _LINES if "_mask" not in line and line[0] not in "fxm"])
def test_missing_member_is_an_error(line: str) -> None:
    text = "\n".join(row for row in _READY.splitlines() if not row.startswith(f"{line} = "))
    with pytest.raises(MalformedError, match="nothing is accepted by default"):
        Policy.from_toml(text.encode())


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('tee = ["sgx"]', "tee = []", "empty list"),
        ('tee = ["sgx"]', 'tee = ["sev"]', "none of sgx"),
        ('tee = ["sgx"]', 'tee = ["sgx", "sgx"]', "twice"),
        ('tee = ["sgx"]', 'tee = "sgx"', "list of strings"),
        ('tee = ["sgx"]', "tee = [1]", "string"),
        ('"UpToDate", "SWHardeningNeeded"', "", "empty list"),
        ('"UpToDate", "SWHardeningNeeded"', '"Revoked"', "Revoked"),
        ('advisories = "any"', "advisories = []", "empty list"),
        ('advisories = "any"', 'advisories = "recomputed"', "no meaning here"),
        ('advisories = "any"', 'advisories = "all"', "list of strings"),
        ('advisories = "any"', 'advisories = ["a b"]', "advisory's name"),
        ("min_evaluation_number = 0", "min_evaluation_number = -1", "number"),
        ("min_evaluation_number = 0", "min_evaluation_number = true", "number"),
        ("max_collateral_age_days = 30", "max_collateral_age_days = 0", "at least one day"),
        ("max_collateral_age_days = 30", 'max_collateral_age_days = "none"', "no meaning here"),
        ("max_collateral_age_days = 30", "max_collateral_age_days = 99999999999", "number"),
        ('measurement = "recomputed"', 'measurement = "none"', "no meaning here"),
        ('measurement = "recomputed"', "measurement = []", "empty list"),
        ('measurement = "recomputed"', 'measurement = ["00"]', "64 or 96 lower-case hex"),
        ('measurement = "recomputed"', 'measurement = { mrsigner = "00" }', "exactly mrsigner"),
        ('platforms = "any"', "platforms = []", "empty list"),
        ('platforms = "any"', 'platforms = ["zz"]', "hex"),
        ('require_pinned = "none"', "require_pinned = []", "empty list"),
        ('require_pinned = "none"', 'require_pinned = ["owner"]', "none of"),
        ('require_pinned = "none"', 'require_pinned = "any"', "no meaning here"),
        ('logs = ["none", "participants"]', "logs = []", "empty list"),
        ('logs = ["none", "participants"]', 'logs = "none"', "no meaning here"),
        ("max_deliveries = 1", "max_deliveries = 0", "max_deliveries"),
        ("allow_legacy_delivery = false", "allow_legacy_delivery = 0", "true or false"),
        ("accept_zero_padding = false", "", "accept_zero_padding missing"),
        ("accept_zero_padding = false", "accept_zero_padding = 0", "true or false"),
        ("accept_td_without_sept_ve_disable = false", "", "accept_td_without_sept_ve_disable missing"),
        ("accept_host_chosen_fields = false", "", "accept_host_chosen_fields missing"),
        ("format = 1", "format = 2", "format"),
        ('name = "up-to-date"', 'name = "Up To Date"', "name"),
        ('name = "up-to-date"', 'name = "a"\nfree = 1', "unknown member"),
        ('flags = "0x5"', 'flags = "0x7"', "mask leaves out"),
        ('flags = "0x5"', "flags = 5", "string"),
        ('flags = "0x5"', 'flags = "5"', "0x5"),
        ('flags = "0x5"\n', "", "exactly"),
    ],
)
def test_refuses_what_is_unclear(old: str, new: str, why: str) -> None:
    with pytest.raises(MalformedError, match=why):
        Policy.from_toml(_edited(old, new))


def test_reads_every_narrower_form() -> None:
    policy = Policy.from_toml(
        _READY.replace('advisories = "any"', 'advisories = ["INTEL-SA-00615"]')
        .replace("max_collateral_age_days = 30", 'max_collateral_age_days = "any"')
        .replace('measurement = "recomputed"', f'measurement = ["{"ab" * 32}"]')
        .replace('platforms = "any"', f'platforms = ["{"cd" * 16}"]')
        .replace('require_pinned = "none"', 'require_pinned = ["result-consumer"]')
        .encode()
    )
    assert policy == replace(
        load_policy("up-to-date"),
        advisories=frozenset({"INTEL-SA-00615"}),
        max_collateral_age=Word.ANY,
        measurement=frozenset({b"\xab" * 32}),
        platforms=frozenset({b"\xcd" * 16}),
        require_pinned=frozenset({Role.RESULT_CONSUMER}),
    )


def test_a_policy_made_in_python_cannot_accept_a_revoked_platform_either() -> None:
    with pytest.raises(MalformedError, match="revoked"):
        replace(load_policy("strict"), tcb_statuses=frozenset({TcbStatus.REVOKED}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("platforms", {bytes(16)}),
        ("platforms", None),
        ("require_pinned", {Role.CODE_PROVIDER}),
        ("logs", [LogRelease.NONE]),
        ("logs", "none"),
        ("max_collateral_age", 30),
        ("tcb_statuses", [TcbStatus.UP_TO_DATE]),
        ("accept_zero_padding", "false"),
        ("name", None),
    ],
)
def test_a_policy_made_in_python_leaves_no_rule_open_by_a_value_of_another_type(
    name: str, value: object
) -> None:
    with pytest.raises(MalformedError, match=f"policy {name}: {type(value).__name__} is no type"):
        replace(load_policy("strict"), **{name: value})


def test_reads_a_signers_rule() -> None:
    rule = f'measurement = {{ mrsigner = "{"ef" * 32}", product = 3, min_svn = 4 }}'
    policy = Policy.from_toml(_edited('measurement = "recomputed"', rule))
    assert policy.measurement == SignerRule(mrsigner=b"\xef" * 32, product=3, min_svn=4)
    assert policy.max_collateral_age == timedelta(days=30)


@pytest.mark.parametrize("raw", [b"\xff", b"]", b"a = " + b"[" * 9000, b"x" * (MAX_POLICY_BYTES + 1)])
def test_refuses_what_is_no_toml(raw: bytes) -> None:
    with pytest.raises(MalformedError):
        Policy.from_toml(raw)


def test_a_policy_that_is_too_long_is_refused_whatever_it_says() -> None:
    padded = _READY.encode() + b"#" * (MAX_POLICY_BYTES - len(_READY.encode()))
    assert Policy.from_toml(padded) == load_policy("up-to-date")
    with pytest.raises(MalformedError, match="policy size"):
        Policy.from_toml(padded + b"#")


@given(st.binary(max_size=300))
def test_any_bytes_are_a_policy_or_malformed(raw: bytes) -> None:
    try:
        Policy.from_toml(raw)
    except MalformedError:
        return


def test_file_that_is_not_there_is_malformed_and_names_the_ready_ones() -> None:
    with pytest.raises(MalformedError, match="strict, up-to-date"):
        load_policy("no/such/file")
