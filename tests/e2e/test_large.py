"""Large files through the whole of it: the memory of every process of ours stays where it was.

512 MiB always; 10 GiB among the slow tests, where the disk has room.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from platform_processes import wait_until
from platform_world import LIMITS, Scene, World

from sealroom.client import State
from sealroom.core.wire.terms import Limits

pytestmark = pytest.mark.e2e

MEBIBYTE = 1 << 20
MOST = 300 * MEBIBYTE
# The plain file, its container at home and at the server; then the result's, twice, and what it opens to.
COPIES_ON_DISK = 6

# Adds up every input by words of eight bytes, and passes the input on as a result, both in constant memory.
SUM_AND_COPY = {
    "run.py": (
        "from sealroom.enclave import Enclave\n"
        "with Enclave() as enclave:\n"
        "    for file in enclave.inputs:\n"
        "        total = 0\n"
        "        with file.open() as content:\n"
        "            while piece := content.read(1 << 20):\n"
        "                total += sum(memoryview(piece).cast('Q'))\n"
        "            enclave.write(str(total).encode(), name='sum')\n"
        "            content.seek(0)\n"
        "            enclave.write(content, name=file.name)\n"
    )
}
# A participant's client in a process of its own, which tells its own peak.
IN_ITS_OWN_PROCESS = """
import re, sys
from pathlib import Path
from uuid import UUID
from sealroom.client import Client, DataProvider, ResultConsumer
home, computation, what, place = Path(sys.argv[1]), UUID(sys.argv[2]), sys.argv[3], Path(sys.argv[4])
with Client.for_computation(computation, home=home) as client:
    if what == "send":
        provider = DataProvider(client, computation)
        provider.send(place)
        provider.done()
    else:
        ResultConsumer(client, computation).results(place)
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


def peak(pid: int) -> int:
    """The most memory that a living process ever had resident."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def peak_of_client(scene: Scene, home: Path, what: str, place: Path) -> int:
    command = [sys.executable, "-c", IN_ITS_OWN_PROCESS, str(home), str(scene.uuid), what, str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1800)
    assert done.returncode == 0, done.stderr
    return int(done.stdout) * 1024


def write_large(path: Path, size: int) -> tuple[bytes, int]:
    """Write `size` bytes that do not repeat, and return their digest and the sum of their words."""
    digest, block = hashlib.sha256(), bytearray(os.urandom(MEBIBYTE))
    rest, total = sum(memoryview(block).cast("Q")[1:]), 0
    with path.open("wb") as file:
        for number in range(size // MEBIBYTE):
            block[:8] = number.to_bytes(8, "little")
            digest.update(block)
            total += rest + number
            file.write(block)
    return digest.digest(), total


def test_a_file_of_512_mib_costs_no_process_more_memory(own_world: World) -> None:
    go_through_all_of_it(own_world, 512 * MEBIBYTE)


@pytest.mark.slow
def test_a_file_of_10_gib_costs_no_process_more_memory(own_world: World) -> None:
    size = 10 << 30
    needed, free = COPIES_ON_DISK * size, shutil.disk_usage(own_world.root).free
    if free < needed:
        pytest.skip(f"needs {needed >> 30} GiB of free disk at {own_world.root}, and has {free >> 30}")
    go_through_all_of_it(own_world, size)


def go_through_all_of_it(own_world: World, size: int) -> None:
    """Encrypt, upload, sum and pass on inside, download, decrypt; every process under MOST."""
    own_world.platform.direct = True
    limits = Limits(
        max_output_bytes=size + MEBIBYTE,
        max_log_bytes=LIMITS.max_log_bytes,
        max_seconds=1800,
        max_memory=LIMITS.max_memory,
    )
    scene = own_world.scene(limits=limits)
    scene.register()
    large = own_world.root / "large.bin"
    digest, total = write_large(large, size)
    peaks = {"client, sending": peak_of_client(scene, scene.data[0].client.home.root, "send", large)}
    large.unlink()
    scene.send_code(SUM_AND_COPY)
    scene.wait_for(State.AWAITING_KEYS)
    inside = {"enclave": scene.processes.enclave, "supervisor": scene.processes.supervisor}
    scene.deliver_all()

    def ended() -> bool:
        for who, pid in inside.items():
            # Gone, or a zombie without memory: what was seen before stands.
            with suppress(FileNotFoundError, ProcessLookupError, AssertionError):
                peaks[who] = peak(pid)
        return scene.owner.status().state.is_over

    wait_until(ended, "the run ended", 1800)
    scene.wait_for(State.SUCCEEDED)
    results = own_world.root / "results"
    peaks["client, fetching"] = peak_of_client(scene, scene.readers[0].client.home.root, "fetch", results)
    peaks["server"] = peak(own_world.platform.server.pid)
    with (results / "large.bin").open("rb") as file:
        assert hashlib.file_digest(file, "sha256").digest() == digest
    assert (results / "sum").read_bytes() == str(total).encode()
    print({who: f"{peak_size // MEBIBYTE} MiB" for who, peak_size in peaks.items()})
    assert peaks.keys() == {"client, sending", "client, fetching", "enclave", "supervisor", "server"}
    assert {who: most // MEBIBYTE for who, most in peaks.items() if most > MOST} == {}
