"""`sealroom manifest build`: the manifest of a computation, from its parts."""

from __future__ import annotations

import tempfile
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sealroom.cli.console import read_file
from sealroom.cli.exit_codes import CommandError
from sealroom.cli.measured_inputs import read_pal
from sealroom.cli.options import INPUT_FILE, OUTPUT_FILE, Invocation, command_options
from sealroom.core.measurement.manifest import parse_manifest
from sealroom.core.measurement.mrenclave import measure
from sealroom.core.measurement.packages import UnknownWheelsError
from sealroom.core.measurement.template import MeasuredFile
from sealroom.core.wire.arguments import MAX_ARGUMENTS_BYTES, parse_arguments
from sealroom.core.wire.bundle import MAX_BUNDLE_BYTES, EvidenceBundle
from sealroom.core.wire.terms import Tee

if TYPE_CHECKING:
    # Keys are imported by those commands that need them: `sealroom manifest` measures alone.
    from sealroom.client.manifest_parts import ManifestParts
    from sealroom.core.measurement.known_pals import KnownPal
    from sealroom.core.measurement.release import Release


@click.command("build")
@click.option("--arguments", type=INPUT_FILE, help="The measured arguments: `args` of a launch.")
@click.option(
    "--code",
    type=click.Path(path_type=Path, exists=True),
    help="With --arguments: the code as it was sent, an archive or a folder of its files.",
)
@click.option("--evidence", type=INPUT_FILE, help="Instead of both: an evidence bundle that names them.")
@click.option("--pal", type=INPUT_FILE, help="Gramine's libpal.so, a known one: MRENCLAVE is printed, too.")
@click.option("-o", "--output", type=OUTPUT_FILE, required=True, help="Write the manifest here.")
@command_options
def command(
    invocation: Invocation,
    arguments: Path | None,
    code: Path | None,
    evidence: Path | None,
    pal: Path | None,
    output: Path,
) -> None:
    """Build the manifest of a computation, byte for byte the one that launcher and clients build.

    Wheels of its packages are those of your home folder. On SGX the runtime inside is the bill of materials;
    a simulated enclave has that of its server's machine, and here it is this machine's. How another manifest
    differs: `sealroom manifest diff`.
    """
    from sealroom.client.verification import own_release
    from sealroom.client.wheel_store import WheelStore

    parts = _parts(arguments, code, evidence)
    home = invocation.existing_home()
    release, tee = own_release(home), parts.arguments.terms.tee
    raw_pal = None if pal is None else read_pal(pal)
    known = _known_pal(release, tee, raw_pal)
    if tee is Tee.SGX:
        runtime = _runtime_on_sgx(release)
    else:
        invocation.console.say("collecting the runtime of this machine")
        runtime, raw_pal = _runtime_here(release)
    wheels = {} if home is None else WheelStore(home).known(parts.packages)
    try:
        manifest = parts.build(release=release, pal=known, runtime=runtime, wheels=wheels)
    except UnknownWheelsError as exc:
        raise CommandError(str(exc), code="no_wheels") from exc
    output.write_bytes(manifest)
    mrenclave = None if raw_pal is None else measure(manifest, raw_pal).mrenclave.hex()
    _show(invocation, output, manifest, known, mrenclave)


def _parts(arguments: Path | None, code: Path | None, evidence: Path | None) -> ManifestParts:
    from sealroom.client.manifest_parts import parts_of_evidence, parts_of_files

    if evidence is not None and arguments is None and code is None:
        bundle = EvidenceBundle.from_bytes(read_file(evidence, max_bytes=MAX_BUNDLE_BYTES))
        return parts_of_evidence(bundle, parse_arguments(bundle.arguments))
    if evidence is None and arguments is not None and code is not None:
        return parts_of_files(parse_arguments(read_file(arguments, max_bytes=MAX_ARGUMENTS_BYTES)), code)
    raise click.UsageError("give --arguments and --code, or --evidence")


def _known_pal(release: Release, tee: Tee, raw: bytes | None) -> KnownPal:
    found = release.pal_for(tee) if raw is None else release.known_pal(sha256(raw).digest())
    if found is None or found.tee is not tee:
        what = "no PAL is known" if raw is None else f"--pal: sha256 {sha256(raw).hexdigest()} is not known"
        raise CommandError(f"{what} for tee={tee.value}", code="no_pal")
    return found


def _runtime_on_sgx(release: Release) -> tuple[MeasuredFile, ...]:
    if release.sgx_runtime is None:
        raise CommandError("this release has no bill of materials of the runtime for SGX", code="no_runtime")
    return release.sgx_runtime.measured


def _runtime_here(release: Release) -> tuple[tuple[MeasuredFile, ...], bytes]:
    """Have the simulated TEE collect its runtime, and return it with its PAL."""
    from sealroom.server.launchers.base import LaunchError
    from sealroom.server.launchers.folders import PAL_PATH
    from sealroom.server.launchers.simulated import SimulatedLauncher

    with tempfile.TemporaryDirectory(prefix="sealroom-build-") as root:
        folder = Path(root) / "launch"
        folder.mkdir()
        try:
            staged = SimulatedLauncher(Path(root)).stage(folder, release)
        except LaunchError as exc:
            raise CommandError(str(exc), code="rehearsal") from exc
        return staged.runtime, (folder / PAL_PATH).read_bytes()


def _show(
    invocation: Invocation, output: Path, manifest: bytes, pal: KnownPal, mrenclave: str | None
) -> None:
    sgx = parse_manifest(manifest)["sgx"]
    files = len(sgx["trusted_files"]) if isinstance(sgx, dict) else 0
    digest = sha256(manifest).hexdigest()

    def render() -> None:
        invocation.console.say(f"written        {output}, sha256 {digest}")
        invocation.console.say(f"trusted files  {files}")
        invocation.console.say(f"PAL            {pal.name}")
        if mrenclave is not None:
            invocation.console.say(f"MRENCLAVE      {mrenclave}")
        else:
            invocation.console.next_step(f"sealroom measure --manifest {output} --pal LIBPAL")

    document = {
        "output": str(output),
        "sha256": digest,
        "trusted_files": files,
        "pal": pal.name,
        "mrenclave": mrenclave,
    }
    invocation.console.result(document, render)
