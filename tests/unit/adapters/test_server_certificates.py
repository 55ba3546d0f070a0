"""Fetching the certificate of a server that nobody vouches for."""

import socket
import ssl
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from sealroom.adapters.tls_certificate import fetch_server_certificate, server_of
from sealroom.core.errors import TransportError

sys.path.append(str(Path(__file__).parents[1] / "core" / "attestation"))
import ratls_world as w
from tls_stranger import tls_server


def key_pem(key):
    return key.private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def test_returns_the_certificate_that_the_server_shows(tmp_path):
    key = w.TlsKey.generate()
    raw = w.made(key)
    with tls_server(ssl.DER_cert_to_PEM_cert(raw).encode(), key_pem(key), tmp_path) as port:
        assert fetch_server_certificate(f"https://127.0.0.1:{port}/any/path", timeout_seconds=5) == raw


def test_a_server_that_does_not_speak_tls_or_is_not_there_is_no_certificate():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(TransportError, match=rf"127\.0\.0\.1:{port}"):
            fetch_server_certificate(f"https://127.0.0.1:{port}", timeout_seconds=0.2)
    with pytest.raises(TransportError):
        fetch_server_certificate(f"https://127.0.0.1:{port}", timeout_seconds=0.2)
    with pytest.raises(TransportError):
        fetch_server_certificate("https://" + "a" * 300 + ".test", timeout_seconds=0.2)


@pytest.mark.parametrize(
    "url",
    ["http://a.test", "a.test", "", "https://", "https://u:p@a.test", "https://a.test:99999", "https://[::1"],
)
def test_refuses_other_urls(url):
    with pytest.raises(ValueError, match=r".+"):
        fetch_server_certificate(url, timeout_seconds=0.2)


def test_takes_the_usual_port_where_none_is_named():
    assert server_of("https://a.test/x") == ("a.test", 443)
    assert server_of("https://[::1]:4") == ("::1", 4)
