"""The program reads all of its process's memory: no key that opens more than this run is in it."""

import pytest
from enclave_world import World, with_limits
from nacl._sodium import ffi, lib

from sealroom.core.sealing.output_key import derive_output_key
from sealroom.core.sealing.secret import SecretBuffer

# A process of its own in every test.
pytestmark = pytest.mark.e2e

DUMP = """
import io
from sealroom.enclave import Enclave

held = {held!r}
with Enclave() as enclave:
    list(enclave.read())
    dump = io.BytesIO()
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", buffering=0) as memory:
        for line in maps.readlines():
            place, rights = line.split()[:2]
            start, end = (int(part, 16) for part in place.split("-"))
            if not rights.startswith("rw") or "[v" in line:
                continue
            try:
                memory.seek(start)
                dump.write(memory.read(end - start))
            except OSError:
                pass
    enclave.write(dump, name="memory")
"""
HELD = b"a value that the program holds, 32"[:32]


@pytest.fixture
def memory(world: World) -> bytes:
    with_limits(world, max_output_bytes=1 << 29)
    world.code = {"run.py": DUMP.format(held=HELD), "model.py": "x = 1\n"}
    for index in range(2):
        world.add_input(index, "a", b"data")
    assert world.run() == 0, world.log(world.consumers[0])
    return world.result(0, 0, "memory")


def test_the_program_finds_no_key_of_anybody_s(world: World, memory: bytes) -> None:
    # The search finds what is there: a value of the program's, and the key of its own results.
    assert HELD in memory
    assert reveal_output_key(world) in memory
    for party in world.parties:
        assert party.preshared_bytes not in memory
        assert party.data_key_bytes not in memory
        assert party.seed not in memory


def test_the_program_finds_neither_identity_key_nor_box_key(world: World, memory: bytes) -> None:
    run_key, public = world.opening().run_key, world.public
    # libsodium keeps an Ed25519 seed in front of its public key.
    assert has_signing_key(memory, run_key)
    assert not has_signing_key(memory, public.identity_pk)
    planted = SecretBuffer.random(32)
    assert has_box_key(planted.reveal() + memory[:4096], box_public_key(planted.reveal()))
    assert not has_box_key(memory, public.box_pk)


def reveal_output_key(world: World) -> bytes:
    party = world.consumers[0]
    return derive_output_key(
        party.data_key,
        box_pk=world.public.box_pk,
        computation=world.computation,
        consumer_pk=party.public_key,
    ).reveal()


def has_signing_key(memory: bytes, public_key: bytes) -> bool:
    at = memory.find(public_key)
    while at >= 0:
        seed = memory[max(at - 32, 0) : at]
        if len(seed) == 32 and signing_public_key(seed) == public_key:
            return True
        at = memory.find(public_key, at + 1)
    return False


def has_box_key(memory: bytes, public_key: bytes) -> bool:
    """Try every aligned place that looks random: its first octets repeat seldom."""
    for at in range(0, len(memory) - 31, 16):
        candidate = memory[at : at + 32]
        if len(set(candidate)) > 24 and box_public_key(candidate) == public_key:
            return True
    return False


def signing_public_key(seed: bytes) -> bytes:
    public, secret = ffi.new("unsigned char[]", 32), ffi.new("unsigned char[]", 64)
    lib.crypto_sign_seed_keypair(public, secret, seed)
    return bytes(ffi.buffer(public))


def box_public_key(secret: bytes) -> bytes:
    public = ffi.new("unsigned char[]", 32)
    lib.crypto_scalarmult_base(public, secret)
    return bytes(ffi.buffer(public))
