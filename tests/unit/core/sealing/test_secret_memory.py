"""After wiping, a program that shares the enclave's process finds none of its keys in memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from sealing_cases import COMPUTATION, FIRST_DATA_KEY, NOW, make_arguments

from sealroom.core.sealing.container_streams import seal_bytes
from sealroom.core.sealing.context import Context
from sealroom.core.sealing.delivery_sealing import seal_delivery
from sealroom.core.sealing.header import HEADER_SIZE, Header, unlock
from sealroom.core.sealing.keys import DataKey, PreSharedKey
from sealroom.core.sealing.output_key import derive_output_key
from sealroom.core.wire.enclave import SimulatedEnclave
from sealroom.core.wire.participants import Role
from sealroom.core.wire.terms import Tee

PROGRAM = Path(__file__).with_name("enclave_in_miniature.py")
STEP = bytes((octet + 1) % 256 for octet in range(256))

pytestmark = pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs Linux's /proc")


def _scan_after_a_run(*, wipe: bool) -> dict[str, int]:
    with subprocess.Popen(
        [sys.executable, PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        keys = json.loads(child.stdout.readline())
        task = _task(bytes.fromhex(keys["identity"]), bytes.fromhex(keys["box"]))
        answer, _ = child.communicate(json.dumps(task | {"wipe": wipe}) + "\n", timeout=60)
    assert child.returncode == 0
    return json.loads(answer)


def _task(identity_pk: bytes, box_pk: bytes) -> dict[str, object]:
    preshared_key, data_key = PreSharedKey.generate(), DataKey.generate()
    enclave = SimulatedEnclave(
        arguments=make_arguments(tee=Tee.SIMULATED),
        mrenclave=b"\x0e" * 32,
        identity_pk=identity_pk,
        box_pk=box_pk,
        verified_at=NOW,
        policy_name="test",
        tcb_status="UpToDate",
        advisories=(),
        bundle_sha256=bytes(32),
    )
    delivery = seal_delivery(
        to=enclave,
        role=Role.DATA_PROVIDER,
        signing_key=FIRST_DATA_KEY,
        commitment=b"\x0a" * 32,
        preshared_key=preshared_key,
        data_key=data_key,
        now=NOW,
        insecure_accept_simulated=COMPUTATION,
    )
    context = Context.input(computation=COMPUTATION, owner_pk=FIRST_DATA_KEY.public_key, name="table.csv")
    header = Header.from_bytes(seal_bytes(b"", key=data_key, context=context)[:HEADER_SIZE])
    needles = {
        "preshared": preshared_key,
        "data": data_key,
        "subkey": unlock(header, key=data_key, context=context),
        "output": derive_output_key(
            data_key, box_pk=box_pk, computation=COMPUTATION, consumer_pk=FIRST_DATA_KEY.public_key
        ),
    }
    return {
        "delivery": delivery.hex(),
        "header": header.to_bytes().hex(),
        "computation": str(COMPUTATION),
        "needles": {name: key.reveal().translate(STEP).hex() for name, key in needles.items()},
    }


def test_wiped_keys_are_nowhere_in_the_process() -> None:
    found = _scan_after_a_run(wipe=True)
    assert found == dict.fromkeys(found, 0)


def test_the_scan_finds_each_key_that_was_not_wiped() -> None:
    found = _scan_after_a_run(wipe=False)
    assert all(count >= 1 for count in found.values())
    assert found.keys() == {"preshared", "data", "subkey", "output", "box", "identity"}
