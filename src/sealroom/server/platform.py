"""What every service of a running server shares."""

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sealroom.core.wire.terms import Tee
from sealroom.server.blobs import BlobStore
from sealroom.server.config import ServerConfig
from sealroom.server.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """Configuration, database and blobs; `wake` tells the background thread that there is something to do."""

    config: ServerConfig
    store: Store
    blobs: BlobStore
    tee: Tee
    secret: bytes = field(repr=False)
    wake: threading.Event = field(default_factory=threading.Event)

    def now(self) -> datetime:
        """Return the time by the host's clock: for ordering and waiting, never for trust."""
        return datetime.now(UTC)

    def close(self) -> None:
        """Let the database go."""
        self.store.close()
