"""What somebody knows about a service before its operator said anything: the package, and what is wished.

Never filled from the evidence: whoever does that checks a claim against itself.
"""

from dataclasses import dataclass
from uuid import UUID

from sealroom.core.measurement.service_config import ServiceConfig
from sealroom.core.measurement.service_package import ServicePackage
from sealroom.core.wire.code_list import ServiceCode


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceExpectations:
    """`code` and `config` are the package's own.

    `service` is the id that a holder of the code key works out, or was told; `None` for any. `host` is what
    will be called, or `None`. `insecure_accept_plain` takes a service behind a proxy, which reads everything.
    """

    code: ServiceCode
    config: ServiceConfig
    service: UUID | None
    host: str | None
    insecure_accept_plain: bool = False

    @classmethod
    def of_package(
        cls,
        package: ServicePackage,
        *,
        service: UUID | None,
        host: str | None,
        insecure_accept_plain: bool = False,
    ) -> "ServiceExpectations":
        """Return what a package that was read says, and what is wished beside it."""
        return cls(
            code=package.code,
            config=package.config,
            service=service,
            host=host,
            insecure_accept_plain=insecure_accept_plain,
        )
