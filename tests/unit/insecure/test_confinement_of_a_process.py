"""What a child does to itself before it executes: limits, and the honest list of what is on."""

import resource
from pathlib import Path

import pytest

from sealroom.core.wire.terms import Limits
from sealroom.insecure.confinement import Confinement, is_possible
from sealroom.insecure.landlock import FileRules, landlock_version
from sealroom.insecure.namespaces import Mounts
from sealroom.insecure.needs import resource_limits
from sealroom.insecure.sandbox import _protections_of_bubblewrap, _protections_without

LIMITS = Limits(max_output_bytes=1000, max_log_bytes=24, max_seconds=7, max_memory=1 << 20)
MOUNTS = Mounts(shared=(), read_only=(), memory=Path("memory"), max_memory=1)


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
        "no-code-from-data": False,
        "system-calls": False,
        "spool-by-us-alone": bool(landlock_version()),
        "resource-limits": True,
        "minimal-environment": True,
        "ends-with-supervisor": True,
    }


def test_every_sandbox_speaks_of_the_same_protections() -> None:
    rules = FileRules(readable=(), usable=(), changeable=())
    full = Confinement(limits=(), isolate=True, files=rules, seccomp=b"filter")
    without = [row.name for row in _protections_without("none", full)]
    assert without == [row.name for row in _protections_of_bubblewrap(b"filter", None)]
    assert without == [row.name for row in _protections_of_bubblewrap(None, MOUNTS)]


@pytest.mark.parametrize("seccomp", [b"filter", None])
def test_a_missing_filter_is_said(seccomp: bytes | None) -> None:
    rows = {row.name: row.on for row in _protections_of_bubblewrap(seccomp, MOUNTS)}
    assert rows["system-calls"] is (seccomp is not None)


@pytest.mark.parametrize("mounts", [MOUNTS, None])
def test_files_that_can_be_run_are_said(mounts: Mounts | None) -> None:
    rows = {row.name: row.on for row in _protections_of_bubblewrap(b"filter", mounts)}
    assert rows["no-code-from-data"] is (mounts is not None)
    confined = Confinement(limits=(), mounts=mounts)
    rows = {row.name: row.on for row in _protections_without("none", confined)}
    assert rows["no-code-from-data"] is (mounts is not None)
