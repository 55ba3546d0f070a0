"""The launch folder of a service on SGX, with everything up to the processor."""

import hashlib
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

import service_samples
from made_wheels import make_wheel, pin, requirements_of
from sealroom.core.measurement.manifest import parse_manifest
from sealroom.core.measurement.mrenclave import measure
from sealroom.core.measurement.service_package import end_of_package, member_header, padding, read_package
from sealroom.core.measurement.signing import verify_sigstruct
from sealroom.core.wire.byte_fields import sha256
from sealroom.core.wire.service_spool import CODE_LIST
from sealroom.core.wire.terms import Tee
from sealroom.server.hosting.launching import ServiceLauncher, ServicePlan, fill_again
from sealroom.server.launchers.base import LaunchError, WheelSource
from sealroom.server.launchers.gramine_sgx import GramineSgxLauncher
from sealroom.server.launchers.sgx_files import MANIFEST, SIGSTRUCT
from sgx_machine import sgx_machine

WHEEL = make_wheel("one", "1", {"one/__init__.py": b"1"})
MEMBERS = {
    "config.toml": b'name = "scoring"\npython_application = "app:app"\n',
    "requirements.txt": requirements_of(pin(WHEEL, "one", "1")),
    "src/app.py": b"a container",
}


def plan_in(folder: Path, tee: Tee) -> ServicePlan:
    file = folder / "scoring.package"
    file.write_bytes(
        b"".join(
            part
            for path, content in MEMBERS.items()
            for part in (member_header(path, len(content)), content, padding(len(content)))
        )
        + end_of_package()
    )
    with file.open("rb") as source:
        package = read_package(source)
    arguments = replace(
        service_samples.ARGUMENTS,
        tee=tee,
        code_digest=package.code.digest,
        packages_digest=sha256(MEMBERS["requirements.txt"]),
    )
    wheel = WheelSource(requirement=pin(WHEEL, "one", "1"), open=lambda: io.BytesIO(WHEEL))
    return ServicePlan(arguments=arguments, package_file=file, package=package, wheels=(wheel,), chain=None)


def test_a_service_on_sgx_is_staged_signed_and_started_again_alike(tmp_path: Path) -> None:
    with sgx_machine(tmp_path / "machine") as machine:
        launcher = GramineSgxLauncher(tmp_path, machine.settings, host=machine.host)
        first, second = tmp_path / "1", tmp_path / "2"
        for folder in (first, second):
            folder.mkdir()
        plan = plan_in(tmp_path, Tee.SGX)
        ServiceLauncher(launcher).fill(first, plan, epoch=1)
        fill_again(second, first, epoch=2)
    manifest = (first / MANIFEST).read_bytes()
    mrenclave = measure(manifest, (first / "pal").read_bytes()).mrenclave
    for number, folder in enumerate((first, second), 1):
        assert verify_sigstruct((folder / SIGSTRUCT).read_bytes()).body.mrenclave == mrenclave
        assert (folder / MANIFEST).read_bytes() == (folder / "manifest.sgx").read_bytes() == manifest
        document = parse_manifest(manifest)
        assert document["sgx"]["max_threads"] == 64
        uris = {row["uri"].removeprefix("file:") for row in document["sgx"]["trusted_files"]}
        assert {"args", "code/src/app.py", "code/requirements.txt", "packages/one/__init__.py"} <= uris
        for row in [*document["sgx"]["trusted_files"], document["loader"]["entrypoint"]]:
            content = (folder / row["uri"].removeprefix("file:")).read_bytes()
            assert hashlib.sha256(content).hexdigest() == row["sha256"]
        assert (folder / "spool" / CODE_LIST).read_bytes() == plan.package.code.to_json()
        order = json.loads((folder / "host/launch.json").read_bytes())
        assert (order["launcher"], order["epoch"]) == ("gramine-sgx", number)


def test_arguments_for_another_kind_of_tee_fill_nothing(tmp_path: Path) -> None:
    with sgx_machine(tmp_path / "machine") as machine:
        launcher = ServiceLauncher(GramineSgxLauncher(tmp_path, machine.settings, host=machine.host))
        plan = plan_in(tmp_path, Tee.SIMULATED)
        (tmp_path / "1").mkdir()
        with pytest.raises(LaunchError, match="tee is simulated, not sgx"):
            launcher.fill(tmp_path / "1", plan, epoch=1)
        assert list((tmp_path / "1").iterdir()) == []
