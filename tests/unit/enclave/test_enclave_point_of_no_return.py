"""The moments around the opening, with a host that acts exactly then: the session's steps in this process."""

from pathlib import Path

import pytest
from enclave_world import MRENCLAVE, World
from legacy_world import LegacyWorld

from sealroom.core.sealing.context import Context
from sealroom.core.sealing.enclave_keys import IdentityKey
from sealroom.core.sealing.header import Header, Subkey, unlock
from sealroom.core.sealing.keys import DataKey
from sealroom.core.wire import spool as names
from sealroom.core.wire.delivery import RefusalReason
from sealroom.core.wire.spool import PublicKeys
from sealroom.enclave import sealed_files, session
from sealroom.enclave.admission import Self
from sealroom.enclave.form import form_of
from sealroom.enclave.host_writer import HostWriter
from sealroom.enclave.messages import HostFolder


class ActingHost(HostFolder):
    """A spool whose host does something just before the enclave reads or creates `name`."""

    def __init__(self, world: World, name: str, content: dict[str, bytes]) -> None:
        super().__init__(world.spool)
        self._world, self._name, self._content = world, name, content

    def _act(self, name: str) -> None:
        if name == self._name:
            for place, content in self._content.items():
                self._world.put(place, content)

    def read(self, name: str, *, max_bytes: int) -> bytes | None:
        self._act(name)
        return super().read(name, max_bytes=max_bytes)


class FullDisk(HostFolder):
    """A spool on a disk that is full when the opening is written."""

    def write(self, name: str, content: bytes) -> None:
        if name == names.OPENING:
            raise OSError(28, "no space left on device")
        super().write(name, content)


class WatchedSubkeys(ActingHost):
    """A spool that looks, when the refusal is written, which subkeys of checked files are still there."""

    def __init__(
        self, world: World, monkeypatch: pytest.MonkeyPatch, name: str, content: dict[str, bytes]
    ) -> None:
        super().__init__(world, name, content)
        self.derived: list[Subkey] = []
        self.wiped_at_refusal: list[bool] = []
        monkeypatch.setattr(sealed_files, "unlock", self._unlock)

    def _unlock(self, header: Header, *, key: DataKey, context: Context) -> Subkey:
        self.derived.append(unlock(header, key=key, context=context))
        return self.derived[-1]

    def write(self, name: str, content: bytes) -> None:
        if name == names.REFUSAL:
            self.wiped_at_refusal = [subkey.wiped for subkey in self.derived]
        super().write(name, content)


def waiting(world: World, spool: HostFolder) -> session._Enclave:
    """Return an enclave whose deliveries are all in the inbox."""
    world.prepare()
    form, identity_key = form_of(world.arguments), IdentityKey.generate()
    box_key = form.make_box_key(identity_key)
    public = PublicKeys(identity_pk=identity_key.public_key, box_pk=box_key.public_key)
    world.put("public", public.to_bytes())
    world.deliver_all()
    own = Self(
        arguments=world.arguments,
        mrenclave=MRENCLAVE,
        identity_pk=public.identity_pk,
        box_pk=public.box_pk,
    )
    return session._Enclave(
        base=world.base,
        writer=HostWriter(),
        spool=spool,
        own=own,
        form=form,
        identity_key=identity_key,
        box_key=box_key,
    )


def assert_wiped(enclave: session._Enclave) -> None:
    assert enclave.identity_key.wiped
    assert enclave.box_key.wiped


def test_an_opened_enclave_has_wiped_its_keys(world: World) -> None:
    enclave = waiting(world, HostFolder(world.base / "spool"))
    assert session._admit(enclave) is not None
    assert_wiped(enclave)
    assert world.opening().mrenclave == MRENCLAVE


def test_an_enclave_of_the_older_form_has_wiped_its_keys_and_kept_the_consumers(tmp_path: Path) -> None:
    world = LegacyWorld(tmp_path)
    world.add_input(0, "a.enc", b"whole")
    enclave = waiting(world, HostFolder(world.spool))
    ready = session._admit(enclave)
    assert ready is not None
    assert_wiped(enclave)
    (consumer,) = ready.opened.consumers
    assert consumer.key.reveal() == world.consumers[0].data_key_bytes


# Reading the code list is the last thing before the opening when all code is clear.
@pytest.mark.parametrize("moment", [names.CODE_LIST, "inputs/0/list"])
def test_an_end_message_in_the_last_moment_is_a_refusal(world: World, moment: str) -> None:
    enclave = waiting(world, ActingHost(world, moment, {"end": b"expired"}))
    assert session._admit(enclave) is None
    assert_wiped(enclave)
    assert world.refusal().reason is RefusalReason.EXPIRED
    assert not (world.spool / "opening").exists()


def test_an_end_message_is_heard_while_a_file_is_hashed(world: World) -> None:
    world.add_input(0, "long", bytes(3 << 20))
    world.providers[0].files.append(("never sealed", b"x" * 200))
    enclave = waiting(world, ActingHost(world, "inputs/0/list", {"end": b"cancelled"}))
    assert session._admit(enclave) is None
    # The second file is no container: hashing to the end would have found that first.
    assert world.refusal().reason is RefusalReason.CANCELLED


def test_a_full_disk_at_the_opening_signs_nothing_else_and_leaves_no_key(world: World) -> None:
    enclave = waiting(world, FullDisk(world.base / "spool"))
    with pytest.raises(OSError, match="no space"):
        session._admit(enclave)
    assert_wiped(enclave)
    assert not (world.spool / "refusal").exists()


@pytest.mark.parametrize(
    ("moment", "content", "reason"),
    [
        (names.CODE_SIGNATURE, {names.CODE_SIGNATURE: bytes(64)}, RefusalReason.CODE_SIGNATURE),
        (names.CODE_LIST, {"end": b"cancelled"}, RefusalReason.CANCELLED),
        ("inputs/1/list", {"inputs/1/list": b"{}"}, RefusalReason.INPUTS_DIFFER),
    ],
)
def test_subkeys_of_files_that_were_checked_are_wiped_before_a_refusal_is_signed(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
    content: dict[str, bytes],
    reason: RefusalReason,
) -> None:
    world.add_input(0, "a", b"honest")
    world.code["model.py"] = "x = 1\n"
    spool = WatchedSubkeys(world, monkeypatch, moment, content)
    assert session._admit(waiting(world, spool)) is None
    assert world.refusal().reason is reason
    assert spool.wiped_at_refusal
    assert all(spool.wiped_at_refusal)


def test_subkeys_stay_for_a_run_that_was_opened(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.add_input(0, "a", b"honest")
    spool = WatchedSubkeys(world, monkeypatch, "nothing", {})
    assert session._admit(waiting(world, spool)) is not None
    assert not any(subkey.wiped for subkey in spool.derived)


def test_a_list_exchanged_between_two_reads_cannot_be(world: World) -> None:
    """Every message is read once: what the host puts there later is for nobody."""
    world.add_input(0, "a", b"honest")
    enclave = waiting(world, ActingHost(world, names.CODE_SIGNATURE, {"inputs/0/list": b"{}"}))
    ready = session._admit(enclave)
    assert ready is not None
    assert [found.record.name for found in ready.inputs] == ["a"]


def test_refuses_requirements_other_than_the_measured_ones(world: World) -> None:
    world.code["requirements.txt"] = "# nothing\n"
    world.packages_digest = bytes(32)
    enclave = waiting(world, HostFolder(world.base / "spool"))
    assert session._admit(enclave) is None
    assert world.refusal().reason is RefusalReason.CODE_UNREADABLE


def test_refuses_a_signed_container_that_does_not_open_to_its_end(world: World) -> None:
    original = world.seal_code

    def torn(path: str, content: str | bytes) -> bytes:
        raw = bytearray(original(path, content))
        if path == "model.py":
            raw[76 + 16] ^= 1
        return bytes(raw)

    world.seal_code = torn  # type: ignore[method-assign]
    world.code["model.py"] = "x = 1\n" * 2000
    enclave = waiting(world, HostFolder(world.base / "spool"))
    assert session._admit(enclave) is None
    assert world.refusal().reason is RefusalReason.CODE_UNREADABLE
