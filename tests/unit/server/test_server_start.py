"""Starting and stopping a server: certificate, secret, one server a folder."""

import hashlib
import ssl
import threading
from pathlib import Path

import pytest

from sealroom.core.wire.terms import Tee
from sealroom.server.config import Listening, ServerConfig
from sealroom.server.main import make_launcher, open_platform, run_server, sweep_blobs
from sealroom.server.tls import load_or_make_certificate


def test_the_certificate_is_made_once_and_its_digest_is_of_the_der(tmp_path: Path) -> None:
    first = load_or_make_certificate(tmp_path / "tls", host="127.0.0.1")
    assert load_or_make_certificate(tmp_path / "tls", host="127.0.0.1") == first
    der = ssl.PEM_cert_to_DER_cert(first.certificate.read_text())
    assert hashlib.sha256(der).hexdigest() == first.sha256
    assert first.key.stat().st_mode & 0o777 == 0o600


def test_a_start_that_was_killed_before_the_certificate_makes_both_again(tmp_path: Path) -> None:
    first = load_or_make_certificate(tmp_path, host="server.example.org")
    first.certificate.unlink()
    second = load_or_make_certificate(tmp_path, host="server.example.org")
    assert second.sha256 != first.sha256
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(second.certificate, second.key)


def test_the_secret_of_tokens_survives_a_restart_and_is_hidden(tmp_path: Path) -> None:
    first, second = (open_platform(ServerConfig(data=tmp_path), tee=Tee.SIMULATED) for _ in range(2))
    assert first.secret == second.secret
    assert first.secret.hex() not in repr(first)
    assert repr(first.secret) not in repr(first)
    (tmp_path / "token-secret").write_bytes(b"short")
    with pytest.raises(ValueError, match="token-secret"):
        open_platform(ServerConfig(data=tmp_path), tee=Tee.SIMULATED)


def test_orphans_are_swept_and_what_is_known_stays(tmp_path: Path) -> None:
    platform = open_platform(ServerConfig(data=tmp_path), tee=Tee.SIMULATED)
    platform.blobs.put(b"an orphan")
    sweep_blobs(platform)
    assert list((tmp_path / "blobs").glob("*/*")) == []


@pytest.mark.parametrize("changes", [{"port": 70000}, {"port": -1}, {"waiting_deadline_seconds": 0}])
def test_a_configuration_that_cannot_be_is_refused(tmp_path: Path, changes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="got"):
        ServerConfig(data=tmp_path, **changes)


def test_an_unknown_launcher_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="launcher"):
        make_launcher(ServerConfig(data=tmp_path, launcher="other"))


def test_a_second_server_on_one_folder_is_refused(tmp_path: Path) -> None:
    refused: list[BaseException] = []

    def second(_: Listening) -> None:
        try:
            run_server(ServerConfig(data=tmp_path, port=0), lambda _: None)
        except FileExistsError as exc:
            refused.append(exc)
        raise _StopError

    with pytest.raises(_StopError):
        run_server(ServerConfig(data=tmp_path, port=0), second)
    assert "another server" in str(refused[0])
    assert [thread.name for thread in threading.enumerate() if thread.name == "reconciler"] == []


class _StopError(Exception):
    """Ends the first server from inside."""
