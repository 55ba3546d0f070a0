"""Admission, files and results in the published client's form, in this process."""

import hashlib
import io
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from enclave_world import MRENCLAVE, Party
from legacy_world import LegacyWorld

from sealroom.core.compat.whole_file import open_whole_file, seal_whole_file
from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.sealing.enclave_keys import BoxKey, IdentityKey
from sealroom.core.sealing.keys import DataKey, SigningKey
from sealroom.core.wire.delivery import DeliveryRefusal, RefusalReason
from sealroom.core.wire.enclave import SimulatedEnclave
from sealroom.core.wire.participants import Role
from sealroom.enclave.admission import Self
from sealroom.enclave.legacy.slots import LegacySlots
from sealroom.enclave.legacy.whole_files import check_whole_file
from sealroom.enclave.legacy.whole_results import WholeResult
from sealroom.enclave.messages import HostFolder
from sealroom.enclave.refusal import ComputationRefusedError, DeliveryRefusedError
from sealroom.enclave.sealed_files import Checking

KEY = b"\x2a" * 32


class Door:
    """The slots of one legacy enclave, and the people in front of them."""

    def __init__(self, folder: Path) -> None:
        self.world = LegacyWorld(folder)
        self.world.prepare()
        identity_key = IdentityKey.generate()
        box_key = BoxKey.from_signing_key(identity_key)
        self.enclave = SimulatedEnclave(
            arguments=self.world.arguments,
            mrenclave=MRENCLAVE,
            identity_pk=identity_key.public_key,
            box_pk=box_key.public_key,
            verified_at=datetime.now(UTC),
            policy_name="test",
            tcb_status="UpToDate",
            advisories=(),
            bundle_sha256=bytes(32),
        )
        own = Self(
            arguments=self.world.arguments,
            mrenclave=MRENCLAVE,
            identity_pk=identity_key.public_key,
            box_pk=box_key.public_key,
        )
        self.slots = LegacySlots(own, box_key=box_key)

    def delivery(self, party: Party) -> bytes:
        return self.world.delivery(party, to=self.enclave)

    def answer(self, raw: bytes) -> DeliveryRefusal | RefusalReason | None:
        try:
            self.slots.admit(raw)
        except (DeliveryRefusedError, ComputationRefusedError) as error:
            return error.reason
        return None


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


def signed_by(party: Party, raw: bytes, door: Door) -> bytes:
    """Put a valid signature of `party` on the box of another message."""
    signature = SigningKey.from_seed(party.seed).sign(door.world.computation.bytes + raw[98:])
    return bytes((0, party.role.code)) + party.public_key + signature + raw[98:]


def test_everybody_is_admitted_once(door: Door) -> None:
    for party in door.world.parties:
        raw = door.delivery(party)
        assert door.answer(raw) is None
        assert door.answer(raw) is None
        assert door.answer(door.delivery(party)) is DeliveryRefusal.SLOT_FILLED
    assert door.slots.full
    door.slots.check_keys()


@pytest.mark.parametrize("change", [lambda raw: raw[:-1], lambda raw: b"\1" + raw[1:], lambda raw: b""])
def test_another_form_is_malformed(door: Door, change) -> None:
    assert door.answer(change(door.delivery(door.world.providers[0]))) is DeliveryRefusal.MALFORMED


def test_somebody_who_is_not_listed_in_that_role_is_refused(door: Door) -> None:
    raw = bytearray(door.delivery(door.world.providers[0]))
    raw[1] = Role.RESULT_CONSUMER.code
    assert door.answer(bytes(raw)) is DeliveryRefusal.NOT_LISTED


def test_a_signature_of_another_computation_is_refused(door: Door) -> None:
    party = door.world.providers[0]
    raw = door.delivery(party)
    other = SigningKey.from_seed(party.seed).sign(bytes(16) + raw[98:])
    assert door.answer(raw[:34] + other + raw[98:]) is DeliveryRefusal.SIGNATURE
    assert door.answer(raw) is None


def test_a_box_for_another_enclave_ends_the_computation(door: Door, tmp_path: Path) -> None:
    party = door.world.providers[0]
    elsewhere = Door(tmp_path / "other")
    raw = signed_by(party, elsewhere.delivery(elsewhere.world.providers[0]), door)
    assert door.answer(raw) is RefusalReason.BOX_UNREADABLE


@pytest.mark.parametrize("how", ["equal keys", "equal boxes"])
def test_equal_keys_or_boxes_in_two_slots_end_the_computation(door: Door, how: str) -> None:
    first, second = door.world.providers
    raw = door.delivery(first)
    if how == "equal keys":
        second.data_key_bytes = first.data_key_bytes
        copied = door.delivery(second)
    else:
        copied = signed_by(second, raw, door)
    assert door.answer(raw) is None
    assert door.answer(copied) is None
    for party in (door.world.code_provider, *door.world.consumers):
        assert door.answer(door.delivery(party)) is None
    with pytest.raises(ComputationRefusedError) as caught:
        door.slots.check_keys()
    assert caught.value.reason is RefusalReason.DATA_KEYS_EQUAL


def test_other_words_end_the_computation(door: Door) -> None:
    door.world.providers[1].preshared_bytes = bytes(32)
    for party in door.world.parties:
        assert door.answer(door.delivery(party)) is None
    with pytest.raises(ComputationRefusedError) as caught:
        door.slots.check_keys()
    assert caught.value.reason is RefusalReason.WORDS_DIFFER


# Whole files.


def check(folder: Path, *, size: int | None = None, key: bytes = KEY, digest: bytes | None = None):
    raw = (folder / "file").read_bytes() if size is None else b""
    return check_whole_file(
        HostFolder(folder),
        "file",
        size=len(raw) if size is None else size,
        sha256=digest or hashlib.sha256(raw).digest(),
        key=DataKey.from_bytes(key),
        checking=Checking(lambda: None),
    )


@pytest.mark.parametrize("content", [b"", b"x", os.urandom(3_000_000)])
def test_a_whole_file_is_opened_when_it_is_checked(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(seal_whole_file(content, key=DataKey.from_bytes(KEY)))
    file = check(tmp_path)
    # What the host does to it later changes nothing.
    (tmp_path / "file").unlink()
    assert file.plain_size == len(content)
    with io.BufferedReader(file.open()) as reader:
        assert reader.read() == content
        assert reader.seek(-1, io.SEEK_END) == len(content) - 1 if content else reader.seek(0) == 0
        assert reader.read() == content[-1:]
        assert reader.seek(10) == 10 == reader.tell()
        for arguments in ((-1,), (0, 9)):
            with pytest.raises((ValueError, OSError)):
                reader.raw.seek(*arguments)
    assert repr(content[:20]) not in repr(file)


def test_a_plaintext_cannot_be_changed_through_its_reader(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(seal_whole_file(b"content", key=DataKey.from_bytes(KEY)))
    assert check(tmp_path).plaintext.readonly


def test_a_whole_file_of_another_key_digest_or_size_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(seal_whole_file(b"content", key=DataKey.from_bytes(KEY)))
    with pytest.raises(VerificationError, match="another key"):
        check(tmp_path, key=bytes(32))
    with pytest.raises(VerificationError, match="listed digest"):
        check(tmp_path, digest=bytes(32))
    with pytest.raises(MalformedError, match="expected 40 octets"):
        check(tmp_path, size=40)


def test_a_file_that_memory_has_no_room_for_is_refused_and_no_crash(tmp_path: Path) -> None:
    size = 1 << 42
    with (tmp_path / "file").open("wb") as sparse:
        sparse.truncate(size)
    with pytest.raises(MalformedError, match="do not fit into memory"):
        check(tmp_path, size=size)


# Results.


def test_a_result_is_on_no_disk_before_its_release(tmp_path: Path) -> None:
    result = WholeResult(HostFolder(tmp_path), "result", key=DataKey.from_bytes(KEY))
    result.begin()
    result.write(memoryview(b"the "))
    result.write(memoryview(b"mean"))
    result.finish()
    assert list(tmp_path.iterdir()) == []
    result.release("results/0/0")
    raw = (tmp_path / "results/0/0").read_bytes()
    assert hashlib.sha256(raw).digest() == result.sha256
    assert bytes(open_whole_file(raw, key=DataKey.from_bytes(KEY))) == b"the mean"
    assert result.plain_size == 8


@pytest.mark.parametrize("end", ["finish", "discard"])
def test_nothing_is_added_to_a_result_that_ended(tmp_path: Path, end: str) -> None:
    result = WholeResult(HostFolder(tmp_path), "result", key=DataKey.from_bytes(KEY))
    getattr(result, end)()
    for call in (lambda: result.write(memoryview(b"more")), result.finish):
        with pytest.raises(RuntimeError, match="already"):
            call()
    result.discard()
    assert (result.finished, result.discarded) == (False, True)
