"""What the checks of a service's evidence are called, demand, mean and advise.

Questions that services share with certificates and computations have the words of those.

Spec: docs/spec/services.md, whose sections under "Verifying" are numbered like the groups and checks here.
"""

from dataclasses import replace

from sealroom.core.evidence.catalogue import CODE, ENCLAVE, MEASUREMENT, PLATFORM, QUOTE
from sealroom.core.evidence.certificate_catalogue import CERTIFICATE, KEY
from sealroom.core.evidence.check_text import CheckText, GroupText
from sealroom.core.evidence.verdict import Blame

_ANOTHER = "Ask the operator what was spawned, and seal nothing to it."

_TAMPERED = "Seal nothing and send nothing: it is not the evidence of that enclave, or not of your release."

_TEXTS = {check.name: check for check in (*MEASUREMENT.checks, *CODE.checks)}
_NAMES = (
    "measurement.pal",
    "measurement.mrenclave",
    "measurement.policy",
    "measurement.arguments",
    "measurement.code-list",
    "measurement.release",
    # Before the manifest, which has their files.
    "code.packages",
    "measurement.manifest",
    "measurement.runtime",
)
_OF_EVIDENCE = (
    "measurement.mrenclave",
    "measurement.arguments",
    "measurement.code-list",
    "measurement.manifest",
)


def _for_services(name: str) -> CheckText:
    return replace(_TEXTS[name], remedy=_TAMPERED) if name in _OF_EVIDENCE else _TEXTS[name]


SERVICE_MEASUREMENT = GroupText(
    name="measurement",
    title="Does it run exactly what was packed?",
    checks=tuple(_for_services(name) for name in _NAMES),
)

SERVICE = GroupText(
    name="service",
    title="Is it the service that you mean?",
    checks=(
        CheckText(
            name="service.tee",
            title="Kind of enclave",
            required="the kind that the quote proves",
            meaning="An enclave that calls itself real is real, and a simulated one says so.",
            remedy=_ANOTHER,
        ),
        CheckText(
            name="service.id",
            title="Application",
            required="the id that you know, where you know one",
            meaning="It is an enclave of this application, under its provider's code key.",
            remedy=_ANOTHER,
        ),
        CheckText(
            name="service.code",
            title="Code",
            required="the code list of your package, recomputed from its files",
            meaning="It runs the files of the package that you have, and no others.",
            remedy="Get the package from its provider again; else the operator spawned another one.",
        ),
        CheckText(
            name="service.configuration",
            title="Configuration",
            required="name, application, interface, health check and connections of your package",
            meaning="The operator calls the application as its provider said, and grants it nothing more.",
            remedy=_ANOTHER,
        ),
        CheckText(
            name="service.host",
            title="Host",
            required="the host that you call, where you call one",
            meaning="The service was spawned to be reached under this name.",
            remedy="Call it by a name that it was spawned for, or ask the operator.",
        ),
        CheckText(
            name="service.logs",
            title="Who reads what it prints",
            required="nobody, unless your policy accepts public logs",
            meaning="Whatever the application prints leaves the enclave for these readers, in the clear.",
            remedy="Ask the operator to spawn it with --logs none, or accept it by a policy file of your own "
            'whose logs include "public" (docs/services.md shows one).',
            blame=Blame.POLICY,
        ),
        CheckText(
            name="service.certificate",
            title="Certificate",
            required="TLS that ends in the enclave, unless you accept a proxy's",
            meaning="What callers send can be read in the enclave only.",
            remedy="Ask the operator to spawn it with --certificate ra-tls or own.",
            blame=Blame.POLICY,
        ),
    ),
)

SERVICE_GROUPS = (CERTIFICATE, QUOTE, PLATFORM, ENCLAVE, SERVICE_MEASUREMENT, SERVICE, KEY)
SERVICE_PAGE = "docs/spec/services.md"
