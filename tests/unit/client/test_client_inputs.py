import os
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from sealroom.client import inputs
from sealroom.client.json_values import JsonObject
from sealroom.client.roles import CodeProvider, ComputationDraft, ComputationOwner, DataProvider
from sealroom.client.session import Client
from sealroom.client.transport import FileBody, Request
from sealroom.core.errors import MalformedError, TransportError, VerificationError
from sealroom.core.sealing.commitment import input_commitment
from sealroom.core.sealing.container_streams import open_bytes
from sealroom.core.sealing.context import Context
from sealroom.core.wire.input_list import InputList
from sealroom.core.wire.participants import Role
from sealroom.core.wire.terms import Tee

# Against the real server.
pytestmark = pytest.mark.e2e

MakeClient = Callable[[str], Client]


@pytest.fixture
def provider(make_client: MakeClient) -> DataProvider:
    """A Data Provider who is also everybody else."""
    client = make_client("dana")
    me = client.account.email
    draft = ComputationDraft(
        name="inputs", code_provider=me, data_providers=(me,), result_consumers=(me,), tee=Tee.SIMULATED
    )
    owner = ComputationOwner.create(client, draft)
    provider = DataProvider(client, owner.computation)
    provider.register()
    return provider


def server_uploads(provider: DataProvider) -> dict[str, tuple[int, bool]]:
    data = provider.client.transport.get_json(f"/computations/{provider.computation}/data")
    return {
        upload.text("name"): (upload.number("received"), upload.flag("completed"))
        for upload in data.items("providers")[0].items("uploads")
    }


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_what_is_uploaded_is_sealed_and_opens_at_home(provider: DataProvider, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    sent = provider.send(
        write(tmp_path / "table.csv", b"secret,1\n" * 50_000), progress=lambda *now: told.append(now)
    )
    assert server_uploads(provider) == {"table.csv": (sent.size, True)}
    staged = provider.folder.sealed_input("table.csv").read_bytes()
    assert b"secret" not in staged
    context = Context.input(
        computation=provider.computation, owner_pk=provider.client.identity.public_key, name="table.csv"
    )
    key = provider.folder.data_key(Role.DATA_PROVIDER)
    assert open_bytes(staged, key=key, context=context) == b"secret,1\n" * 50_000
    assert {label for label, _, _ in told} == {"reading table.csv", "sealing table.csv", "table.csv"}
    assert told[-1] == ("table.csv", sent.size, sent.size)


def test_an_empty_file_is_a_file(provider: DataProvider, tmp_path: Path) -> None:
    sent = provider.send(write(tmp_path / "empty", b""))
    assert sent.size > 0
    assert server_uploads(provider) == {"empty": (sent.size, True)}


def test_done_fixes_the_list_in_the_order_of_sending(provider: DataProvider, tmp_path: Path) -> None:
    files = [provider.send(write(tmp_path / name, name.encode())) for name in ("b", "a")]
    commitment = provider.done()
    assert commitment == input_commitment(
        InputList(files=tuple(files)),
        computation=provider.computation,
        sender_pk=provider.client.identity.public_key,
    )
    assert provider.commitment == commitment
    slot = provider.status().slot(Role.DATA_PROVIDER, provider.client.account.email)
    assert slot is not None
    assert slot.sent_at is not None
    assert provider.done() == commitment
    with pytest.raises(VerificationError, match="final"):
        provider.send(write(tmp_path / "late", b"x"))
    with pytest.raises(VerificationError, match="final"):
        provider.remove("a")
    assert not list((provider.folder.path / "sealed").iterdir())


def test_killed_before_the_server_heard_of_it_done_is_said_again(
    provider: DataProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "file", b"x")
    sent = provider.send(path)
    transport = provider.client.transport
    post_json = transport.post_json

    def killed(path: str, body: dict[str, object]) -> JsonObject:
        if path.endswith("/done"):
            raise KeyboardInterrupt
        return post_json(path, body)

    with monkeypatch.context() as patch:
        patch.setattr(transport, "post_json", killed)
        with pytest.raises(KeyboardInterrupt):
            provider.done()
    commitment = provider.commitment
    assert commitment is not None
    assert provider.send(path) == sent
    with pytest.raises(VerificationError, match="final"):
        provider.send(write(path, b"another"))
    assert provider.done() == commitment


@pytest.mark.slow
def test_a_gibibyte_is_sealed_and_uploaded_in_constant_memory(provider: DataProvider, tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(1 << 30)
    tracemalloc.start()
    try:
        sent = provider.send(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert server_uploads(provider) == {"large": (sent.size, True)}
    # The server is in this process, and its memory is in the figure.
    assert peak < 64 * 1024 * 1024


def test_no_files_at_all_is_a_list(provider: DataProvider) -> None:
    assert provider.done() != bytes(32)


def test_an_interrupted_upload_goes_on(
    provider: DataProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "big", bytes(3_000_000))
    transport = provider.client.transport
    send = transport.send
    offsets: list[int] = []

    def interrupted(request: Request, **more: int) -> bytes:
        if request.method != "PUT":
            return send(request, **more)
        assert isinstance(request.content, FileBody)
        offsets.append(request.content.offset)
        if len(offsets) == 1:
            part = request.content.path.read_bytes()[:1_500_000]
            send(Request(method="PUT", path=request.path, params=request.params, content=part))
            raise KeyboardInterrupt
        return send(request, **more)

    monkeypatch.setattr(transport, "send", interrupted)
    with pytest.raises(KeyboardInterrupt):
        provider.send(path)
    staged = provider.folder.sealed_input("big").read_bytes()
    sent = provider.send(path)
    assert offsets == [0, 1_500_000]
    assert server_uploads(provider) == {"big": (sent.size, True)}
    assert provider.folder.sealed_input("big").read_bytes() == staged, "sealed once"


def test_done_finishes_what_was_interrupted(
    provider: DataProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport = provider.client.transport
    with monkeypatch.context() as patch:
        patch.setattr(transport, "send", _failing_put(transport.send))
        with pytest.raises(KeyboardInterrupt):
            provider.send(write(tmp_path / "file", b"x" * 1000))
    provider.done()
    assert [completed for _, completed in server_uploads(provider).values()] == [True]


def _failing_put(send: Callable[..., bytes]) -> Callable[..., bytes]:
    def failing(request: Request, **more: int) -> bytes:
        if request.method == "PUT":
            raise KeyboardInterrupt
        return send(request, **more)

    return failing


def test_a_server_that_takes_nothing_ends_in_an_error(
    provider: DataProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport = provider.client.transport
    send = transport.send
    monkeypatch.setattr(
        transport,
        "send",
        lambda request, **more: b"{}" if request.method == "PUT" else send(request, **more),
    )
    with pytest.raises(TransportError, match="takes no more"):
        provider.send(write(tmp_path / "file", b"x"))


def test_changed_content_under_the_same_name_takes_its_place(provider: DataProvider, tmp_path: Path) -> None:
    path = write(tmp_path / "file", b"first")
    first = provider.send(path)
    again = provider.send(path)
    assert again == first
    second = provider.send(write(path, b"second"))
    assert second != first
    assert provider.inputs.files == (second,)
    provider.done()


def test_a_file_can_be_taken_back(provider: DataProvider, tmp_path: Path) -> None:
    provider.send(write(tmp_path / "a", b"a"))
    kept = provider.send(write(tmp_path / "b", b"b"), name="other name.csv")
    provider.remove("a")
    assert provider.inputs.files == (kept,)
    assert list(server_uploads(provider)) == ["other name.csv"]
    provider.done()


@pytest.mark.parametrize("name", ["..", "a/b", "", "a\nb", "x" * 256])
def test_a_name_outside_the_format_is_refused(provider: DataProvider, tmp_path: Path, name: str) -> None:
    with pytest.raises(MalformedError):
        provider.send(write(tmp_path / "file", b"x"), name=name)
    assert provider.inputs.files == ()


def test_a_file_that_is_not_there_is_refused(provider: DataProvider, tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(MalformedError, match="not a file"):
            provider.send(path)


def test_memory_does_not_grow_with_the_file(provider: DataProvider, tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(40 * 1024 * 1024)
    # The server lives in this process too; what is measured is sealing alone.
    sender = provider._sender()
    tracemalloc.start()
    try:
        sender._sealed(path, "large", None)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6 * 1024 * 1024


def test_a_file_that_changes_while_it_is_sealed_is_not_sent(provider: DataProvider, tmp_path: Path) -> None:
    path = write(tmp_path / "file", b"x" * 600_000)

    def change(label: str, done: int, total: int) -> None:
        if label == "sealing file":
            with path.open("r+b") as file:
                file.seek(599_999)
                file.write(b"y")

    with pytest.raises(VerificationError, match="changed while"):
        provider.send(path, progress=change)
    assert provider.inputs.files == ()
    assert server_uploads(provider) == {}


def test_a_change_that_the_clock_does_not_tell_is_found_by_reading_again(
    provider: DataProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "file", b"x" * 600_000)
    monkeypatch.setattr(inputs._Version, "still_of", lambda version, source: True)

    def change(label: str, done: int, total: int) -> None:
        if label == "sealing file":
            write(path, b"y" * 600_000)

    with pytest.raises(VerificationError, match="changed while"):
        provider.send(path, progress=change)
    assert not [path for path in (provider.folder.path / "sealed").iterdir() if path.suffix != ".json"]


def test_a_file_that_has_been_still_for_a_while_is_read_once(
    provider: DataProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "file", b"x")
    later = time.time_ns() + 3_000_000_000
    monkeypatch.setattr(inputs.time, "time_ns", lambda: later)
    told: list[str] = []
    provider.send(path, progress=lambda label, done, total: told.append(label))
    assert set(told) == {"sealing file", "file"}


@pytest.mark.parametrize("by", [-1, 1])
def test_a_file_that_shrinks_or_grows_while_it_is_sealed_is_not_sent(
    by: int, provider: DataProvider, tmp_path: Path
) -> None:
    path = write(tmp_path / "file", b"x" * 3_000_000)

    def change(label: str, done: int, total: int) -> None:
        if label == "sealing file":
            os.truncate(path, 3_000_000 + by)

    with pytest.raises(VerificationError, match=r"became|changed while"):
        provider.send(path, progress=change)
    assert server_uploads(provider) == {}


def test_an_upload_name_cannot_lead_elsewhere(
    provider: DataProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender = provider._sender()
    hostile = sender.transport.get_json(f"/computations/{provider.computation}")
    hostile._members.update({"upload": "../../accounts", "received": 0, "completed": False})
    monkeypatch.setattr(sender.transport, "post_json", lambda *_, **__: hostile)
    with pytest.raises(MalformedError, match="name"):
        provider.send(write(tmp_path / "file", b"x"))


def test_another_role_does_not_send_data(make_client: MakeClient, provider: DataProvider) -> None:
    stranger = make_client("stranger")
    stranger.accept_invitation(provider.folder.load())
    with pytest.raises(TransportError):
        DataProvider(stranger, provider.computation).register()


def test_sending_code_before_registering_names_the_reason(provider: DataProvider, tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    write(tmp_path / "code" / "run.py", b"pass\n")
    with pytest.raises(TransportError) as error:
        CodeProvider(provider.client, provider.computation).send(tmp_path / "code")
    assert error.value.code == "not_registered"
    assert isinstance(provider.computation, UUID)
