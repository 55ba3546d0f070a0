"""Vectors of deliveries, commitments, invitations, logs, words and the output key."""

import hashlib
import json
import struct
from collections.abc import Iterator

import sealing_reference as ref
from sealing_container_cases import (
    BOX_PK,
    COMPUTATION,
    OTHER_BOX_PK,
    OTHER_COMPUTATION,
    OTHER_OWNER,
    OWNER,
    SALT,
    Case,
)

FIRST_SEED, SECOND_SEED, CODE_SEED = b"\x02" * 32, b"\x03" * 32, b"\x01" * 32
BOX_SECRET = b"\x09" * 32
EPHEMERAL = b"\x0b" * 32
PRESHARED, DATA_KEY = b"\x50" * 32, b"\x60" * 32
COMMITMENT = b"\x0c" * 32
CODE, DATA, RESULT = 1, 2, 3


def statement(*, role: int = DATA, sender: bytes = FIRST_SEED, commitment: bytes = COMMITMENT) -> bytes:
    identity = ref.public_of(b"\x08" * 32)
    fields = (b"\x0d" * 32, b"\x0e" * 32, identity, BOX_PK, bytes([role]), ref.public_of(sender), commitment)
    return b"".join(fields)


def box_of(inside: bytes, public: bytes = BOX_PK) -> bytes:
    digest = ref.sha256(b"sealroom/v1/statement\0", inside)
    return ref.sealed_box(digest + PRESHARED + DATA_KEY, public, ephemeral=EPHEMERAL)


def delivery(outside: bytes, box: bytes, *, signer: bytes = FIRST_SEED) -> bytes:
    digest = ref.sha256(b"sealroom/v1/statement\0", outside)
    signature = ref.sign(signer, b"sealroom/v1/delivery\0" + digest + ref.sha256(box))
    return b"\x01" + outside + box + signature


def delivery_cases() -> Iterator[Case]:
    """Every signature here holds: what must refuse lies behind it."""

    def case(name: str, layer: str, why: str, raw: bytes) -> Case:
        files = {"box-secret": BOX_SECRET.hex(), "preshared-key": PRESHARED.hex(), "data-key": DATA_KEY.hex()}
        return Case(name=f"delivery-{name}", format="delivery", layer=layer, why=why, input=raw, files=files)

    own = statement()
    yield case("whole", "accept", "The box opens and names its statement.", delivery(own, box_of(own)))
    code = statement(role=CODE, sender=CODE_SEED, commitment=bytes(32))
    raw = delivery(code, box_of(code), signer=CODE_SEED)
    yield case("code-provider", "accept", "A Code Provider commits to no inputs.", raw)
    second = statement(sender=SECOND_SEED)
    raw = delivery(second, box_of(own), signer=SECOND_SEED)
    why = "One hospital's box was signed again as a second hospital."
    yield case("resigned-box", "box-of-another-statement", why, raw)
    moved = statement(role=RESULT, commitment=bytes(32))
    why = "The box was moved to another role of its sender."
    yield case("moved-role", "box-of-another-statement", why, delivery(moved, box_of(own)))
    recommitted = statement(commitment=b"\x0f" * 32)
    why = "The box was made for another commitment."
    yield case("other-commitment", "box-of-another-statement", why, delivery(recommitted, box_of(own)))
    foreign = box_of(own, OTHER_BOX_PK)
    yield case(
        "other-enclave", "box-unreadable", "The box is sealed to another enclave.", delivery(own, foreign)
    )
    changed = box_of(own)[:-1] + bytes([box_of(own)[-1] ^ 1])
    yield case(
        "changed-box", "box-unreadable", "The box was changed before it was signed.", delivery(own, changed)
    )
    without = statement(commitment=bytes(32))
    why = "A Data Provider must commit to its inputs."
    yield case("no-commitment", "commitment", why, delivery(without, box_of(without)))
    consumer = statement(role=RESULT)
    why = "A Result Consumer has nothing to commit to."
    yield case("consumer-commits", "commitment", why, delivery(consumer, box_of(consumer)))


Files = list[tuple[str, int, bytes]]


def commitment_cases() -> Iterator[Case]:
    a, b, c = (
        (f"{name}.csv", 1000 + octet, bytes([octet]) * 32) for octet, name in ((1, "a"), (2, "b"), (3, "é"))
    )
    made = ref.commitment([a, b], computation=COMPUTATION, sender=OWNER)

    def case(name: str, layer: str, why: str, files: Files, **change: str) -> Case:
        listed = [{"name": n, "size": size, "sha256": digest.hex()} for n, size, digest in files]
        raw = json.dumps({"files": listed}, ensure_ascii=True, separators=(",", ":")).encode()
        texts = {"computation": str(COMPUTATION), "sender": OWNER.hex(), "commitment": made.hex()} | change
        return Case(
            name=f"commitment-{name}", format="commitment", layer=layer, why=why, input=raw, files=texts
        )

    yield case("whole", "accept", "Names, sizes and digests in their order.", [a, b])
    empty = ref.commitment([], computation=COMPUTATION, sender=OWNER).hex()
    yield case("empty", "accept", "No files are a commitment too.", [], commitment=empty)
    accented = ref.commitment([c], computation=COMPUTATION, sender=OWNER).hex()
    yield case("name-utf-8", "accept", "A name's length counts octets.", [c], commitment=accented)
    yield case("dropped", "commitment", "A file was dropped.", [a])
    yield case("added", "commitment", "A file was added.", [a, b, c])
    yield case("swapped", "commitment", "A file was exchanged.", [a, c])
    yield case("reordered", "commitment", "The files stand in another order.", [b, a])
    yield case("renamed", "commitment", "A file has another name.", [a, ("c.csv", *b[1:])])
    yield case("resized", "commitment", "A file has another size.", [a, (b[0], 1, b[2])])
    other = str(OTHER_COMPUTATION)
    yield case("other-computation", "commitment", "It is of another computation.", [a, b], computation=other)
    why = "It is another sender's list."
    yield case("other-sender", "commitment", why, [a, b], sender=OTHER_OWNER.hex())
    yield case("zeros", "commitment", "Zeros commit to nothing.", [], commitment="00" * 32)


def invitation_cases() -> Iterator[Case]:
    body = f"sealroom1:{COMPUTATION}:{ref.base32(bytes(range(16)))}:abandon-ability-zoo"
    line = ref.invitation_line(body)

    def case(name: str, layer: str, why: str, text: str) -> Case:
        return Case(name=f"invitation-{name}", format="invitation", layer=layer, why=why, input=text.encode())

    def changed(name: str, why: str, old: str, new: str) -> Case:
        return case(name, "parse", why, ref.invitation_line(body.replace(old, new)))

    yield case("whole", "accept", "The documented line.", line)
    why = "Another word with a fitting check is for the enclave to find."
    yield case("other-word", "accept", why, ref.invitation_line(body.replace("zoo", "zone")))
    yield case("check", "parse", "A character was changed.", line.replace("zoo", "zone"))
    yield case("line-end", "parse", "A line has no end in it.", line + "\n")
    yield case("check-upper", "parse", "The check is in lower case.", line[:-4] + line[-4:].upper())
    yield changed("scheme", "There is one scheme.", "sealroom1", "sealroom2")
    yield changed("uuid-version", "Computations have random identifiers.", "-4a1d-", "-1a1d-")
    yield changed("uuid-upper", "A uuid is in lower case.", "6a6f1d4e", "6A6F1D4E")
    yield changed("terms-upper", "Base32 is in lower case.", "aaaqe", "AAAQE")
    yield changed("terms-spare-bits", "Spare bits of base32 are zero.", "iob4", "iob5")
    yield changed("terms-padded", "Base32 has no padding.", "iob4", "iob4======")
    yield changed("two-words", "Two words are too few.", "-zoo", "")
    yield changed("unknown-word", "Words come from the list.", "zoo", "zooo")
    yield changed("word-upper", "Words are in lower case.", "zoo", "Zoo")
    yield from _invitation_file_cases(line)


def _invitation_file_cases(line: str) -> Iterator[Case]:
    whole = f"{line}\nserver=https://seal.example.org:8443\nserver-cert={bytes(range(32)).hex()}\n"

    def case(name: str, layer: str, why: str, text: str) -> Case:
        name, kind = f"invitation-file-{name}", "invitation-file"
        return Case(name=name, format=kind, layer=layer, why=why, input=text.encode())

    yield case("whole", "accept", "The documented file.", whole)
    yield case("ipv6", "accept", "An address in brackets.", whole.replace("seal.example.org", "[::1]"))
    yield case("http", "parse", "A server is spoken to over TLS.", whole.replace("https", "http"))
    yield case("path", "parse", "An address has no path.", whole.replace("8443", "8443/"))
    yield case("user", "parse", "An address has no user.", whole.replace("seal.", "me@seal."))
    yield case("port", "parse", "Ports end at 65535.", whole.replace("8443", "65536"))
    yield case("carriage-return", "parse", "Lines end with a line feed.", whole.replace("\n", "\r\n"))
    yield case("not-ended", "parse", "The last line is ended too.", whole[:-1])
    yield case("more", "parse", "There are three lines.", whole + "note=x\n")
    yield case("cert-upper", "parse", "Hex is in lower case.", whole.replace("1a1b", "1A1B"))


def log_cases() -> Iterator[Case]:
    key, text = b"\x70" * 32, b"epoch 1\nepoch 2\n"
    context = ref.Context(computation=COMPUTATION, purpose=4, owner=bytes(32), enclave=BOX_PK, name="log")
    form = ref.bindings.crypto_sign_ed25519_pk_to_curve25519(OWNER)
    keys = OWNER + ref.sealed_box(key, form, ephemeral=EPHEMERAL)

    def case(name: str, layer: str, why: str, padded: bytes, **change: str) -> Case:
        sealed = ref.container(padded, key=key, salt=SALT, context=context, chunk_log2=18)
        texts = {
            "computation": str(COMPUTATION),
            "enclave": BOX_PK.hex(),
            "keys": keys.hex(),
            "reader-seed": FIRST_SEED.hex(),
            "text-sha256": hashlib.sha256(text).hexdigest(),
        }
        return Case(
            name=f"log-{name}", format="log", layer=layer, why=why, input=sealed, files=texts | change
        )

    length = struct.pack(">Q", len(text))
    whole = (length + text).ljust(4096, b"\0")
    yield case("whole", "accept", "The text is padded to 4096.", whole)
    yield case("public", "accept", "The key follows in the clear.", whole, keys=(keys + key).hex())
    yield case("too-much-padding", "parse", "4096 would have held it.", whole.ljust(8192, b"\0"))
    yield case("no-power-of-two", "parse", "The size is a power of two.", whole + b"\0")
    yield case("padding", "parse", "Padding is zeros.", whole[:-1] + b"\1")
    yield case("length", "parse", "The text would end behind the end.", struct.pack(">Q", 4089) + whole[8:])
    yield case("other-launch", "commit", "The log is of another launch.", whole, enclave=OTHER_BOX_PK.hex())
    yield case("keys-twice", "parse", "A reader is named twice.", whole, keys=(keys * 2).hex())
    yield case("keys-length", "parse", "An entry has 112 octets.", whole, keys=keys.hex()[:-2])


def derivation_cases() -> Iterator[Case]:
    words = "abandon-ability-zoo"
    salt = hashlib.sha256(COMPUTATION.bytes).digest()
    derived = hashlib.pbkdf2_hmac("sha256", b"abandonabilityzoo", salt, 390_000)
    yield Case(
        name="words-derive",
        format="words",
        layer="accept",
        why="Words are joined with nothing between.",
        input=words.encode(),
        files={"computation": str(COMPUTATION), "preshared-key": derived.hex()},
    )
    info = b"sealroom/v1/output-key\0" + COMPUTATION.bytes + OWNER
    yield Case(
        name="output-key",
        format="output-key",
        layer="accept",
        why="The salt is the launch's box key.",
        input=DATA_KEY,
        files={
            "computation": str(COMPUTATION),
            "enclave": BOX_PK.hex(),
            "owner": OWNER.hex(),
            "output-key": ref.hkdf32(DATA_KEY, BOX_PK, info).hex(),
        },
    )
