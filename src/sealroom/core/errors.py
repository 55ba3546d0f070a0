"""The errors of sealroom, by who is to blame.

    SealroomError
    ├── MalformedError            bytes that are not what their format says
    ├── VerificationError         well-formed, and not believed
    │   └── PolicyError           genuine, and not what was asked for
    ├── CollateralError           what is needed to verify is stale or missing
    └── TransportError            the other side did not answer, or answered with an error

Our own misuse is a `ValueError` or `RuntimeError` of Python's. Messages are lower case, name the field, say
got and expected, and never hold a secret.
"""


class SealroomError(Exception):
    """Base of every error that sealroom raises on purpose."""


class MalformedError(SealroomError):
    """Bytes that are not what their format says: the sender's fault."""


class VerificationError(SealroomError):
    """Well-formed input that is not believed."""


class PolicyError(VerificationError):
    """Genuine input that is not what the policy asks for."""


class CollateralError(SealroomError):
    """What is needed to verify is stale or missing."""


class TransportError(SealroomError):
    """The other side did not answer, or answered with an error.

    `code` is the stable error code of the server's answer, or `None` when there was no answer.
    """

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code
