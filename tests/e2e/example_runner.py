"""An example of `examples/`, played on a platform of real processes with the packages of its lock."""

from collections.abc import Sequence
from pathlib import Path

from platform_world import World

from examples.ready_wheels import ready
from sealroom.client import State
from sealroom.core.wire.terms import Limits

EXAMPLES = Path(__file__).parents[2] / "examples"
LIMITS = Limits(max_output_bytes=1 << 20, max_log_bytes=1 << 16, max_seconds=120, max_memory=3 << 30)


def play(
    world: World, name: str, inputs: Sequence[dict[str, bytes]], *, code: Path | None = None
) -> dict[str, bytes]:
    """Let each Data Provider send its files and everybody deliver; return the results by their names.

    With `code`, another program in the place of the example's own.
    """
    program = ready(code or EXAMPLES / name / "code", world.root / f"{name}-program")
    scene = world.scene(data_providers=len(inputs), limits=LIMITS)
    scene.register()
    for number, files in enumerate(inputs):
        scene.send_data(number, files)
        scene.data[number].done()
    program.give_wheels_to(scene.code.client.home)
    scene.code.send(program.folder)
    scene.wait_for(State.AWAITING_KEYS, seconds=180)
    scene.deliver_all()
    try:
        scene.wait_for(State.SUCCEEDED, seconds=150)
    except AssertionError as error:
        raise AssertionError(scene.readers[0].logs().text) from error
    return {result.name: result.path.read_bytes() for result in scene.readers[0].results()}
