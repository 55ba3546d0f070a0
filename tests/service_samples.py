"""Measured arguments of a service, for tests that change what they are about."""

from uuid import UUID

from sealroom.core.wire.service_arguments import (
    CertificateMode,
    Connections,
    Interface,
    ServiceArguments,
    ServiceLogs,
)
from sealroom.core.wire.terms import Tee

ARGUMENTS = ServiceArguments(
    tee=Tee.SIMULATED,
    service=UUID("6f1f7a0e-6f3e-4b7c-9d0a-4c6f5f3a2b10"),
    name="scoring",
    application="app:app",
    interface=Interface.ASGI,
    health="/health",
    certificate=CertificateMode.RA_TLS,
    hosts=("localhost", "127.0.0.1"),
    port=8443,
    lifetime_days=90,
    bootstrap_seconds=3600,
    connect=Connections.NONE,
    logs=ServiceLogs.NONE,
    max_memory=1 << 30,
    code_digest=bytes(range(32)),
    packages_digest=bytes(32),
    spawn=bytes(16),
)
