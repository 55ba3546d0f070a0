"""Secrets planted in a real computation, then looked for in everything the operator can read."""

import os
import secrets
import signal
import zlib

import pytest
from canary_search import Search, leaks, read_files
from platform_processes import wait_until
from platform_world import Scene, World

from sealroom.client import State
from sealroom.core.sealing.words import derive_preshared_key

# Copied from the operator's own machine before anybody joined, and measured file by file.
OPERATORS_OWN = ("runtimes",)
KINDS = ("code", "data", "result", "log")


def canary(name: str) -> bytes:
    """Text that nothing else contains, so that it can stand in a program and in a table."""
    return f"canary-{name}-{secrets.token_hex(12)}".encode()


def program(planted: dict[str, bytes]) -> dict[str, str]:
    """A program that holds a secret, prints one, and puts one into its result beside everybody's data."""
    return {
        "run.py": "from model import work\nwork()\n",
        "model.py": (
            "import os, time\n"
            "from sealroom.enclave import Enclave\n"
            f"WEIGHTS = {planted['code'].decode()!r}\n"
            "def work():\n"
            "    with Enclave() as enclave:\n"
            "        data = b''.join(file.read() for file in enclave.read())\n"
            f"        print({planted['log'].decode()!r})\n"
            f"        os.write(2, {planted['log']!r})\n"
            f"        enclave.write({planted['result']!r} + data, name='table')\n"
            "        time.sleep(2)\n"
        ),
    }


def keys_of(scene: Scene) -> dict[str, bytes]:
    """The words, and every key that belongs to a participant."""
    words = scene.owner.folder.load().invitation.words
    found = {f"words, joined by {mark!r}": mark.join(words).encode() for mark in ("-", " ", "")}
    shared = derive_preshared_key(words, computation=scene.uuid)
    found["preshared key"] = shared.reveal()
    for number, holder in enumerate(scene.holders):
        found[f"data key {number}"] = holder.folder.data_key(holder.role).reveal()
        seed = holder.client.identity.secret
        found[f"identity seed {number}"] = seed.reveal()[:32]
    return found


def everything(scene: Scene) -> dict[str, bytes]:
    """What the operator has: the server's folder with database, blobs and spool, its output, and the line."""
    platform = scene.world.platform
    files = read_files(platform.root, but=OPERATORS_OWN)
    return files | {f"line {number}": body for number, body in enumerate(platform.operator.bodies())}


def plant_leaks(scene: Scene, word: bytes) -> set[str]:
    """Put `word` where each kind of leak would put it; returns a part of each place's name."""
    platform = scene.world.platform
    hidden = zlib.compress(b"a" + word + b"b")
    platform.sql("UPDATE computations SET name = ?", f"x{word.hex()}x")
    (platform.server.data / "blobs" / "leak").write_bytes(hidden)
    (platform.root / "server.out").write_bytes(b"failed: " + word)
    spool = platform.server.data / "enclaves" / "launches" / "leak" / "spool"
    spool.mkdir(parents=True)
    (spool / "log").write_bytes(os.urandom(100) + hidden)
    scene.owner.client.transport.get_json(f"/server?x={word.hex()}")
    return {"sealroom.sqlite", "blobs/leak", "server.out", "spool/log", "line "}


@pytest.mark.e2e
def test_nothing_planted_can_be_read_by_the_operator(own_world: World) -> None:
    planted = {name: canary(name) for name in KINDS}
    scene = own_world.scene(data_providers=2)
    scene.prepare(program(planted), files={"table.csv": b"a,b\n1," + planted["data"] + b"\n"})
    for holder in scene.holders[:-1]:
        scene.deliver(holder)
    while_waiting = everything(scene)
    scene.deliver(scene.holders[-1])
    scene.wait_for(State.RUNNING)
    folder = scene.launch_folder
    # The server is held still, so that it does not clear away what the enclave leaves.
    os.kill(own_world.platform.server.pid, signal.SIGSTOP)
    try:
        wait_until((folder / "spool" / "closing").exists, "the run ended")
        at_the_end = everything(scene)
    finally:
        os.kill(own_world.platform.server.pid, signal.SIGCONT)
    scene.wait_for(State.SUCCEEDED)
    # Everybody fetches what is theirs over the same line; the plaintext is at home alone.
    (result,) = scene.readers[0].results()
    assert planted["result"] in result.path.read_bytes()
    assert planted["data"] in result.path.read_bytes()
    assert scene.data[0].logs().text == planted["log"] + b"\n" + planted["log"]
    afterwards = everything(scene)

    planted |= keys_of(scene)
    search = Search(planted)
    for moment in (while_waiting, at_the_end, afterwards):
        search.look_at_all(moment)
    assert search.found == []
    kinds = ("sealroom.sqlite", "blobs/", "spool/inputs/0/0", "spool/results/0/0", "spool/log", "line ")
    assert all(any(kind in place for place in at_the_end) for kind in kinds)

    marks = plant_leaks(scene, planted["data"])
    search = Search(planted)
    search.look_at_all(everything(scene))
    assert all(any(mark in place for place in search.places()) for mark in marks)
    assert {found.word for found in search.found} == {"data"}


@pytest.mark.parametrize("size", [9, 16, 31, 32, 33, 34])
def test_the_search_finds_a_leak_in_every_form(size: int) -> None:
    word = secrets.token_bytes(size)
    for form, content in leaks(word).items():
        search = Search({"planted": word})
        search.look("here", content)
        assert search.found, form
        search = Search({"another": secrets.token_bytes(size)})
        search.look("here", content)
        assert not search.found, form
