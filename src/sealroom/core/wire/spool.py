"""Names and sizes in the folder that an enclave and its host share (docs/spec/spool.md).

Host memory, so hostile: names are fixed or made from indexes that the reader counts itself, sizes are
bounded before reading. Must never make a name from a message.
"""

from dataclasses import dataclass

from sealroom.core.errors import MalformedError
from sealroom.core.wire import strict_json
from sealroom.core.wire.byte_fields import KEY_SIZE, SIGNATURE_SIZE, check_size, parse_choice
from sealroom.core.wire.code_list import MAX_CODE_LIST_BYTES
from sealroom.core.wire.delivery import DELIVERY_SIZE, DeliveryRefusal
from sealroom.core.wire.dsse import MAX_ENVELOPE_BYTES
from sealroom.core.wire.input_list import MAX_INPUT_FILES, MAX_INPUT_LIST_BYTES
from sealroom.core.wire.participants import MAX_PARTICIPANTS
from sealroom.core.wire.report_data import MAX_QUOTE_BYTES

# Appended while a file is written; a reader sees the final name only when the file is whole.
TEMPORARY_SUFFIX = ".tmp"

# host -> enclave
INBOX = "inbox"
INPUTS = "inputs"
END = "end"
# The list of the program's files and its provider's signature; both are there before the enclave starts.
CODE_LIST = "code-list"
CODE_SIGNATURE = "code-signature"
END_CANCELLED = b"cancelled"
END_EXPIRED = b"expired"
MAX_END_BYTES = 16
MAX_INBOX = 4096
INBOX_BYTES = DELIVERY_SIZE

# enclave -> host
PUBLIC = "public"
PUBLIC_BYTES = 2 * KEY_SIZE
QUOTE = "quote"
ANSWERS = "answers"
MAX_ANSWER_BYTES = 64
OPENING = "opening"
CLOSING = "closing"
REFUSAL = "refusal"
RESULTS = "results"
LOG = "log"
LOG_KEYS = "log-keys"
LOG_KEY_SIZE = 32
LOG_KEY_ENTRY_SIZE = KEY_SIZE + 80
# An entry for each reader, and the key in the clear behind them when logs are public.
MAX_LOG_KEYS_BYTES = (2 * MAX_PARTICIPANTS + 1) * LOG_KEY_ENTRY_SIZE + LOG_KEY_SIZE
MAX_RESULT_FILES = 4096

MAX_BYTES = {
    END: MAX_END_BYTES,
    CODE_LIST: MAX_CODE_LIST_BYTES,
    CODE_SIGNATURE: SIGNATURE_SIZE,
    PUBLIC: PUBLIC_BYTES,
    QUOTE: MAX_QUOTE_BYTES,
    OPENING: MAX_ENVELOPE_BYTES,
    CLOSING: MAX_ENVELOPE_BYTES,
    REFUSAL: MAX_ENVELOPE_BYTES,
    LOG_KEYS: MAX_LOG_KEYS_BYTES,
}
MAX_LIST_BYTES = MAX_INPUT_LIST_BYTES


def inbox_name(number: int) -> str:
    """Return the name of the delivery with this `number`, counted from 0."""
    return f"{INBOX}/{_index(number, below=MAX_INBOX)}"


def answer_name(number: int) -> str:
    """Return the name of the answer to the delivery with this `number`."""
    return f"{ANSWERS}/{_index(number, below=MAX_INBOX)}"


def input_list_name(provider: int) -> str:
    """Return the name of a Data Provider's input list, by the provider's index."""
    return f"{INPUTS}/{_index(provider, below=MAX_PARTICIPANTS)}/list"


def input_name(provider: int, number: int) -> str:
    """Return the name of the ciphertext of one input, by its place in the provider's list."""
    return f"{INPUTS}/{_index(provider, below=MAX_PARTICIPANTS)}/{_index(number, below=MAX_INPUT_FILES)}"


def result_name(consumer: int, number: int) -> str:
    """Return the name of one sealed result, by the consumer's index and the order of writing."""
    return f"{RESULTS}/{_index(consumer, below=MAX_PARTICIPANTS)}/{_index(number, below=MAX_RESULT_FILES)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKeys:
    """The enclave's two public keys as it writes them beside its quote."""

    identity_pk: bytes
    box_pk: bytes

    def __post_init__(self) -> None:
        check_size(self.identity_pk, field="identity_pk", size=KEY_SIZE)
        check_size(self.box_pk, field="box_pk", size=KEY_SIZE)

    def to_bytes(self) -> bytes:
        """Return the 64 bytes."""
        return self.identity_pk + self.box_pk

    @classmethod
    def from_bytes(cls, raw: bytes) -> "PublicKeys":
        """Read the 64 bytes."""
        check_size(raw, field="public keys", size=PUBLIC_BYTES)
        return cls(identity_pk=raw[:KEY_SIZE], box_pk=raw[KEY_SIZE:])


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The enclave's answer to one delivery: `refused` is `None` when it was admitted."""

    refused: DeliveryRefusal | None = None

    def to_bytes(self) -> bytes:
        """Return the answer in its one encoding."""
        if self.refused is None:
            return strict_json.encode_json({"admitted": True})
        return strict_json.encode_json({"refused": self.refused.value})

    @classmethod
    def from_bytes(cls, raw: bytes) -> "Answer":
        """Read an answer; raises `MalformedError` for anything but its one encoding."""
        value = strict_json.decode_json(raw, field="answer", max_bytes=MAX_ANSWER_BYTES)
        if value == {"admitted": True}:
            answer = cls()
        else:
            (reason,) = strict_json.members(value, ("refused",), field="answer")
            text = strict_json.text(reason, field="answer")
            answer = cls(refused=parse_choice(DeliveryRefusal, text, field="answer"))
        strict_json.check_canonical(raw, answer.to_bytes(), field="answer")
        return answer


def _index(number: int, *, below: int) -> str:
    if not 0 <= number < below:
        raise MalformedError(f"spool index: expected a number from 0 to {below - 1}")
    return str(number)
