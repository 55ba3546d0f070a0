"""A caller's connections to a service: each is proven before a byte of a request, or nothing is sent."""

import ipaddress
import itertools
import socket
import ssl
import threading
from contextlib import AbstractContextManager, suppress
from dataclasses import fields, replace
from datetime import timedelta
from inspect import signature

import calling_world as c
import httpx
import pytest
import requests
from calling_world import s, w
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from sealroom.client.service.calling import challenge
from sealroom.client.service.calling.connecting import connect, open_client, origin_of, pinned_context
from sealroom.client.service.calling.judging import Trust
from sealroom.client.service.calling.requests_adapter import open_session, session_of
from sealroom.core.attestation.ratls import parse_ratls_certificate
from sealroom.core.errors import MalformedError, PolicyError, SealroomError, TransportError, VerificationError
from sealroom.core.evidence.policy import Policy, Word
from sealroom.core.evidence.verdict import RefusedEvidenceError
from sealroom.core.wire.channel import channel_report_data
from sealroom.core.wire.service_arguments import CertificateMode
from sealroom.core.wire.verified_service import VerifiedService


def client(server: c.Server, *, policy: Policy = c.POLICY, **asked: object) -> httpx.Client:
    options = {"collateral": c.COLLATERAL, "insecure_accept_simulated": True, "timeout_seconds": 10.0}
    return connect(server.url, policy=policy, **{**options, **asked})


def refused(server: c.Server, **asked: object) -> SealroomError:
    """Call, and return the refusal; the server saw no request by then."""
    with c.running(server), client(server, **asked) as http, pytest.raises(SealroomError) as found:
        http.post("/secret", content=b"canary")
    assert server.requests == []
    return found.value


def failed(error: SealroomError) -> list[str]:
    assert isinstance(error, RefusedEvidenceError), error
    return [check.name for check in error.verdict.failures]


def test_a_call_goes_to_the_enclave_over_a_connection_that_is_kept() -> None:
    with c.running(c.Server()) as server, client(server) as http:
        assert http.get("/one").text == "hello /one"
        assert http.post("/two", content=b"body").text == "hello /two"
        with http.stream("GET", "/three") as answer:
            assert b"".join(answer.iter_bytes()) == b"hello /three"
    assert server.requests == [("GET", "/one", b""), ("POST", "/two", b"body"), ("GET", "/three", b"")]
    assert server.connections == 1


def test_each_new_connection_is_asked_again() -> None:
    asked = []

    def answer(challenge: c.Asked) -> c.Reply:
        asked.append(challenge.nonce)
        return c.honest()(challenge)

    with c.running(c.Server(answer=answer)) as server:
        for _ in range(2):
            with client(server) as http:
                http.get("/")
    assert len(set(asked)) == 2


def test_a_simulated_service_is_refused_unless_asked_for_by_name() -> None:
    assert "simulated" in str(refused(c.Server(), insecure_accept_simulated=False))


def test_a_verified_service_is_the_only_one_that_is_called() -> None:
    trust = Trust(
        policy=w.policy(),
        documents=lambda _: c.COLLATERAL,
        service=c.verified(),
        insecure_accept_simulated=True,
    )
    with c.running(c.Server()) as server, open_client(server.url, trust) as http:
        assert http.get("/").status_code == 200
    other = replace(c.WORLD, arguments=replace(s.ARGUMENTS, spawn=b"other spawn 16 b"))
    with (
        c.running(c.Server(world=other, answer=c.honest(other))) as server,
        open_client(server.url, trust) as http,
        pytest.raises(RefusedEvidenceError) as found,
    ):
        http.get("/")
    assert failed(found.value) == ["measurement.policy"]


def test_a_simulated_service_never_stands_in_for_one_that_was_verified_as_real() -> None:
    simulated = c.verified()
    real = VerifiedService(**{field.name: getattr(simulated, field.name) for field in fields(simulated)})
    trust = Trust(
        policy=w.policy(),
        documents=lambda _: c.COLLATERAL,
        service=real,
        insecure_accept_simulated=True,
    )
    with (
        c.running(c.Server()) as server,
        open_client(server.url, trust) as http,
        pytest.raises(RefusedEvidenceError, match="simulated"),
    ):
        http.get("/")
    assert server.requests == []


def test_a_certificate_without_the_bound_key_is_refused() -> None:
    assert failed(refused(c.Server(world=replace(c.WORLD, quoted_key=1)))) == ["key.binding"]


def test_a_certificate_of_another_enclave_is_refused() -> None:
    other = replace(c.WORLD, report={"mrenclave": bytes(32)})
    assert failed(refused(c.Server(world=other))) == ["measurement.policy"]


def test_a_certificate_for_another_host_is_refused() -> None:
    assert "not for 127.0.0.1" in str(refused(c.Server(world=replace(c.WORLD, addresses=()))))
    nameless = replace(c.WORLD, addresses=(), dns_names=())
    assert "names no host" in str(refused(c.Server(world=nameless)))


def test_an_old_certificate_is_refused_also_from_whoever_has_its_key() -> None:
    assert failed(refused(c.Server(world=replace(c.WORLD, not_after_days=-1)))) == ["certificate.dates"]


def test_a_fresh_quote_of_another_enclave_is_refused() -> None:
    other = c.honest(replace(c.WORLD, report={"mrenclave": bytes(32)}))
    assert failed(refused(c.Server(answer=other))) == ["measurement.policy", "channel.enclave"]


def test_another_listed_enclave_does_not_answer_for_this_one() -> None:
    both = replace(c.POLICY, measurement=frozenset({c.WORLD.mrenclave, bytes(32)}))
    other = c.honest(replace(c.WORLD, report={"mrenclave": bytes(32)}))
    assert failed(refused(c.Server(answer=other), policy=both)) == ["channel.enclave"]


def test_a_relay_that_owns_a_copy_of_the_tls_key_is_refused() -> None:
    """It shows the enclave's certificate and has its key, and forwards the challenge to the enclave itself,
    whose answer is about the relay's own connection to it."""
    with c.running(c.Server()) as enclave:

        def forwarded(asked: c.Asked) -> c.Reply:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            target = f"{enclave.url}/.well-known/sealroom/challenge?nonce={asked.nonce.hex()}"
            answer = httpx.get(target, verify=context, trust_env=False)
            assert answer.status_code == 200
            return 200, [], answer.content

        assert failed(refused(c.Server(answer=forwarded))) == ["channel.binding"]
    assert enclave.connections == 1


def test_an_answer_that_is_signed_instead_of_quoted_is_refused() -> None:
    def signed(asked: c.Asked) -> c.Reply:
        message = channel_report_data(nonce=asked.nonce, exporter=asked.exporter, key_info=asked.key_info)
        return 200, [], s.tls_key().sign(message, ec.ECDSA(hashes.SHA256()))

    assert failed(refused(c.Server(answer=signed))) == ["quote.form"]


def test_the_certificates_own_quote_is_no_answer() -> None:
    quote = parse_ratls_certificate(c.WORLD.certificate).raw_quote
    assert failed(refused(c.Server(answer=lambda _: (200, [], quote)))) == ["channel.binding"]


@pytest.mark.parametrize("part", ["nonce", "exporter", "key_info"])
def test_a_quote_that_leaves_out_nonce_connection_or_key_is_refused(part: str) -> None:
    def answer(asked: c.Asked) -> c.Reply:
        return c.honest()(replace(asked, **{part: bytes(32)}))

    assert failed(refused(c.Server(answer=answer))) == ["channel.binding"]


def test_tls_1_2_is_refused() -> None:
    error = refused(c.Server(tls12=True))
    assert isinstance(error, TransportError)
    assert "no TLS 1.3" in str(error)


@pytest.mark.parametrize("status", [404, 426, 500, 503])
def test_a_server_that_does_not_answer_the_challenge_is_refused(status: int) -> None:
    error = refused(c.Server(answer=lambda _: (status, [], b"")))
    assert isinstance(error, VerificationError)
    assert str(status) in str(error)


def test_a_busy_server_is_not_a_refusal() -> None:
    error = refused(c.Server(answer=lambda _: (429, [("Retry-After", "16"), ("Content-Length", "0")], b"")))
    assert isinstance(error, TransportError)
    assert "try again" in str(error)


def test_bytes_behind_the_answer_are_refused() -> None:
    # Else they would be read as the answer to the caller's own request.
    error = refused(c.Server(raw_tail=b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno"))
    assert "something follows" in str(error)


def test_an_answer_that_ends_its_connection_is_refused() -> None:
    def answer(asked: c.Asked) -> c.Reply:
        quote = c.honest()(asked)[2]
        return 200, [("Connection", "close"), ("Content-Length", str(len(quote)))], quote

    assert "ends the connection" in str(refused(c.Server(answer=answer)))


def test_an_answer_larger_than_a_quote_is_refused() -> None:
    assert "larger than a quote" in str(refused(c.Server(answer=lambda _: (200, [], bytes(1 << 18)))))


def test_a_server_that_cuts_the_connection_is_told_from_one_that_answers() -> None:
    def hang_up(_: c.Asked) -> c.Reply:
        raise ConnectionError

    assert isinstance(refused(c.Server(answer=hang_up)), TransportError)


def test_a_new_certificate_of_the_same_enclave_is_verified_and_taken() -> None:
    server = c.Server()
    with c.running(server), client(server) as http:
        assert http.get("/before").status_code == 200
        # As after a restart: another key, the same measurement.
        server.world = replace(c.WORLD, key=2)
        server.answer = c.honest(server.world)
        http._transport._pool.close()
        assert http.get("/after").status_code == 200
        server.world = replace(c.WORLD, key=3, report={"mrenclave": bytes(32)})
        http._transport._pool.close()
        with pytest.raises(RefusedEvidenceError):
            http.get("/never")
    assert [target for _, target, _ in server.requests] == ["/before", "/after"]


def test_a_client_talks_to_one_place_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with c.running(c.Server()) as server, client(server) as http:
        assert http.get("/away").status_code == 302
        for target in (
            "https://elsewhere.example/",
            f"http://127.0.0.1:{server.port}/",
            "https://127.0.0.1:1/",
        ):
            with pytest.raises(TransportError, match="alone"):
                http.get(target)
        with pytest.raises(TransportError, match="alone"):
            http.get("/away", follow_redirects=True)


@pytest.mark.parametrize("measurement", [Word.ANY, Word.RECOMPUTED])
def test_a_policy_that_names_no_enclave_needs_evidence(measurement: Word) -> None:
    with pytest.raises(PolicyError, match="names no enclave"):
        connect("https://127.0.0.1:1", policy=w.policy(measurement=measurement), collateral=b"")


def test_evidence_without_a_package_is_compared_with_nothing_and_refused() -> None:
    with pytest.raises(ValueError, match="go together"):
        connect("https://127.0.0.1:1", policy=w.policy(), evidence=b"{}")


@pytest.mark.parametrize(
    "url", ["http://a.example", "ftp://a.example", "a.example", "https://", "https://u:p@a", "https://a:b"]
)
def test_only_https_addresses_are_taken(url: str) -> None:
    with pytest.raises(MalformedError):
        connect(url, policy=c.POLICY, collateral=b"")


@pytest.mark.parametrize(
    ("url", "host", "authority"),
    [
        ("https://a.example/", "a.example", "a.example"),
        ("https://[::1]:8443", "::1", "[::1]:8443"),
        ("https://b\u00fccher.example:1", "xn--bcher-kva.example", "xn--bcher-kva.example:1"),
    ],
)
def test_an_address_is_taken_as_it_goes_over_the_network(url: str, host: str, authority: str) -> None:
    origin = origin_of(url)
    assert (origin.host, origin.authority) == (host, authority)


def test_a_simulated_service_or_one_behind_a_proxy_is_no_trust_by_itself() -> None:
    with pytest.raises(PolicyError, match="simulated"):
        Trust(policy=w.policy(), documents=lambda _: None, service=c.verified())
    plain = replace(c.verified(), arguments=replace(s.ARGUMENTS, certificate=CertificateMode.PLAIN))
    with pytest.raises(PolicyError, match="proxy"):
        Trust(policy=w.policy(), documents=lambda _: None, service=plain, insecure_accept_simulated=True)


def test_requests_goes_over_proven_connections_too() -> None:
    with c.running(c.Server()) as server, session(server) as http:
        answer = http.post(f"{server.url}/one", data="body", headers={"X-A": "b"})
        assert (answer.status_code, answer.text) == (200, "hello /one")
        with http.get(f"{server.url}/two", stream=True) as streamed:
            assert b"".join(streamed.iter_content(3)) == b"hello /two"
        with pytest.raises(TransportError, match="alone"):
            http.get("https://elsewhere.example/")
        with pytest.raises(TransportError, match="alone"):
            http.get(f"{server.url}/away")
    assert server.requests[0] == ("POST", "/one", b"body")
    with (
        c.running(c.Server(answer=lambda _: (404, [], b""))) as server,
        session(server) as http,
        pytest.raises(VerificationError),
    ):
        http.get(f"{server.url}/")
    assert server.requests == []


def session(server: c.Server):
    trust = Trust(policy=c.POLICY, documents=lambda _: c.COLLATERAL, insecure_accept_simulated=True)
    return session_of(server.url, trust)


def test_a_session_of_requests_is_opened_with_the_arguments_of_connect() -> None:
    assert signature(open_session).parameters == signature(connect).parameters
    asked = {"policy": c.POLICY, "collateral": c.COLLATERAL}
    with c.running(c.Server()) as server:
        with open_session(server.url, **asked, insecure_accept_simulated=True) as http:
            assert http.get(f"{server.url}/one").text == "hello /one"
        with open_session(server.url, **asked) as http, pytest.raises(SealroomError, match="simulated"):
            http.get(f"{server.url}/two")
    assert server.requests == [("GET", "/one", b"")]


def test_a_session_of_requests_waits_no_longer_than_it_was_told() -> None:
    left = threading.Event()

    class Silent(c.Server):
        def _reply(self, target: str, *asked: object) -> c.Reply:
            if target == "/silent":
                left.wait(20)
            return super()._reply(target, *asked)

    with c.running(Silent()) as server:
        asked = {"policy": c.POLICY, "collateral": c.COLLATERAL, "insecure_accept_simulated": True}
        with open_session(server.url, **asked, timeout_seconds=0.2) as http:
            # An opened connection: the wait is for the answer alone.
            assert http.get(f"{server.url}/one", timeout=20).status_code == 200
            with pytest.raises(requests.Timeout):
                http.get(f"{server.url}/silent")
        left.set()


def test_a_pinned_context_takes_the_verified_certificate_and_no_other() -> None:
    service = c.verified()
    context = pinned_context(service)
    assert context.verify_flags & ssl.VERIFY_X509_STRICT
    with c.running(c.Server(chain=(service.certificate,))) as server:
        assert httpx.get(server.url, verify=context, trust_env=False).status_code == 200
    with c.running(c.Server(world=replace(c.WORLD, key=2))) as server, pytest.raises(httpx.ConnectError):
        httpx.get(server.url, verify=context, trust_env=False)
    own = replace(service, arguments=replace(s.ARGUMENTS, certificate=CertificateMode.OWN))
    with pytest.raises(ValueError, match="not served with"):
        pinned_context(own)


class TestOwnCertificate:
    """A service with an authority's certificate: that proves a name, the connection's quote the enclave."""

    WORLD = replace(c.WORLD, arguments=replace(s.ARGUMENTS, certificate=CertificateMode.OWN))

    def issued(self, name: str = "127.0.0.1") -> tuple[tuple[bytes, ...], object, bytes]:
        authority, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        root = _certificate(authority, authority, "an authority", "an authority", ca=True)
        leaf = _certificate(key, authority, name, "an authority", ca=False)
        return (leaf.public_bytes(Encoding.DER),), key, root.public_bytes(Encoding.PEM)

    def call(self, server: c.Server, roots: bytes | None) -> None:
        trust = Trust(
            policy=w.policy(),
            documents=lambda _: c.COLLATERAL,
            service=c.verified(self.WORLD),
            own_roots=roots,
            insecure_accept_simulated=True,
        )
        with c.running(server), open_client(server.url, trust) as http:
            assert http.get("/").status_code == 200

    def test_is_called_when_authority_and_enclave_agree(self) -> None:
        chain, key, roots = self.issued()
        self.call(c.Server(world=self.WORLD, answer=c.honest(self.WORLD), key=key, chain=chain), roots)

    def test_is_refused_under_another_authority_or_name(self) -> None:
        chain, key, roots = self.issued("10.9.8.7")
        server = c.Server(world=self.WORLD, answer=c.honest(self.WORLD), key=key, chain=chain)
        for authorities in (self.issued()[2], roots):
            with pytest.raises(VerificationError, match="certificate of 127"):
                self.call(server, authorities)
        assert server.requests == []

    def test_is_refused_where_another_enclave_has_the_key(self) -> None:
        chain, key, roots = self.issued()
        with pytest.raises(RefusedEvidenceError):
            self.call(c.Server(world=c.WORLD, answer=c.honest(c.WORLD), key=key, chain=chain), roots)


def _certificate(key, signer, name: str, issuer: str, *, ca: bool) -> x509.Certificate:
    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    made = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(c.NOW - timedelta(hours=1))
        .not_valid_after(c.NOW + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    if ca:
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        made = made.add_extension(usage, critical=True)
    else:
        address = x509.IPAddress(ipaddress.ip_address(name))
        made = made.add_extension(x509.SubjectAlternativeName([address]), critical=False)
        made = made.add_extension(
            x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )
    return made.sign(signer, hashes.SHA256())


def test_a_port_that_says_nothing_ends_in_a_time_out() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    try:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        with (
            connect(
                url,
                policy=c.POLICY,
                collateral=c.COLLATERAL,
                insecure_accept_simulated=True,
                timeout_seconds=0.2,
            ) as http,
            pytest.raises(TransportError, match="handshake was cut"),
        ):
            http.get("/")
    finally:
        listener.close()


def dripping(data: bytes) -> AbstractContextManager[int]:
    """A server that sends `data` byte by byte, and never says that this was all."""

    def one(sock: socket.socket, stop: threading.Event) -> None:
        with sock, suppress(OSError):
            for byte in itertools.cycle(data):
                sock.sendall(bytes((byte,)))
                if stop.wait(0.01):
                    return

    return c.plain_server(one)


@pytest.mark.parametrize("data", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x16\x03\x03\x40\x00", bytes(64)])
def test_a_server_without_tls_or_that_drips_its_handshake_is_left(data: bytes) -> None:
    with (
        dripping(data) as port,
        connect(
            f"https://127.0.0.1:{port}",
            policy=c.POLICY,
            collateral=c.COLLATERAL,
            insecure_accept_simulated=True,
            timeout_seconds=0.3,
        ) as http,
        pytest.raises(TransportError),
    ):
        http.get("/")


def test_an_answer_to_the_challenge_that_comes_in_drops_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(challenge, "CHALLENGE_SECONDS", 0.2)
    stop = threading.Event()

    def answer(_: c.Asked) -> c.Reply:
        stop.wait(20)
        return c.honest()(_)

    error = refused(c.Server(answer=answer))
    stop.set()
    assert isinstance(error, TransportError)
    assert "not answered" in str(error)
