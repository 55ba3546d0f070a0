"""The refusals of the server, each with a stable code: this table is the one place that maps codes to HTTP.

A body is always `{"error": {"code", "message", "got", "expected", "details"}}`. Messages never hold a token,
a key delivery's box or file contents. Spec: docs/spec/api.md.
"""

from enum import Enum

from sealroom.core.errors import SealroomError

Detail = str | int | bool | None | list[str]


class ErrorCode(Enum):
    """Stable code and HTTP status of every refusal. The code is for programs, the message for people."""

    # The request itself
    MALFORMED = ("malformed", 400)
    NOT_FOUND = ("not_found", 404)
    METHOD_NOT_ALLOWED = ("method_not_allowed", 405)
    TOO_LARGE = ("too_large", 413)
    RANGE = ("range_not_satisfiable", 416)
    INTERNAL = ("internal", 500)
    # Who asks
    UNAUTHORIZED = ("unauthorized", 401)
    EMAIL_TAKEN = ("email_taken", 409)
    WRONG_ROLE = ("wrong_role", 403)
    # Repeated requests
    IDEMPOTENCY_KEY = ("idempotency_key", 400)
    IDEMPOTENCY_KEY_REUSED = ("idempotency_key_reused", 409)
    # Computations
    UNKNOWN_COMPUTATION = ("unknown_computation", 404)
    COMPUTATION_EXISTS = ("computation_exists", 409)
    UNSUPPORTED = ("unsupported", 400)
    WRONG_STATE = ("wrong_state", 409)
    # Keys of participants
    KEY_TAKEN = ("key_taken", 409)
    KEY_DIFFERS = ("key_differs", 409)
    NOT_REGISTERED = ("not_registered", 409)
    # Code
    ARCHIVE = ("archive", 400)
    ENTRY_MISSING = ("entry_missing", 400)
    REQUIREMENTS = ("requirements", 400)
    WHEELS_MISSING = ("wheels_missing", 409)
    WHEELS_REFUSED = ("wheels_refused", 422)
    UNKNOWN_WHEEL = ("unknown_wheel", 404)
    CODE_SIGNATURE = ("code_signature", 422)
    NO_CODE = ("no_code", 404)
    # Data
    UNKNOWN_UPLOAD = ("unknown_upload", 404)
    UPLOAD_DIFFERS = ("upload_differs", 409)
    UPLOAD_OFFSET = ("upload_offset", 409)
    UPLOAD_BUSY = ("upload_busy", 409)
    UPLOAD_DIGEST = ("upload_digest", 422)
    UPLOAD_INCOMPLETE = ("upload_incomplete", 409)
    TOO_MANY_UPLOADS = ("too_many_uploads", 409)
    DATA_DIFFERS = ("data_differs", 409)
    DATA_DELIVERED = ("data_delivered", 409)
    DATA_NOT_DONE = ("data_not_done", 409)
    # Key deliveries
    NO_EVIDENCE = ("no_evidence", 404)
    DELIVERY_LENGTH = ("delivery_length", 400)
    DELIVERY_AGREEMENT = ("delivery_agreement", 422)
    DELIVERY_MRENCLAVE = ("delivery_mrenclave", 422)
    DELIVERY_KEYS = ("delivery_keys", 422)
    DELIVERY_SENDER = ("delivery_sender", 422)
    DELIVERY_NOT_YOURS = ("delivery_not_yours", 403)
    DELIVERY_COMMITMENT = ("delivery_commitment", 422)
    DELIVERY_SIGNATURE = ("delivery_signature", 422)
    DELIVERY_SLOT = ("delivery_slot", 409)
    TOO_MANY_DELIVERIES = ("too_many_deliveries", 409)
    # What came out
    NO_RECEIPT = ("no_receipt", 404)
    NO_LOG = ("no_log", 404)
    UNKNOWN_RESULT = ("unknown_result", 404)

    @property
    def code(self) -> str:
        """The stable word in the body."""
        return self.value[0]

    @property
    def status(self) -> int:
        """The HTTP status that goes with it."""
        return self.value[1]


class ServiceError(SealroomError):
    """A request that the server refuses, with what it got and what it expected where that helps."""

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        got: Detail = None,
        expected: Detail = None,
        details: dict[str, Detail] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.got = got
        self.expected = expected
        self.details = details or {}

    def body(self) -> dict[str, object]:
        """Return the JSON that the caller reads."""
        error: dict[str, object] = {"code": self.code.code, "message": str(self)}
        if self.got is not None:
            error["got"] = self.got
        if self.expected is not None:
            error["expected"] = self.expected
        if self.details:
            error["details"] = self.details
        return {"error": error}
