"""What an enclave serves an application with: packages of a service, beside those of its own.

They are locked, packed and measured like any other, so that a service's provider decides when they change.
Spec: docs/spec/service-package.md, "requirements.txt".
"""

from collections.abc import Sequence

from sealroom.core.errors import MalformedError
from sealroom.core.measurement.requirements import Requirement

STACK = (
    "a2wsgi>=1.10,<2",
    "cryptography>=50,<51",
    "httptools>=0.9,<0.10",
    "pyopenssl>=26.4,<27",
    "uvicorn>=0.54,<0.55",
    "websockets>=16.1,<17",
)
# Every enclave has them among its measured files: a second copy would be refused by the wheels' rules.
IN_EVERY_ENCLAVE = ("cffi", "pycparser")


def check_stack(requirements: Sequence[Requirement]) -> None:
    """Refuse packages that do not serve an application; which versions do is the enclave's own business."""
    named = {requirement.name for requirement in requirements}
    if missing := [name for name in (line.partition(">")[0] for line in STACK) if name not in named]:
        raise MalformedError(
            f"requirements.txt: {', '.join(missing)} missing, with which an enclave serves the application"
        )
