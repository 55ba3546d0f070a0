"""Smaller parts of a service: what it counts, what it may connect to, what it writes to memory."""

import asyncio
import json
import socket
from pathlib import Path

import pytest

from sealroom.core.wire.service_arguments import Connections, Interface
from sealroom.enclave.service.listening import listen
from sealroom.enclave.service.memory_files import write_secrets
from sealroom.enclave.service.meters import Meters
from sealroom.enclave.service.network_rules import network_rules
from sealroom.enclave.service.serving import Serving, as_asgi


def count(meters: Meters, *messages: dict[str, object]) -> None:
    async def send(message: object) -> None:
        return

    async def answer() -> None:
        counted = meters.counting(send)
        for message in messages:
            await counted(message)

    asyncio.run(answer())


def test_requests_and_octets_are_counted_by_class_and_nothing_else_is_kept() -> None:
    meters = Meters(open_connections=lambda: 3)
    start = {"type": "http.response.start", "status": 204, "headers": [(b"x", b"secret")]}
    count(meters, start, {"type": "http.response.body", "body": b"secret", "more_body": True})
    count(meters, {"type": "http.response.start", "status": 503}, {"type": "http.response.body"})
    metrics = json.loads(meters.metrics())
    assert metrics.pop("seconds") == 0
    assert metrics == {
        "open_connections": 3,
        "requests": {"1xx": 0, "2xx": 1, "3xx": 0, "4xx": 0, "5xx": 1},
        "bytes": {"1xx": 0, "2xx": 6, "3xx": 0, "4xx": 0, "5xx": 0},
    }
    lines = [json.loads(line) for line in meters.access_log().splitlines()]
    assert [set(line) for line in lines] == [{"time", "requests", "bytes"}] * len(lines)
    assert b"secret" not in meters.metrics() + meters.access_log()


@pytest.mark.parametrize("status", [0, 99, 600, 1000])
def test_a_status_that_is_none_is_counted_in_the_nearest_class(status: int) -> None:
    meters = Meters(open_connections=lambda: 0)
    count(meters, {"type": "http.response.start", "status": status})
    assert sum(json.loads(meters.metrics())["requests"].values()) == 1


OWN_CONNECTIONS = [("socket.connect", (None, ("10.0.0.1", 5432))), ("socket.getaddrinfo", ("db", 5432))]


@pytest.mark.parametrize(("event", "arguments"), OWN_CONNECTIONS)
def test_an_application_connects_where_the_arguments_say_so_alone(event: str, arguments: tuple) -> None:
    assert event not in network_rules(Connections.NONE)
    network_rules(Connections.ANY)[event](arguments)


@pytest.mark.parametrize("connect", Connections)
def test_sockets_are_of_tcp_and_local_pairs(connect: Connections) -> None:
    check = network_rules(connect)["socket.__new__"]
    for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
        check((None, family, socket.SOCK_STREAM, 0))
    with pytest.raises(PermissionError, match="TCP alone"):
        check((None, socket.AF_NETLINK, socket.SOCK_RAW, 0))


def test_an_addressed_message_is_a_connection_of_its_own() -> None:
    check = network_rules(Connections.NONE)["socket.sendmsg"]
    check((None, None))
    with pytest.raises(PermissionError, match="no connections of its own"):
        check((None, ("10.0.0.1", 53)))


def test_secrets_are_two_files_that_the_application_alone_reads(tmp_path: Path) -> None:
    environment: dict[str, str] = {}
    write_secrets(tmp_path, environment, secrets={}, sealed={"password": "x"})
    open_, sealed = (Path(environment[name]) for name in ("SECRETS_PATH", "SEALED_SECRETS_PATH"))
    assert (json.loads(open_.read_text()), json.loads(sealed.read_text())) == ({}, {"password": "x"})
    assert {path.stat().st_mode & 0o777 for path in (open_, sealed)} == {0o400}


def test_a_port_that_is_taken_is_not_shared() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        listen(taken.getsockname()[1])


def test_uvicorn_still_has_the_two_seams_that_are_relied_upon() -> None:
    """The constructor of its protocol, and the attribute `app` that it calls."""

    async def application(scope: object, receive: object, send: object) -> None:
        return

    async def seams() -> None:
        serving = Serving(application, tls=None, challenges=None)  # type: ignore[arg-type]
        serving._config.load()
        protocol = serving._connection(
            config=serving._config, server_state=serving._server.server_state, app_state={}, _loop=None
        )
        assert type(protocol.app).__name__ == "_Challenged"
        assert serving._config.loaded_app is not None

    asyncio.run(seams())


def test_a_wsgi_application_answers_as_an_asgi_one() -> None:
    def wsgi(environ: dict[str, object], start_response) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(environ["PATH_INFO"]).encode()]

    sent = []

    async def call() -> None:
        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, object]) -> None:
            sent.append(message)

        scope = {
            "type": "http", "method": "GET", "path": "/x", "raw_path": b"/x", "query_string": b"",
            "headers": [], "http_version": "1.1", "scheme": "https", "server": ("localhost", 1),
            "client": ("localhost", 2), "root_path": "",
        }  # fmt: skip
        await as_asgi(wsgi, Interface.WSGI)(scope, receive, send)

    asyncio.run(call())
    assert b"".join(message.get("body", b"") for message in sent) == b"/x"
