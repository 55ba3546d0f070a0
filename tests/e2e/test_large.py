"""A file of one GiB through the whole of it: the memory of every process stays where it was."""

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from platform_processes import wait_until
from platform_world import LIMITS, Scene, World

from sealroom.client import State
from sealroom.core.wire.terms import Limits

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

MEBIBYTE = 1 << 20
SIZE = 1024 * MEBIBYTE
# What Python and the libraries take, and some chunks. A process that held a tenth of the file would be over.
MOST = 200 * MEBIBYTE

# Passes every input on as a result, in constant memory.
COPY = {
    "run.py": (
        "from sealroom.enclave import Enclave\n"
        "with Enclave() as enclave:\n"
        "    for file in enclave.inputs:\n"
        "        with file.open() as content:\n"
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
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    return int(done.stdout) * 1024


def write_large(path: Path) -> bytes:
    """Write SIZE bytes that do not repeat, and return their digest."""
    digest, block = hashlib.sha256(), bytearray(os.urandom(MEBIBYTE))
    with path.open("wb") as file:
        for number in range(SIZE // MEBIBYTE):
            block[:8] = number.to_bytes(8, "big")
            digest.update(block)
            file.write(block)
    return digest.digest()


def test_a_file_of_one_gib_costs_no_process_more_memory(own_world: World) -> None:
    own_world.platform.direct = True
    limits = Limits(
        max_output_bytes=SIZE + MEBIBYTE,
        max_log_bytes=LIMITS.max_log_bytes,
        max_seconds=600,
        max_memory=LIMITS.max_memory,
    )
    scene = own_world.scene(limits=limits)
    scene.register()
    large = own_world.root / "large.bin"
    digest = write_large(large)
    peaks = {"client, sending": peak_of_client(scene, scene.data[0].client.home.root, "send", large)}
    large.unlink()
    scene.send_code(COPY)
    scene.wait_for(State.AWAITING_KEYS)
    enclave = scene.processes.enclave
    scene.deliver_all()

    def ended() -> bool:
        if (
            Path(f"/proc/{enclave}/status").exists()
            and "VmHWM" in Path(f"/proc/{enclave}/status").read_text()
        ):
            peaks["enclave"] = peak(enclave)
        return scene.owner.status().state.is_over

    wait_until(ended, "the run ended", 600)
    scene.wait_for(State.SUCCEEDED)
    results = own_world.root / "results"
    peaks["client, fetching"] = peak_of_client(scene, scene.readers[0].client.home.root, "fetch", results)
    peaks["server"] = peak(own_world.platform.server.pid)
    with (results / "large.bin").open("rb") as file:
        assert hashlib.file_digest(file, "sha256").digest() == digest
    assert peaks.keys() == {"client, sending", "client, fetching", "enclave", "server"}
    assert {who: size // MEBIBYTE for who, size in peaks.items() if size > MOST} == {}
