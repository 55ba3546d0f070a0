"""Vectors of the file container: what opens, and every attack on it."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from uuid import UUID

import sealing_reference as ref

COMPUTATION = UUID("6a6f1d4e-1f0c-4a1d-9d3c-0c8f6d1b2a33")
OTHER_COMPUTATION = UUID("0b0e4a52-6f2e-4c5f-8a07-3d2a4f1f9b10")
OWNER = ref.public_of(b"\x02" * 32)
OTHER_OWNER = ref.public_of(b"\x03" * 32)
BOX_PK = ref.box_pair(b"\x09" * 32)[0]
OTHER_BOX_PK = ref.box_pair(b"\x0a" * 32)[0]
KEY, OTHER_KEY = b"\x42" * 32, b"\x43" * 32
SALT, OTHER_SALT = b"\x51" * 32, b"\x52" * 32
CODE, INPUT, RESULT, LOG, SERVICE = range(1, 6)
CONTEXT = ref.Context(
    computation=COMPUTATION, purpose=INPUT, owner=OWNER, enclave=bytes(32), name="table.csv"
)
RESULT_CONTEXT = replace(CONTEXT, purpose=RESULT, enclave=BOX_PK, name="model.json")


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


def plain(size: int) -> bytes:
    """Give `size` octets that no two chunks have in common."""
    blocks = (hashlib.sha256(b"plain %d" % index).digest() for index in range(size // 32 + 1))
    return b"".join(blocks)[:size]


PLAIN = plain(2 * ref.CHUNK + 100)


def seal(plaintext: bytes = PLAIN, *, context: ref.Context = CONTEXT, salt: bytes = SALT) -> bytes:
    return ref.container(plaintext, key=KEY, salt=salt, context=context)


def reading(context: ref.Context = CONTEXT, *, key: bytes = KEY) -> dict[str, str]:
    """Give the files that say how the reader opens it."""
    return {
        "computation": str(context.computation),
        "purpose": str(context.purpose),
        "owner": context.owner.hex(),
        "enclave": context.enclave.hex(),
        "name": context.name,
        "key": key.hex(),
    }


def case(name: str, layer: str, why: str, content: bytes, files: dict[str, str] | None = None) -> Case:
    return Case(
        name=f"container-{name}",
        format="container",
        layer=layer,
        why=why,
        input=content,
        files=files or reading(),
    )


def accepted(name: str, why: str, plaintext: bytes, context: ref.Context = CONTEXT) -> Case:
    files = reading(context) | {"plain-sha256": hashlib.sha256(plaintext).hexdigest()}
    return case(name, "accept", why, seal(plaintext, context=context), files)


def container_cases() -> Iterator[Case]:
    yield from _accepted_cases()
    yield from _header_cases()
    yield from _cut_cases()
    yield from _moved_cases()
    yield from _key_cases()


def _accepted_cases() -> Iterator[Case]:
    yield accepted("empty", "Nothing at all is one empty last chunk.", b"")
    yield accepted("one-byte", "The last chunk may hold one byte.", b"x")
    yield accepted("one-full-chunk", "A full chunk may be the last.", plain(ref.CHUNK))
    yield accepted("two-full-chunks", "Two full chunks have no empty third.", plain(2 * ref.CHUNK))
    yield accepted("three-chunks", "All chunks but the last are full.", PLAIN)
    code = replace(CONTEXT, purpose=CODE, name="model/train.py")
    yield accepted("code", "Code is bound to its path in the archive.", plain(50), code)
    yield accepted("result", "A result is bound to the launch's box key.", plain(50), RESULT_CONTEXT)
    name = replace(CONTEXT, name="données-Ω.csv")
    yield accepted("name-utf-8", "Names are UTF-8, and their length counts octets.", plain(50), name)


def _header_cases() -> Iterator[Case]:
    def changed(place: int, value: bytes) -> bytes:
        sealed = seal(b"hello")
        return sealed[:place] + value + sealed[place + len(value) :]

    yield case("magic", "parse", "Another magic is another format.", changed(0, b"Sealroom"))
    yield case("version-2", "parse", "There is one version.", changed(8, b"\x02"))
    yield case("chunk-log2-11", "parse", "Chunks have at least 4 KiB.", changed(9, b"\x0b"))
    yield case("chunk-log2-25", "parse", "Chunks have at most 16 MiB.", changed(9, b"\x19"))
    yield case("chunk-log2-13", "commit", "The chunk size is part of the subkey.", changed(9, b"\x0d"))
    yield case("reserved", "parse", "Reserved octets are zero.", changed(11, b"\x01"))
    yield case("salt", "commit", "The salt is part of the subkey.", changed(12, OTHER_SALT))
    yield case("commit", "commit", "The commitment is the subkey's.", changed(44, bytes(32)))
    yield case("header-cut", "parse", "A header has 76 octets.", seal()[:75])
    yield case("header-alone", "parse", "Even an empty plaintext has a chunk.", seal()[:76])


def _cut_cases() -> Iterator[Case]:
    sealed, even = seal(), seal(plain(2 * ref.CHUNK))
    one = ref.HEADER + ref.SEALED_CHUNK
    two = one + ref.SEALED_CHUNK
    yield case("cut-after-1", "chunk", "Chunk 0 was not sealed as the last.", sealed[:one])
    yield case("cut-after-2", "chunk", "Chunk 1 was not sealed as the last.", sealed[:two])
    yield case("cut-full-last", "chunk", "A full last chunk is missed as well.", even[:one])
    yield case("cut-in-a-tag", "parse", "No container ends inside a tag.", sealed[: two + 7])
    yield case("cut-in-a-chunk", "chunk", "The last chunk lost an octet.", sealed[:-1])
    yield case("trailing-byte", "chunk", "The last chunk is longer than it was.", sealed + b"\0")
    yield case("trailing-tag", "parse", "An empty chunk stands behind a full one.", even + bytes(16))
    yield case("trailing-chunk", "chunk", "The chunk that was last is last no more.", even + even[one:])
    subkey = ref.subkey_of(KEY, SALT, CONTEXT)
    empty_last = ref.seal_chunk(subkey, plain(ref.CHUNK), 0, final=False) + ref.seal_chunk(
        subkey, b"", 1, final=True
    )
    why = "An authentic empty last chunk would give one plaintext two forms."
    yield case("empty-last", "parse", why, ref.header_of(subkey, SALT) + empty_last)


def _moved_cases() -> Iterator[Case]:
    sealed, other = seal(), seal(salt=OTHER_SALT)
    head, zero, one, two = _pieces(sealed)
    yield case("reordered", "chunk", "Chunks 0 and 1 were exchanged.", head + one + zero + two)
    yield case("repeated", "chunk", "Chunk 0 stands in the place of chunk 1.", head + zero + zero + two)
    yield case("dropped", "chunk", "Chunk 0 was left out.", head + one + two)
    spliced = head + _pieces(other)[1] + one + two
    yield case("spliced-first", "chunk", "Chunk 0 is of a container with another salt.", spliced)
    yield case(
        "spliced-last",
        "chunk",
        "The last chunk is of another container.",
        head + zero + one + _pieces(other)[3],
    )
    changed = bytearray(sealed)
    changed[ref.HEADER + 20] ^= 1
    yield case("changed-bit", "chunk", "One bit of chunk 0 was changed.", bytes(changed))
    yield replace(
        case("swapped-file", "chunk", "The file was exchanged after its header was read and hashed.", sealed),
        format="container-swapped",
        files=reading() | {"swapped": other.hex()},
    )


def _pieces(sealed: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    first, second = ref.HEADER + ref.SEALED_CHUNK, ref.HEADER + 2 * ref.SEALED_CHUNK
    return sealed[: ref.HEADER], sealed[ref.HEADER : first], sealed[first:second], sealed[second:]


def _key_cases() -> Iterator[Case]:
    sealed = seal(b"hello")
    yield case("wrong-key", "commit", "The reader holds another data key.", sealed, reading(key=OTHER_KEY))
    for name, context, why in (
        ("renamed", replace(CONTEXT, name="other.csv"), "The file was offered under another name."),
        (
            "other-computation",
            replace(CONTEXT, computation=OTHER_COMPUTATION),
            "It is of another computation.",
        ),
        ("other-owner", replace(CONTEXT, owner=OTHER_OWNER), "It is another participant's file."),
        ("other-purpose", replace(CONTEXT, purpose=CODE), "Data was offered as code."),
        (
            "as-a-result",
            replace(CONTEXT, purpose=RESULT, enclave=BOX_PK),
            "An input was offered as a result.",
        ),
    ):
        yield case(name, "commit", why, sealed, reading(context))
    result = seal(b"hello", context=RESULT_CONTEXT)
    context = replace(RESULT_CONTEXT, enclave=OTHER_BOX_PK)
    yield case("other-launch", "commit", "The result is of an earlier launch.", result, reading(context))
    yield from _two_key_cases()
    yield from _subkey_cases(sealed)


def _two_key_cases() -> Iterator[Case]:
    first, second = (ref.subkey_of(key, SALT, CONTEXT) for key in (KEY, OTHER_KEY))
    sealed = ref.header_of(first, SALT) + ref.two_key_chunk(first, second)
    opened = ref.bindings.crypto_secretbox_open_easy(sealed[ref.HEADER :], ref.nonce_of(0, final=True), first)
    files = reading() | {"plain-sha256": hashlib.sha256(opened).hexdigest()}
    yield case("two-keys-first", "accept", "The key that the header commits to opens it.", sealed, files)
    why = "The chunk opens under this key too, and the header commits to the other."
    yield case("two-keys-second", "commit", why, sealed, reading(key=OTHER_KEY))


def _subkey_cases(sealed: bytes) -> Iterator[Case]:
    right, wrong = ref.subkey_of(KEY, SALT, CONTEXT), ref.subkey_of(KEY, OTHER_SALT, CONTEXT)
    proof = {"subkey": right.hex(), "plain-sha256": hashlib.sha256(b"hello").hexdigest()}
    made = case("disclosed-subkey", "accept", "The subkey alone proves the plaintext.", sealed, proof)
    yield replace(made, format="container-subkey")
    why = "A second subkey was disclosed for one container."
    made = case("disclosed-second-subkey", "commit", why, sealed, {"subkey": wrong.hex()})
    yield replace(made, format="container-subkey")
