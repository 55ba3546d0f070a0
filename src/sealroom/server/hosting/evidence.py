"""What a waiting or running service proves about itself, as one file for everybody who wants to check.

Nothing is verified here: whoever seals or calls does that at home.
Spec: docs/spec/services.md, "Evidence file".
"""

from sealroom import __version__
from sealroom.core.errors import MalformedError
from sealroom.core.measurement.template import ARGUMENTS_PATH, CODE_FOLDER
from sealroom.core.wire.bundle import MAX_MANIFEST_BYTES, MAX_PAL_BYTES, MAX_SOURCE_BYTES
from sealroom.core.wire.code_list import MAX_CODE_LIST_BYTES, REQUIREMENTS, ServiceCode
from sealroom.core.wire.service_arguments import MAX_SERVICE_ARGUMENTS_BYTES
from sealroom.core.wire.service_evidence import ServiceEvidence
from sealroom.core.wire.service_spool import CERTIFICATE, CODE_LIST, MAX_CERTIFICATE_BYTES
from sealroom.server.hosting.folder import HostedService
from sealroom.server.launchers.published import (
    COLLATERAL,
    MANIFEST,
    PAL,
    read_collateral,
    read_part,
    read_sigstruct,
)


def compose_evidence(service: HostedService) -> ServiceEvidence | None:
    """Compose the evidence of a service; `None` before it showed its certificate.

    Raises `MalformedError` where a file of the launch folder was changed.
    """
    folder, spool = service.folder, service.spool
    certificate = spool.read(CERTIFICATE, max_bytes=MAX_CERTIFICATE_BYTES)
    if certificate is None or not (folder / COLLATERAL).exists():
        return None
    code_list = spool.read(CODE_LIST, max_bytes=MAX_CODE_LIST_BYTES)
    if code_list is None:
        raise MalformedError(f"{folder}: the list of the code is gone")
    requirements = folder / CODE_FOLDER / REQUIREMENTS
    return ServiceEvidence(
        release=__version__,
        certificate=certificate.decode("ascii", "replace"),
        collateral=read_collateral(folder),
        manifest=read_part(folder / MANIFEST, MAX_MANIFEST_BYTES),
        arguments=read_part(folder / ARGUMENTS_PATH, MAX_SERVICE_ARGUMENTS_BYTES),
        requirements=read_part(requirements, MAX_SOURCE_BYTES) if requirements.exists() else None,
        code_list=ServiceCode.from_json(code_list),
        sigstruct=read_sigstruct(folder),
        pal=read_part(folder / PAL, MAX_PAL_BYTES),
    )
