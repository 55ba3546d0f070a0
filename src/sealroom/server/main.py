"""Start the server: open the data folder, listen over TLS, say where, and stop cleanly when told to.

Logs nothing about requests: tokens, bodies and names of computations stay out of the operator's terminal.
"""

import asyncio
import fcntl
import logging
import os
import secrets
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import uvicorn

from sealroom.core.wire.terms import Tee
from sealroom.server.app import create_app
from sealroom.server.blobs import BlobStore
from sealroom.server.config import Announce, Listening, ServerConfig
from sealroom.server.launchers.base import Launcher
from sealroom.server.launchers.gramine_sgx import GramineSgxLauncher
from sealroom.server.launchers.simulated import GramineDirectLauncher, SimulatedLauncher
from sealroom.server.platform import Platform
from sealroom.server.reconcile import Reconciler
from sealroom.server.schema import known_blobs
from sealroom.server.store import open_store
from sealroom.server.tls import ServerCertificate, load_or_make_certificate

_SECRET_SIZE = 32
# Both are simulated to whoever verifies: neither has hardware to speak for it.
_SIMULATED = {kind.name: kind for kind in (SimulatedLauncher, GramineDirectLauncher)}
LAUNCHERS = (*_SIMULATED, GramineSgxLauncher.name)
_STOPPING = (signal.SIGTERM, signal.SIGINT)


def run_server(config: ServerConfig, announce: Announce) -> None:
    """Serve until SIGTERM or SIGINT; `announce` is called once, when connections are accepted.

    Raises `OSError` when the address cannot be had, or the data folder is another server's or cannot be
    written, `ValueError` for a launcher that this release does not have, and `LaunchError` where this machine
    cannot run what it starts.
    """
    config.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(config.data):
        _run(config, announce)


def _run(config: ServerConfig, announce: Announce) -> None:
    launcher = make_launcher(config)
    certificate = load_or_make_certificate(config.data / "tls", host=config.host)
    with _listen(config.host, config.port) as listener, _opened(config, launcher) as platform:
        sweep_blobs(platform)
        host, port = listener.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        listening = Listening(
            url=f"https://{shown}:{port}", certificate_sha256=certificate.sha256, launcher=config.launcher
        )
        reconciler = Reconciler(platform, launcher)
        reconciler.start()
        try:
            _serve(platform, certificate, listener, lambda: announce(listening))
        finally:
            reconciler.stop()


def _opened(config: ServerConfig, launcher: Launcher) -> closing[Platform]:
    return closing(open_platform(config, tee=launcher.tee))


def open_platform(config: ServerConfig, *, tee: Tee) -> Platform:
    """Open database and blobs in the data folder, which the caller has for itself, for a launcher's `tee`."""
    return Platform(
        config=config,
        store=open_store(config.url),
        blobs=BlobStore(config.data / "blobs"),
        tee=tee,
        secret=_load_or_make_secret(config.data / "token-secret"),
    )


def sweep_blobs(platform: Platform) -> None:
    """Remove what a crash left in the blob folder: files that no row speaks of."""
    with platform.store.read() as session:
        platform.blobs.sweep(known_blobs(session))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the data folder's lock: two servers on one folder would undo each other's work."""
    with (folder / "lock").open("ab") as lock:
        try:
            fcntl.flock(lock.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise FileExistsError(f"another server is using the data folder {folder}") from exc
        yield


def make_launcher(config: ServerConfig) -> Launcher:
    """Make the launcher that the configuration names."""
    root = config.data / "enclaves"
    if config.launcher not in LAUNCHERS:
        raise ValueError(f"launcher: got {config.launcher!r}, expected one of {', '.join(LAUNCHERS)}")
    if (config.sgx is not None) != (config.launcher == GramineSgxLauncher.name):
        raise ValueError("launcher: gramine-sgx has settings for SGX, and no other has")
    root.mkdir(mode=0o700, exist_ok=True)
    if config.sgx is not None:
        return GramineSgxLauncher(root, config.sgx)
    return _SIMULATED[config.launcher](root)


class _Server(uvicorn.Server):
    """Uvicorn's server, telling when it listens and leaving signals to us."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            self._started()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Uvicorn would raise the signal again afterwards, and a clean stop would look like a crash.
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in _STOPPING}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _serve(
    platform: Platform, certificate: ServerCertificate, listener: socket.socket, started: Callable[[], None]
) -> None:
    config = uvicorn.Config(
        create_app(platform),
        ssl_certfile=str(certificate.certificate),
        ssl_keyfile=str(certificate.key),
        access_log=False,
        log_config=None,
        lifespan="off",
        timeout_graceful_shutdown=5,
        server_header=False,
    )
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    server = _Server(config, started)
    asyncio.run(server.serve(sockets=[listener]))


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener


def _load_or_make_secret(path: Path) -> bytes:
    try:
        secret = path.read_bytes()
    except FileNotFoundError:
        secret = secrets.token_bytes(_SECRET_SIZE)
        temporary = path.with_suffix(".tmp")
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(secret)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    if len(secret) != _SECRET_SIZE:
        raise ValueError(f"{path.name}: got {len(secret)} bytes, expected {_SECRET_SIZE}")
    return secret
