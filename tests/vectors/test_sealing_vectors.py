"""Every sealing vector is accepted, or refused by exactly the layer that its `expect` names."""

import hashlib
import hmac
import io
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import nacl.bindings
import pytest

from sealroom.core.compat.legacy_delivery import LegacyDelivery, open_legacy_delivery
from sealroom.core.errors import MalformedError, SealroomError, VerificationError
from sealroom.core.sealing.chunks import Layout
from sealroom.core.sealing.commitment import verify_commitment
from sealroom.core.sealing.container import ContainerReader
from sealroom.core.sealing.container_streams import open_stream
from sealroom.core.sealing.context import Context, Purpose
from sealroom.core.sealing.delivery import BoxRefusedError, open_delivery
from sealroom.core.sealing.enclave_keys import BoxKey
from sealroom.core.sealing.header import HEADER_SIZE, Header, Subkey, accept_subkey, unlock
from sealroom.core.sealing.invitation import (
    format_invitation,
    format_invitation_file,
    parse_invitation,
    parse_invitation_file,
)
from sealroom.core.sealing.keys import DataKey, SigningKey
from sealroom.core.sealing.log_opening import find_log_key, open_log, parse_log_keys
from sealroom.core.sealing.output_key import derive_output_key
from sealroom.core.sealing.secret import Secret32
from sealroom.core.sealing.words import derive_preshared_key, parse_words
from sealroom.core.wire.delivery import Delivery, verify_delivery_signature
from sealroom.core.wire.input_list import InputList

FOLDER = Path(__file__).parent / "sealing"
MAKER = Path(__file__).parents[2] / "tools" / "make_sealing_vectors.py"
CASES = sorted(path.name for path in FOLDER.iterdir())


class Vector:
    """One folder of vectors."""

    def __init__(self, name: str) -> None:
        self.folder = FOLDER / name
        lines = self.text("expect").splitlines()
        self.expect = dict(line.split(": ", 1) for line in lines)
        self.input = (self.folder / "input").read_bytes()

    def text(self, name: str) -> str:
        return (self.folder / name).read_text().removesuffix("\n")

    def octets(self, name: str) -> bytes:
        return bytes.fromhex(self.text(name))

    @property
    def computation(self) -> UUID:
        return UUID(self.text("computation"))

    @property
    def context(self) -> Context:
        return Context(
            computation=self.computation,
            purpose=Purpose(int(self.text("purpose"))),
            owner_pk=self.octets("owner"),
            enclave=self.octets("enclave"),
            name=self.text("name"),
        )


def layer_of_container(vector: Vector) -> str:
    """Open it step by step, as a reader of a checked file does."""
    try:
        header = Header.from_bytes(vector.input[:HEADER_SIZE])
        Layout.of(len(vector.input), chunk_log2=header.chunk_log2)
    except MalformedError:
        return "parse"
    try:
        if vector.expect["format"] == "container-subkey":
            subkey = accept_subkey(header, Subkey.from_bytes(vector.octets("subkey")))
        else:
            subkey = unlock(header, key=DataKey.from_bytes(vector.octets("key")), context=vector.context)
    except VerificationError:
        return "commit"
    swapped = vector.expect["format"] == "container-swapped"
    source = io.BytesIO(vector.octets("swapped") if swapped else vector.input)
    try:
        plain = ContainerReader(source, header=header, subkey=subkey, size=len(vector.input)).read()
    except VerificationError:
        return "chunk"
    assert hashlib.sha256(plain).hexdigest() == vector.text("plain-sha256")
    return "accept"


def layer_of_delivery(vector: Vector) -> str:
    delivery = Delivery.from_bytes(vector.input)
    verify_delivery_signature(delivery)
    secret = vector.octets("box-secret")
    box_key = BoxKey(Secret32.from_bytes(secret), nacl.bindings.crypto_scalarmult_base(secret))
    try:
        opened = open_delivery(delivery, box_key=box_key)
    except BoxRefusedError as refused:
        return refused.reason.value
    assert opened.preshared_key.reveal() == vector.octets("preshared-key")
    assert opened.data_key.reveal() == vector.octets("data-key")
    return "accept"


def layer_of_legacy_delivery(vector: Vector) -> str:
    try:
        delivery = LegacyDelivery.from_bytes(vector.input)
    except MalformedError:
        return "parse"
    assert delivery.to_bytes() == vector.input
    try:
        delivery.verify_signature(vector.computation)
    except VerificationError:
        return "signature"
    box_key = BoxKey.from_signing_key(SigningKey.from_seed(vector.octets("identity-seed")))
    try:
        opened = open_legacy_delivery(delivery, box_key=box_key)
    except BoxRefusedError as refused:
        return refused.reason.value
    assert opened.preshared_key.reveal() == vector.octets("preshared-key")
    assert opened.data_key.reveal() == vector.octets("data-key")
    return "accept"


def layer_of_commitment(vector: Vector) -> str:
    listed = InputList.from_json(vector.input)
    try:
        verify_commitment(
            vector.octets("commitment"),
            listed,
            computation=vector.computation,
            sender_pk=vector.octets("sender"),
        )
    except VerificationError:
        return "commitment"
    return "accept"


def layer_of_invitation(vector: Vector) -> str:
    try:
        if vector.expect["format"] == "invitation-file":
            written = format_invitation_file(parse_invitation_file(vector.input))
        else:
            written = format_invitation(parse_invitation(vector.input.decode())).encode()
    except MalformedError:
        return "parse"
    assert written == vector.input
    return "accept"


def layer_of_log(vector: Vector) -> str:
    reader = SigningKey.from_seed(vector.octets("reader-seed"))
    try:
        keys = parse_log_keys(vector.octets("keys"))
        key = find_log_key(keys, signing_key=reader)
        text = open_log(
            vector.input, key=key, computation=vector.computation, box_pk=vector.octets("enclave")
        )
    except MalformedError:
        return "parse"
    except VerificationError:
        return "commit"
    assert keys.public_key in (None, key.reveal())
    assert hashlib.sha256(text).hexdigest() == vector.text("text-sha256")
    return "accept"


def layer_of_words(vector: Vector) -> str:
    words = parse_words(vector.input.decode())
    derived = derive_preshared_key(words, computation=vector.computation)
    assert derived.reveal() == vector.octets("preshared-key")
    return "accept"


def layer_of_output_key(vector: Vector) -> str:
    derived = derive_output_key(
        DataKey.from_bytes(vector.input),
        box_pk=vector.octets("enclave"),
        computation=vector.computation,
        consumer_pk=vector.octets("owner"),
    )
    assert derived.reveal() == vector.octets("output-key")
    return "accept"


LAYERS = {
    "container": layer_of_container,
    "container-subkey": layer_of_container,
    "container-swapped": layer_of_container,
    "delivery": layer_of_delivery,
    "legacy-delivery": layer_of_legacy_delivery,
    "commitment": layer_of_commitment,
    "invitation": layer_of_invitation,
    "invitation-file": layer_of_invitation,
    "log": layer_of_log,
    "words": layer_of_words,
    "output-key": layer_of_output_key,
}


# Read from a pipe there is neither a swapped file nor a disclosed subkey.
PIPED = [name for name in CASES if Vector(name).expect["format"] == "container"]


@pytest.mark.parametrize("name", CASES)
def test_the_named_layer_decides(name: str) -> None:
    vector = Vector(name)
    assert LAYERS[vector.expect["format"]](vector) == vector.expect["layer"], vector.expect["why"]


@pytest.mark.parametrize("name", PIPED)
def test_a_pipe_gives_the_whole_plaintext_or_an_error(name: str) -> None:
    vector = Vector(name)
    sink, key = io.BytesIO(), DataKey.from_bytes(vector.octets("key"))
    if vector.expect["layer"] == "accept":
        open_stream(io.BytesIO(vector.input), sink, key=key, context=vector.context)
        assert hashlib.sha256(sink.getvalue()).hexdigest() == vector.text("plain-sha256")
        return
    with pytest.raises(SealroomError):
        open_stream(io.BytesIO(vector.input), sink, key=key, context=vector.context)
    whole = Vector("container-three-chunks")
    expected = io.BytesIO()
    open_stream(
        io.BytesIO(whole.input), expected, key=DataKey.from_bytes(whole.octets("key")), context=whole.context
    )
    assert expected.getvalue().startswith(sink.getvalue())


def test_the_two_key_chunk_truly_opens_under_both_subkeys() -> None:
    """Without the commitment in the header, one ciphertext would be two plaintexts."""
    opened = set()
    first, second = Vector("container-two-keys-first"), Vector("container-two-keys-second")
    assert first.input == second.input
    for vector in (first, second):
        header = Header.from_bytes(vector.input[:HEADER_SIZE])
        key, context = vector.octets("key"), vector.context.to_bytes()
        info = b"sealroom/v1/container\0" + header.to_bytes()[:12] + context
        subkey = hmac.digest(hmac.digest(header.salt, key, "sha256"), info + b"\x01", "sha256")
        nonce = bytes(23) + b"\x01"
        opened.add(nacl.bindings.crypto_secretbox_open_easy(vector.input[HEADER_SIZE:], nonce, subkey))
    assert len(opened) == 2


def test_the_vectors_are_those_that_the_program_makes() -> None:
    ran = subprocess.run([sys.executable, MAKER, "--check"], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
