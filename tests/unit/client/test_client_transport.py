import gzip
import io
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from scripted_server import Say, ScriptedServer, scripted_server

from sealroom.client import transport as transport_module
from sealroom.client.tls import UntrustedServerError
from sealroom.client.transport import FileBody, Request, ServerAddress, Transport, TransportOptions
from sealroom.core.errors import MalformedError, TransportError

OPTIONS = TransportOptions(timeout_seconds=5, attempts=3)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_module, "_FIRST_PAUSE_SECONDS", 0.001)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ScriptedServer]:
    with scripted_server(tmp_path) as running:
        yield running


@pytest.fixture
def transport(server: ScriptedServer) -> Iterator[Transport]:
    with Transport(server.address, OPTIONS) as opened:
        yield opened


def error_body(code: str = "wrong_state", message: str = "not now") -> bytes:
    return f'{{"error": {{"code": "{code}", "message": "{message}"}}}}'.encode()


def test_a_retried_post_keeps_its_idempotency_key(transport: Transport, server: ScriptedServer) -> None:
    server.script = [Say(status=503), Say(cut=0), Say(body=b'{"a": 1}')]
    assert transport.post_json("/x").number("a") == 1
    keys = {asked.headers["Idempotency-Key"] for asked in server.asked}
    assert len(server.asked) == 3
    assert len(keys) == 1
    assert UUID(keys.pop()).version == 4


def test_two_posts_have_two_keys(transport: Transport, server: ScriptedServer) -> None:
    transport.post_json("/x")
    transport.post_json("/x")
    assert len({asked.headers["Idempotency-Key"] for asked in server.asked}) == 2


def test_a_given_key_is_the_one_sent(transport: Transport, server: ScriptedServer) -> None:
    key = uuid4()
    transport.post_json("/x", key=key)
    assert server.asked[0].headers["Idempotency-Key"] == str(key)


def test_a_compressed_answer_is_not_unpacked(transport: Transport, server: ScriptedServer) -> None:
    server.script = [Say(body=gzip.compress(b"{}"), headers={"Content-Encoding": "gzip"})]
    with pytest.raises(MalformedError):
        transport.get_json("/x")
    assert server.asked[0].headers["Accept-Encoding"] == "identity"


def test_attempts_are_bounded(transport: Transport, server: ScriptedServer) -> None:
    server.script = [Say(cut=0)]
    with pytest.raises(TransportError, match="3 attempts") as error:
        transport.get_json("/x")
    assert error.value.code is None
    assert len(server.asked) == 3


def test_the_servers_code_is_in_the_error(transport: Transport, server: ScriptedServer) -> None:
    server.script = [Say(status=409, body=error_body())]
    with pytest.raises(TransportError, match=r"not now \(wrong_state\)") as error:
        transport.get_json("/x")
    assert error.value.code == "wrong_state"
    assert len(server.asked) == 1


def test_the_servers_words_cannot_move_the_cursor(transport: Transport, server: ScriptedServer) -> None:
    server.script = [Say(status=400, body=error_body(message="\\u001b[2J\\u202e"))]
    with pytest.raises(TransportError, match=r"<U\+001B>\[2J<U\+202E>"):
        transport.get_json("/x")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error": 1}', b'{"error": {"code": 1}}'])
def test_an_error_without_a_code_is_one_too(
    transport: Transport, server: ScriptedServer, body: bytes
) -> None:
    server.script = [Say(status=500, body=body)]
    with pytest.raises(TransportError, match="answered 500") as error:
        transport.get_json("/x")
    assert error.value.code is None


@pytest.mark.parametrize("body", [b"", b"nonsense", b"[]", b'{"a": 1, "a": 2}', b'{"a": NaN}', b"\xff"])
def test_an_answer_that_is_no_object_is_malformed(
    transport: Transport, server: ScriptedServer, body: bytes
) -> None:
    server.script = [Say(body=body)]
    with pytest.raises(MalformedError):
        transport.get_json("/x")


def test_an_answer_beyond_its_bound_is_malformed(transport: Transport, server: ScriptedServer) -> None:
    server.script = [Say(body=b"x" * 101)]
    with pytest.raises(MalformedError, match="larger than 100"):
        transport.send(Request(method="GET", path="/x"), max_bytes=100)


def test_the_token_is_sent_and_never_shown(transport: Transport, server: ScriptedServer) -> None:
    transport.use_token("s3cr3t")
    transport.get_json("/x")
    assert server.asked[0].headers["Authorization"] == "Bearer s3cr3t"
    assert "s3cr3t" not in repr(transport)


def test_a_file_is_streamed_with_its_length_and_again_in_a_retry(
    transport: Transport, server: ScriptedServer, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(bytes(range(256)) * 4000)
    told: list[tuple[str, int, int]] = []
    server.script = [Say(status=503), Say()]
    body = FileBody(path=tmp_path / "file", offset=1000, progress=lambda *now: told.append(now), label="f")
    transport.send(Request(method="POST", path="/x", content=body))
    expected = (bytes(range(256)) * 4000)[1000:]
    assert [asked.body for asked in server.asked] == [expected, expected]
    assert told[-1] == ("f", 1_024_000, 1_024_000)


def test_a_request_without_retry_is_sent_once(transport: Transport, server: ScriptedServer) -> None:
    server.script = [Say(cut=0)]
    with pytest.raises(TransportError):
        transport.send(Request(method="PUT", path="/x", content=b"x", retry=False))
    assert len(server.asked) == 1


def test_a_broken_download_goes_on_where_it_stopped(transport: Transport, server: ScriptedServer) -> None:
    whole = bytes(range(256)) * 2000
    server.script = [Say(body=whole, cut=100_000), Say(status=206, body=whole[100_000:])]
    sink = io.BytesIO()
    assert transport.download("/x", sink, max_bytes=len(whole)) == len(whole)
    assert sink.getvalue() == whole
    assert server.asked[1].headers["Range"] == "bytes=100000-"


def test_a_download_that_cannot_be_continued_starts_again(
    transport: Transport, server: ScriptedServer
) -> None:
    whole = bytes(range(256)) * 2000
    server.script = [Say(body=whole, cut=100_000), Say(body=whole)]
    sink = io.BytesIO()
    transport.download("/x", sink, max_bytes=len(whole))
    assert sink.getvalue() == whole


def test_a_download_beyond_its_bound_is_refused(transport: Transport, server: ScriptedServer) -> None:
    server.script = [Say(body=b"x" * 1000)]
    with pytest.raises(MalformedError, match="larger than 999"):
        transport.download("/x", io.BytesIO(), max_bytes=999)


def test_another_certificate_gets_no_request(server: ScriptedServer) -> None:
    address = ServerAddress(url=server.address.url, certificate_sha256=bytes(32))
    with (
        Transport(address, OPTIONS) as transport,
        pytest.raises(UntrustedServerError, match="another server"),
    ):
        transport.use_token("s3cr3t")
        transport.get_json("/x")
    assert server.asked == []


def test_a_server_that_changes_its_certificate_gets_no_request(tmp_path: Path) -> None:
    """A man in the middle who shows the right certificate first cannot then use another one."""
    with scripted_server(tmp_path / "true") as true, scripted_server(tmp_path / "false") as false:
        with Transport(true.address, OPTIONS) as transport:
            transport._client()
            transport._http.base_url = false.address.url + "/v1"  # type: ignore[union-attr]
            with pytest.raises(UntrustedServerError, match="certificate"):
                transport.get_json("/x")
        assert false.asked == []


def test_without_a_pin_a_self_made_certificate_is_refused(server: ScriptedServer) -> None:
    unpinned = ServerAddress(url=server.address.url)
    with Transport(unpinned, OPTIONS) as transport, pytest.raises(UntrustedServerError, match="certificate"):
        transport.get_json("/x")
    assert server.asked == []


def test_nobody_listening_is_a_transport_error(server: ScriptedServer) -> None:
    address = ServerAddress(url="https://127.0.0.1:9", certificate_sha256=bytes(32))
    with Transport(address, OPTIONS) as transport, pytest.raises(TransportError, match="not reached"):
        transport.get_json("/x")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1",
        "127.0.0.1",
        "https://",
        "https://host/path",
        "https://host?x=1",
        "ftp://h",
        "https://h:x",
    ],
)
def test_only_https_addresses_are_servers(url: str) -> None:
    with pytest.raises(ValueError, match="server address"):
        ServerAddress(url=url)


def test_the_environment_does_not_change_where_requests_go(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
    assert transport.get_json("/x").names == frozenset()
