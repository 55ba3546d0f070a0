"""How many files an enclave is measured from: start-up and every comparison are paid by the file."""

import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from examples.ready_wheels import CACHE, ready
from sealroom.adapters.gramine import GRAMINE_LIBRARIES
from sealroom.adapters.release import load_release
from sealroom.cli.main import sealroom
from sealroom.client.code_archive import find_code_files, read_requirements
from sealroom.client.home import Home
from sealroom.client.wheel_store import WheelStore
from sealroom.core.measurement.packages import package_files
from sealroom.core.measurement.platform_tags import platform_of_runtime
from sealroom.core.measurement.template import MeasuredFile, computation_manifest
from sealroom.core.wire.terms import Tee
from sealroom.insecure.runtime import Runtime, stage_runtime

EXAMPLES = Path(__file__).parents[2] / "examples"
pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    return stage_runtime(tmp_path_factory.mktemp("runtimes"))


def _inside_sgx() -> list[MeasuredFile]:
    """The release's bill of materials, with Gramine's C library as a bill has it that knows one."""
    bill = load_release().sgx_runtime
    assert bill is not None
    libraries = [MeasuredFile(path=f"gramine/lib/{name}", sha256=bytes(32)) for name in GRAMINE_LIBRARIES]
    return [*bill.measured, *libraries]


def _manifest(example: str, folder: Path, inside: list[MeasuredFile]) -> bytes:
    """Return the manifest of a computation of an example, by the functions of launcher and client."""
    program = ready(EXAMPLES / example / "code", folder / "program")
    requirements = read_requirements(program.folder)
    release = load_release()
    pal = release.pal_for(Tee.SIMULATED)
    assert pal is not None
    return computation_manifest(
        arguments_sha256=bytes(32),
        first_party=release.first_party,
        code=[
            MeasuredFile(path=f"code/{path}", sha256=bytes(32)) for path in find_code_files(program.folder)
        ],
        packages=package_files(
            requirements,
            WheelStore(Home(root=CACHE)).known(requirements),
            platform_of_runtime(file.path for file in inside),
        ),
        runtime=inside,
        max_memory=1 << 30,
        pal=pal,
    )


@pytest.mark.parametrize(
    ("example", "most"),
    [("mean", 200), ("demo", 400), pytest.param("logistic", 2_000, marks=pytest.mark.slow)],
)
def test_an_enclave_is_measured_from_few_files(
    example: str, most: int, tmp_path: Path, runtime: Runtime
) -> None:
    simulated = [MeasuredFile(path=f"runtime/{file.path}", sha256=file.sha256) for file in runtime.files]
    for kind, inside in (("simulated", simulated), ("SGX", _inside_sgx())):
        path = tmp_path / "manifest.sgx"
        path.write_bytes(_manifest(example, tmp_path / kind, inside))
        checked = CliRunner().invoke(sealroom, ["manifest", "check", str(path), "--json"])
        files = json.load(io.StringIO(checked.stdout))["trusted_files"]
        print(f"{example}, {kind}: {files} trusted files")
        assert files < most
