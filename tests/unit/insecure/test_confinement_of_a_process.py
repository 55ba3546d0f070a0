"""What a child does to itself before it executes: limits, and the honest list of what is on."""

import resource

import pytest

from sealroom.core.wire.terms import Limits
from sealroom.insecure.confinement import Confinement, is_possible, resource_limits
from sealroom.insecure.landlock import FileRules
from sealroom.insecure.sandbox import _protections_of_bubblewrap, _protections_without

LIMITS = Limits(max_output_bytes=1000, max_log_bytes=24, max_seconds=7, max_memory=1 << 20)


def test_the_limits_follow_the_agreed_budgets() -> None:
    limits = dict(resource_limits(LIMITS))
    assert limits[resource.RLIMIT_AS] == (1 << 20) + (1 << 30)
    assert limits[resource.RLIMIT_FSIZE] == 2 * 1024 + (64 << 20)
    assert limits[resource.RLIMIT_CPU] >= 7 + 600
    assert limits[resource.RLIMIT_CORE] == 0


def test_a_budget_beyond_every_machine_is_no_error() -> None:
    largest = Limits(max_output_bytes=2**62, max_log_bytes=2**62, max_seconds=2**62, max_memory=2**62)
    assert is_possible(Confinement(limits=resource_limits(largest)))


def test_what_the_kernel_refuses_is_not_possible() -> None:
    # Two instructions that decide nothing: the kernel takes no filter without an end.
    assert not is_possible(Confinement(limits=(), no_new_privileges=True, seccomp=bytes(16)))


def test_a_weak_machine_is_not_flattered() -> None:
    rows = {row.name: row.on for row in _protections_without("no bubblewrap", Confinement(limits=()))}
    assert rows == {
        "no-network": False,
        "private-files": False,
        "private-processes": False,
        "no-capabilities": False,
        "system-calls": False,
        "resource-limits": True,
        "minimal-environment": True,
        "ends-with-supervisor": True,
    }


def test_every_sandbox_speaks_of_the_same_protections() -> None:
    rules = FileRules(readable=(), usable=(), changeable=())
    full = Confinement(limits=(), isolate=True, files=rules, seccomp=b"filter")
    without = [row.name for row in _protections_without("none", full)]
    assert without == [row.name for row in _protections_of_bubblewrap(b"filter")]
    assert without == [row.name for row in _protections_of_bubblewrap(None)]


@pytest.mark.parametrize("seccomp", [b"filter", None])
def test_a_missing_filter_is_said(seccomp: bytes | None) -> None:
    rows = {row.name: row.on for row in _protections_of_bubblewrap(seccomp)}
    assert rows["system-calls"] is (seccomp is not None)
