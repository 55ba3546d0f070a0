"""How fast a service answers over its attested certificate, beside the same on an ordinary one.

*Requests*: one application, once as an enclave serves it (pyOpenSSL, a quote in the certificate), once on the
same uvicorn with `ssl` and an ordinary certificate; wrk, keep-alive, rounds in turns. *Handshakes*: the same
with a new connection for each request. *The published library's way*: hypercorn ($SEALROOM_HYPERCORN: a
Python that has it), bare ASGI and ordinary certificate. *From spawn to ready*: a simulated service, in parts.

Ratios are of pairs of neighbouring rounds; the interval has nine tenths of their median (bootstrap). Beside
them the server's seconds of processor a thousand requests, which other users of the machine change less.
"""

import os
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.service_server import make_ordinary
from bench.service_spawn import spawn_to_ready

ROUNDS = 9
SECONDS = 3
CONNECTIONS = 32
HYPERCORN_VARIABLE = "SEALROOM_HYPERCORN"
AIM_OF_REQUESTS = 0.95
AIM_OVER_HYPERCORN = 5.0

_RATE = re.compile(r"Requests/sec:\s+([0-9.]+)")
_COUNT = re.compile(r"(\d+) requests in")
_DRAWS = 2000
_CLOSE = ("-H", "Connection: close")
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One run of wrk: answers a second, and the server's processor seconds a thousand answers."""

    rate: float
    cpu: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server that is up."""

    name: str
    port: int
    process: subprocess.Popen[bytes]

    def measure(self, *words: str) -> Round:
        """Ask it for some seconds."""
        url = f"https://localhost:{self.port}/"
        before = self._ticks()
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", *words, url]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603
        rate, count = _RATE.search(said), _COUNT.search(said)
        if rate is None or count is None or "Non-2xx" in said:
            raise RuntimeError(f"{self.name}: {said}")
        answered = max(1, int(count[1]))
        return Round(rate=float(rate[1]), cpu=(self._ticks() - before) / _TICKS / answered * 1000)

    def _ticks(self) -> int:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])


@contextmanager
def server(name: str, command: Callable[[int], list[str]], *, folder: Path | None = None) -> Iterator[Server]:
    """Start a server on a free port, and end it behind the block."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    process = subprocess.Popen(  # noqa: S603 - our own words
        command(port), cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_for(port, process)
        yield Server(name=name, port=port, process=process)
    finally:
        process.kill()
        process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    ends = time.monotonic() + 60
    while time.monotonic() < ends and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("a server did not come up")


def compare(ours: Server, other: Server, *words: str, aim: float | None) -> None:
    """Measure two servers in turns, and print both with the ratio of neighbours."""
    pairs = [(ours.measure(*words), other.measure(*words)) for _ in range(ROUNDS)]
    for place, each in enumerate((ours, other)):
        rounds = [pair[place] for pair in pairs]
        rate, cpu = (statistics.median(getattr(one, key) for one in rounds) for key in ("rate", "cpu"))
        print(f"  {each.name:44} {rate:>8.0f} /s, {cpu:>6.3f} s of processor a thousand", flush=True)
    ratios = [first.rate / second.rate for first, second in pairs]
    work = statistics.median(second.cpu / first.cpu for first, second in pairs)
    low, high = interval(ratios)
    wanted = "" if aim is None else f"; aim {aim}"
    print(
        f"  ratio {statistics.median(ratios):.2f} ({low:.2f} to {high:.2f}), of processor {work:.2f}{wanted}"
    )


def interval(ratios: list[float]) -> tuple[float, float]:
    """Return where nine tenths of the medians lie that such rounds could have had."""
    draw = random.Random(1)  # noqa: S311 - statistics
    medians = sorted(statistics.median(draw.choices(ratios, k=len(ratios))) for _ in range(_DRAWS))
    return medians[_DRAWS // 20], medians[-_DRAWS // 20]


def of_ours(kind: str, app: str, folder: Path) -> Callable[[int], list[str]]:
    """Return the command of a server of this bench."""
    module = (sys.executable, "-m", "bench.service_server", kind, app)
    return lambda port: [*module, str(port), str(folder)]


def of_hypercorn(python: str, folder: Path) -> Callable[[int], list[str]]:
    """Return the command of hypercorn with the same bare application."""
    key, certificate = make_ordinary(folder)
    source = folder / "bare_app.py"
    source.write_text(
        "BODY = b'hello from an enclave'\n"
        "HEADERS = [(b'content-type', b'text/plain'), (b'content-length', b'%d' % len(BODY))]\n"
        "async def bare(scope, receive, send):\n"
        "    if scope['type'] == 'http':\n"
        "        await send({'type': 'http.response.start', 'status': 200, 'headers': HEADERS})\n"
        "        await send({'type': 'http.response.body', 'body': BODY})\n"
    )
    # In one process, as the published library calls it.
    module = ["-m", "hypercorn", "bare_app:bare", "--workers", "0"]
    module += ["--keyfile", str(key), "--certfile", str(certificate)]
    return lambda port: [python, *module, "--bind", f"127.0.0.1:{port}"]


def main() -> int:
    """Print all tables."""
    if shutil.which("wrk") is None or shutil.which("openssl") is None:
        print("services: install wrk and openssl to measure requests a second")
    else:
        with tempfile.TemporaryDirectory() as name:
            _requests(Path(name))
    print("services: from spawn to ready, simulated, seconds")
    for part, seconds in spawn_to_ready():
        print(f"  {part:44} {seconds:>8.2f}")
    return 0


def _requests(folder: Path) -> None:
    attested, ordinary = "RA-TLS, as in an enclave", "uvicorn with ssl, ordinary certificate"
    with (
        server(f"bare ASGI, {attested}", of_ours("attested", "bare", folder)) as ours,
        server(f"bare ASGI, {ordinary}", of_ours("ordinary", "bare", folder)) as other,
    ):
        print("services: requests a second, keep-alive")
        compare(ours, other, aim=AIM_OF_REQUESTS)
        print("services: handshakes a second, one request each")
        compare(ours, other, *_CLOSE, aim=None)
        python = os.environ.get(HYPERCORN_VARIABLE)
        if python is None:
            print(f"  {HYPERCORN_VARIABLE} names no Python: nothing to compare hypercorn with")
        else:
            name, command = "bare ASGI, hypercorn, ordinary certificate", of_hypercorn(python, folder)
            with server(name, command, folder=folder) as third:
                print("services: beside the published library's server, keep-alive")
                compare(ours, third, aim=AIM_OVER_HYPERCORN)
    with (
        server(f"FastAPI, {attested}", of_ours("attested", "fastapi", folder)) as ours,
        server(f"FastAPI, {ordinary}", of_ours("ordinary", "fastapi", folder)) as other,
    ):
        print("services: requests a second with FastAPI, keep-alive")
        compare(ours, other, aim=None)
