"""Vectors of the measured arguments, the lists, deliveries and report data.

Written against the specification pages with the standard library and PyNaCl alone, so that the vectors do not
agree with the product by sharing its code. `make_wire_vectors.py` writes them.
"""

import base64
import hashlib
import json
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field

from nacl.signing import SigningKey

UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
OTHER_UUID = "1f8fad5b-d9cb-469f-a165-70867728950e"
CODE, NORTH, SOUTH, ENCLAVE, RUN, THIEF = (SigningKey(bytes([n]) * 32) for n in range(0x21, 0x27))
SMALL_ORDER = b"\x01" + bytes(31)
INTERPRETER = ["python3", "-I", "-S", "-B", "/sealroom/start.py"]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One folder of vectors."""

    name: str
    format: str
    layer: str
    why: str
    input: bytes
    files: dict[str, str] = field(default_factory=dict)

    def contents(self) -> dict[str, bytes]:
        """Return the folder's files."""
        expect = f"format: {self.format}\nlayer: {self.layer}\nwhy: {self.why}\n"
        extra = {name: f"{text}\n".encode() for name, text in self.files.items()}
        return {"input": self.input, "expect": expect.encode(), **extra}


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def public(key: SigningKey) -> bytes:
    return bytes(key.verify_key)


def dump(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


# --- measured arguments ---


def argument_items() -> list[str]:
    return [
        "format=1",
        "tee=simulated",
        "delivery=1",
        f"computation={UUID}",
        "owner=owner@clinic.example",
        f"code-provider=code@clinic.example={public(CODE).hex()}",
        f"data-provider=north@clinic.example={public(NORTH).hex()}",
        f"data-provider=south@clinic.example={public(SOUTH).hex()}",
        f"result-consumer=north@clinic.example={public(NORTH).hex()}",
        "logs=participants",
        "max-output-bytes=1048576",
        "max-log-bytes=65536",
        "max-seconds=600",
        "max-memory=2147483648",
        "entry=run.py",
        f"code={code_digest(CODE_FILES).hex()}",
        f"packages={'00' * 32}",
        f"launch={'0123456789abcdef' * 2}",
    ]


def nul_ended(items: list[str]) -> bytes:
    return b"".join(item.encode() + b"\0" for item in items)


def arguments_file(items: list[str], interpreter: list[str] | None = None) -> bytes:
    return nul_ended(INTERPRETER if interpreter is None else interpreter) + nul_ended(items)


def agreement(items: list[str]) -> bytes:
    return sha(b"sealroom/v1/agreement\0" + nul_ended(items))


def terms(items: list[str]) -> bytes:
    kept = [item for item in items if not item.startswith(("code=", "packages=", "launch="))]
    people = ("code-provider=", "data-provider=", "result-consumer=")
    bare = [item.rpartition("=")[0] if item.startswith(people) else item for item in kept]
    return sha(b"sealroom/v1/terms\0" + nul_ended(bare))


def accepted_arguments(name: str, why: str, items: list[str]) -> Case:
    digests = {"agreement": agreement(items).hex(), "terms": terms(items).hex()}
    return Case(
        name=name, format="arguments", layer="accept", why=why, input=arguments_file(items), files=digests
    )


def argument_cases() -> Iterator[Case]:
    good = argument_items()
    nobody = [item for item in good if not item.startswith(("data-", "result-"))]
    why = "Two data providers, one of them also consumer with one key."
    yield accepted_arguments("arguments-whole", why, good)
    yield accepted_arguments("arguments-alone", "A code provider alone is a valid computation.", nobody)
    for name, (position, items, why) in (argument_values() | argument_people()).items():
        raw = arguments_file([*good[:position], *items, *good[position + 1 :]])
        yield Case(name=f"arguments-{name}", format="arguments", layer="parse", why=why, input=raw)
    for name, (raw, why) in argument_files().items():
        yield Case(name=f"arguments-{name}", format="arguments", layer="parse", why=why, input=raw)


Changes = dict[str, tuple[int, list[str], str]]


def argument_values() -> Changes:
    """Return changes of one item: its position, what stands there instead, and why that is refused."""
    good = argument_items()
    homograph = "owner=\N{CYRILLIC SMALL LETTER O}wner@clinic.example"
    return {
        "repeated": (12, [good[12], good[12]], "max-seconds stands twice."),
        "missing": (12, [], "max-seconds is missing."),
        "abbreviated": (12, ["max-sec=600"], "max-sec is no item."),
        "format-2": (0, ["format=2"], "Only format 1 exists."),
        "tee": (1, ["tee=sev"], "The TEE is of no known kind."),
        "delivery": (2, ["delivery=2"], "The delivery form is of no known kind."),
        "uuid-upper-case": (3, [f"computation={UUID.upper()}"], "The UUID is not in lower case."),
        "uuid-version-1": (3, [f"computation={UUID[:14]}1{UUID[15:]}"], "The UUID is not random."),
        "owner-homograph": (4, [homograph], "A Cyrillic letter stands for a Latin one."),
        "owner-upper-case": (4, ["owner=Owner@clinic.example"], "Addresses are lower case."),
        "logs": (9, ["logs=all"], "The log release is of no known kind."),
        "number-leading-zero": (12, ["max-seconds=0600"], "A number has one spelling."),
        "number-plus": (12, ["max-seconds=+600"], "A number has one spelling."),
        "number-zero-seconds": (12, ["max-seconds=0"], "A run of no seconds cannot be."),
        "number-too-large": (13, [f"max-memory={2**63}"], "Numbers end at 2 to the 63rd minus 1."),
        "entry": (14, ["entry=main.py"], "The entry point is always run.py."),
        "code-short": (15, [good[15][:-2]], "A digest has 64 digits."),
        "launch-long": (17, [good[17] + "00"], "A launch has 32 digits."),
        "item-after-the-end": (17, [good[17], "debug=1"], "Nothing follows the launch."),
        "empty-item": (17, [good[17], ""], "An empty item stands after the last."),
    }


def argument_people() -> Changes:
    """Return changes of a participant's item, as `argument_values` does."""
    good = argument_items()
    key = public(NORTH).hex()
    north = good[6].removesuffix(key)
    second = f"code-provider=south@clinic.example={public(SOUTH).hex()}"
    extra = f"data-provider=extra@clinic.example={key}"
    off_curve = "02" + "00" * 31
    second_encoding = "ee" + "ff" * 30 + "7f"
    return {
        "no-code-provider": (5, [], "Exactly one code provider is needed."),
        "two-code-providers": (5, [good[5], second], "Exactly one code provider is allowed."),
        "key-upper-case": (6, [north + key.upper()], "Keys are lower-case hexadecimal."),
        "key-missing": (6, [north.removesuffix("=")], "A participant without a key cannot deliver."),
        "key-small-order": (6, [north + SMALL_ORDER.hex()], "Such a key verifies what nobody signed."),
        "key-second-encoding": (6, [north + second_encoding], "The point has another, canonical encoding."),
        "key-off-curve": (6, [north + off_curve], "No point of the curve is encoded so."),
        "same-slot-twice": (7, [good[6]], "One person stands twice in a role."),
        "same-email-two-keys": (7, [north + public(THIEF).hex()], "One e-mail stands twice in a role."),
        "one-key-two-emails": (7, [extra], "One key stands under two e-mails."),
    }


def argument_files() -> dict[str, tuple[bytes, str]]:
    """Return whole files that are refused, and why."""
    good = argument_items()
    whole = arguments_file(good)
    swapped = [*good[:12], good[13], good[12], *good[14:]]
    consumer_first = [*good[:6], good[8], good[6], good[7], *good[9:]]
    open_interpreter = arguments_file(good, ["python3", *INTERPRETER[2:]])
    return {
        "reordered": (arguments_file(swapped), "Two limits stand in another order."),
        "roles-reordered": (arguments_file(consumer_first), "A consumer stands before the data providers."),
        "not-ended": (whole[:-1], "The last item is not ended by NUL."),
        "interpreter": (open_interpreter, "The interpreter would read the environment."),
        "items-alone": (nul_ended(good), "The file begins with the interpreter's arguments."),
        "empty": (b"", "Nothing is no contract."),
    }


# --- lists ---

File = tuple[str, int, bytes]
CODE_FILES: list[File] = [("model/fit.py", 4196, b"\xa2" * 32), ("run.py", 120, b"\xa1" * 32)]
INPUT_FILES: list[File] = [("süd.csv", 301, b"\xb2" * 32), ("a.csv", 300, b"\xb1" * 32)]


def code_digest(files: list[File]) -> bytes:
    parts = [b"sealroom/v1/code\0", len(files).to_bytes(4, "big")]
    for path, size, digest in files:
        parts += [len(path.encode()).to_bytes(2, "big"), path.encode(), size.to_bytes(8, "big"), digest]
    return sha(b"".join(parts))


def code_json(files: list[File]) -> bytes:
    return dump({"files": [[path, size, digest.hex()] for path, size, digest in files]})


def input_json(files: list[File]) -> bytes:
    return dump({"files": [{"name": n, "size": s, "sha256": d.hex()} for n, s, d in files]})


def list_cases() -> Iterator[Case]:
    def case(name: str, format_: str, layer: str, why: str, raw: bytes, **files: str) -> Case:
        return Case(name=f"{format_}-{name}", format=format_, layer=layer, why=why, input=raw, files=files)

    inputs, one = input_json(INPUT_FILES), INPUT_FILES[1]
    yield case("whole", "input-list", "accept", "The order is the provider's, not sorted.", inputs)
    yield case("empty", "input-list", "accept", "No files are a commitment too.", input_json([]))
    refused_names = {
        "slash": ("a/b", "A name holds no slash."),
        "parent": ("..", "Two dots name a folder."),
        "control": ("a\x1b[2J", "A control character could command a terminal."),
        "not-nfc": (
            unicodedata.normalize("NFD", "süd.csv"),
            "The name has a second spelling that looks the same.",
        ),
        "too-long": ("x" * 256, "Names end at 255 bytes."),
        "no-name": ("", "A name has at least one byte."),
        "surrogate": ("\ud800", "UTF-8 cannot express the name."),
    }
    for name, (text, why) in refused_names.items():
        yield case(name, "input-list", "parse", why, input_json([(text, 1, bytes(32))]))
    yield case("name-twice", "input-list", "parse", "Names are distinct.", input_json([one, one]))
    refused_bytes = {
        "space": (inputs.replace(b":", b": ", 1), "White space is a second encoding."),
        "newline": (inputs + b"\n", "Trailing bytes are a second encoding."),
        "utf-8": (inputs.replace(b"\\u00fc", "ü".encode()), "Other characters are escaped, always."),
        "escape": (inputs.replace(b"a.csv", b"\\u0061.csv"), "ASCII is not escaped."),
        "upper-escape": (inputs.replace(b"u00fc", b"u00FC"), "Escapes are lower case."),
        "upper-digest": (inputs.replace(b"b1" * 32, b"B1" * 32), "Digests are lower case."),
        "member-twice": (inputs.replace(b'"size":300', b'"size":300,"size":300'), "A member stands once."),
        "member-unknown": (inputs[:-1] + b',"more":1}', "No members but the listed ones."),
        "member-order": (
            inputs.replace(b'"name":"a.csv","size":300', b'"size":300,"name":"a.csv"'),
            "Members have one order.",
        ),
        "fraction": (inputs.replace(b"300", b"300.0"), "Sizes are integers."),
        "true": (inputs.replace(b"300", b"true"), "True is no number."),
        "negative": (inputs.replace(b"300", b"-300"), "Sizes are not negative."),
        "huge": (inputs.replace(b"300", b"9" * 5000), "A number of 5000 digits is not even read."),
        "nested": (b"[" * 200_000, "Deep nesting ends in a refusal, not in a crash."),
        "mark": (b"\xef\xbb\xbf" + inputs, "There is no byte order mark."),
    }
    for name, (raw, why) in refused_bytes.items():
        yield case(name, "input-list", "parse", why, raw)
    digest = code_digest(CODE_FILES).hex()
    yield case(
        "whole", "code-list", "accept", "A clear and an encrypted file.", code_json(CODE_FILES), digest=digest
    )
    entry = CODE_FILES[1]
    refused_code: dict[str, tuple[list[File], str]] = {
        "unsorted": (CODE_FILES[::-1], "Paths are sorted by their bytes."),
        "path-twice": ([entry, entry], "A path stands once."),
        "no-entry": (CODE_FILES[:1], "Everybody must be able to read run.py."),
        "parent": ([("../run.py", 1, bytes(32)), entry], "A path stays in its folder."),
        "absolute": ([("/a", 1, bytes(32)), entry], "A path is relative."),
        "empty-part": ([("a//b", 1, bytes(32)), entry], "A path has one spelling."),
        "file-is-folder": ([("a", 1, bytes(32)), ("a/b", 1, bytes(32)), entry], "A file is no folder."),
    }
    spaced = code_json(CODE_FILES).replace(b",", b", ", 1)
    yield case("space", "code-list", "parse", "White space is a second encoding.", spaced)
    for name, (files, why) in refused_code.items():
        yield case(name, "code-list", "parse", why, code_json(files))


def code_signature_cases() -> Iterator[Case]:
    raw = code_json(CODE_FILES)
    message = b"sealroom/v1/code-signature\0" + bytes.fromhex(UUID.replace("-", "")) + code_digest(CODE_FILES)
    other = message.replace(bytes.fromhex(UUID.replace("-", "")), bytes.fromhex(OTHER_UUID.replace("-", "")))
    unlabelled = message.partition(b"\0")[2]

    def case(name: str, layer: str, why: str, signature: bytes, key: bytes | None = None) -> Case:
        files = {"computation": UUID, "public_key": (key or public(CODE)).hex(), "signature": signature.hex()}
        return Case(
            name=f"code-signature-{name}",
            format="code-signature",
            layer=layer,
            why=why,
            input=raw,
            files=files,
        )

    good = CODE.sign(message).signature
    yield case("whole", "accept", "Label, UUID and digest of the list.", good)
    yield case("other-computation", "verify", "Signed for another computation.", CODE.sign(other).signature)
    yield case("other-key", "verify", "Signed by somebody else.", THIEF.sign(message).signature)
    yield case("no-label", "verify", "The label is part of what is signed.", CODE.sign(unlabelled).signature)
    yield case(
        "small-order", "verify", "This key verifies what nobody signed.", SMALL_ORDER + bytes(32), SMALL_ORDER
    )


# --- deliveries and report data ---


def statement(role: int = 2, sender: bytes | None = None, commitment: bytes = b"\xcc" * 32) -> bytes:
    keys = public(ENCLAVE) + bytes(ENCLAVE.verify_key.to_curve25519_public_key())
    return (
        agreement(argument_items())
        + b"\xee" * 32
        + keys
        + bytes((role,))
        + (sender or public(NORTH))
        + commitment
    )


def delivery_signature(raw_statement: bytes, box: bytes, key: SigningKey) -> bytes:
    digest = sha(b"sealroom/v1/statement\0" + raw_statement)
    return key.sign(b"sealroom/v1/delivery\0" + digest + sha(box)).signature


def delivery(raw_statement: bytes, box: bytes, key: SigningKey) -> bytes:
    return b"\x01" + raw_statement + box + delivery_signature(raw_statement, box, key)


def delivery_cases() -> Iterator[Case]:
    def case(name: str, layer: str, why: str, raw: bytes) -> Case:
        return Case(name=f"delivery-{name}", format="delivery", layer=layer, why=why, input=raw)

    box = bytes(range(144))
    good = delivery(statement(), box, NORTH)
    yield case("whole", "accept", "A data provider's delivery.", good)
    yield case("short", "parse", "A delivery has 402 bytes.", good[:-1])
    yield case("long", "parse", "A delivery has 402 bytes.", good + b"\0")
    yield case("version-0", "parse", "Only version 1 exists.", b"\0" + good[1:])
    yield case("role-0", "parse", "Roles are 1, 2 and 3.", delivery(statement(role=0), box, NORTH))
    yield case("role-4", "parse", "Roles are 1, 2 and 3.", delivery(statement(role=4), box, NORTH))
    yield case(
        "signed-by-another", "verify", "The signature is not the sender's.", delivery(statement(), box, THIEF)
    )
    yield case(
        "other-box", "verify", "The signature is over another box.", good[:194] + bytes(144) + good[338:]
    )
    other = statement(commitment=b"\xcd" * 32) + box + good[338:]
    yield case("other-commitment", "verify", "The signature is over another statement.", b"\x01" + other)
    moved = statement(role=3) + box + good[338:]
    yield case("other-role", "verify", "A delivery cannot be moved to another role.", b"\x01" + moved)
    forged = b"\x01" + statement(sender=SMALL_ORDER) + box + SMALL_ORDER + bytes(32)
    yield case("small-order", "verify", "This key verifies what nobody signed.", forged)
    order = 2**252 + 27742317777372353535851937790883648493
    scalar = (int.from_bytes(good[-32:], "little") + order).to_bytes(32, "little")
    yield case("second-signature", "verify", "The scalar is not reduced.", good[:-32] + scalar)


def report_data_cases() -> Iterator[Case]:
    identity, box = public(ENCLAVE), bytes(ENCLAVE.verify_key.to_curve25519_public_key())
    files = {"identity_pk": identity.hex(), "box_pk": box.hex()}
    good = sha(identity) + box
    cases = {
        "whole": ("accept", "Digest of the identity key, then the box key.", good),
        "identity": ("verify", "Binds another identity key.", sha(public(THIEF)) + box),
        "box": ("verify", "Binds another box key.", good[:63] + bytes((good[63] ^ 1,))),
        "swapped": ("verify", "The halves are swapped.", good[32:] + good[:32]),
        "zeros": ("verify", "The second half is unused.", good[:32] + bytes(32)),
        "short": ("verify", "All 64 bytes are checked.", good[:63]),
    }
    for name, (layer, why, raw) in cases.items():
        yield Case(
            name=f"report-data-{name}", format="report-data", layer=layer, why=why, input=raw, files=files
        )
