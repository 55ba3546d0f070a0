"""A program that does with its secrets what an enclave does, then looks for them in its own memory.

Started by test_secret_memory.py. It never holds a needle: each octet of what it looks for arrives, or is
read from its buffer, with one added, and memory is compared after the same change.
"""

import json
import os
import re
import sys
from pathlib import Path
from uuid import UUID

from sealroom.core.sealing.context import Context
from sealroom.core.sealing.delivery import open_delivery
from sealroom.core.sealing.enclave_keys import BoxKey, IdentityKey
from sealroom.core.sealing.header import Header, unlock
from sealroom.core.sealing.output_key import derive_output_key
from sealroom.core.sealing.receipt import sign_refusal
from sealroom.core.sealing.secret import SecretBuffer
from sealroom.core.wire.delivery import Delivery, RefusalReason, verify_delivery_signature
from sealroom.core.wire.receipt import Refusal

STEP = bytes((octet + 1) % 256 for octet in range(256))
CHUNK = 1 << 20
OVERLAP = 64


def shifted(secret: SecretBuffer, start: int, end: int) -> bytes:
    """Read a secret octet by octet, each with one added, so that no copy of it ever exists."""
    return bytes((secret.cdata[index] + 1) % 256 for index in range(start, end))


def writable_regions() -> list[tuple[int, int]]:
    with Path("/proc/self/maps").open() as maps:
        lines = re.findall(r"^([0-9a-f]+)-([0-9a-f]+) rw", maps.read(), re.MULTILINE)
    return [(int(start, 16), int(end, 16)) for start, end in lines]


def scan(needles: dict[str, bytes]) -> dict[str, int]:
    """Count the places in this process's memory that hold what `needles` stand for."""
    found = dict.fromkeys(needles, 0)
    memory = os.open("/proc/self/mem", os.O_RDONLY)
    for start, end in writable_regions():
        for offset in range(start, end, CHUNK):
            size = min(CHUNK + OVERLAP, end - offset)
            chunk = os.pread(memory, size, offset).translate(STEP)
            for name, needle in needles.items():
                found[name] += chunk.count(needle)
    os.close(memory)
    return found


def main() -> None:
    identity_key, box_key = IdentityKey.generate(), BoxKey.generate()
    needles = {
        # X25519 clamps the first and the last octet: what lies between is what would betray it.
        "box": shifted(box_key.secret, 1, 31),
        "identity": shifted(identity_key.secret, 0, 32),
    }
    print(
        json.dumps({"identity": identity_key.public_key.hex(), "box": box_key.public_key.hex()}), flush=True
    )
    task = json.loads(sys.stdin.readline())
    delivery = Delivery.from_bytes(bytes.fromhex(task["delivery"]))
    verify_delivery_signature(delivery)
    opened = open_delivery(delivery, box_key=box_key)
    computation, sender = UUID(task["computation"]), delivery.statement.sender_pk
    context = Context.input(computation=computation, owner_pk=sender, name="table.csv")
    subkey = unlock(Header.from_bytes(bytes.fromhex(task["header"])), key=opened.data_key, context=context)
    output_key = derive_output_key(
        opened.data_key, box_pk=box_key.public_key, computation=computation, consumer_pk=sender
    )
    refusal = Refusal(
        agreement=delivery.statement.agreement,
        mrenclave=delivery.statement.mrenclave,
        identity_pk=identity_key.public_key,
        reason=RefusalReason.WORDS_DIFFER,
    )
    if task["wipe"]:
        sign_refusal(refusal, identity_key=identity_key)
        opened.wipe()
        box_key.wipe()
        subkey.wipe()
        output_key.wipe()
    needles |= {name: bytes.fromhex(needle) for name, needle in task["needles"].items()}
    print(json.dumps(scan(needles)), flush=True)


main()
