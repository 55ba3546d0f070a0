"""What a waiting service is sent: read strictly, shown never."""

import json
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealroom.core.errors import MalformedError
from sealroom.core.wire.bootstrap import (
    MAX_BOOTSTRAP_BYTES,
    BootstrapDocument,
    BoundTo,
    SealedDocument,
    secrets_file,
)

SERVICE = UUID("6f1f7a0e-6f3e-4b7c-9d0a-4c6f5f3a2b10")
KEY = "0123456789abcdef" * 4
WHOLE = BootstrapDocument(
    service=SERVICE, secrets={"login": "me", "rate": 0.5}, sealed=b"\xff\xfe\xfd", code_key=KEY, tls_key="PEM"
)
SEALED = SealedDocument(
    code_key=KEY,
    tls_key="PEM",
    bound_to=BoundTo(service=SERVICE, mrenclave=bytes(range(32))),
    secrets={"password": "hidden"},
)


def body(**members):
    return json.dumps({"uuid": str(SERVICE)} | members).encode()


def test_what_is_written_is_read_again():
    assert BootstrapDocument.from_bytes(WHOLE.to_bytes()) == WHOLE
    assert SealedDocument.from_bytes(SEALED.to_bytes()) == SEALED
    alone = BootstrapDocument(service=SERVICE, secrets=None, sealed=b"box", code_key=None, tls_key=None)
    assert BootstrapDocument.from_bytes(alone.to_bytes()) == alone


def test_a_box_of_the_published_client_names_no_enclave():
    assert SealedDocument.from_bytes(b'{"code_secret_key": "%s"}' % KEY.encode()).bound_to is None


def test_base64url_is_read_with_and_without_its_padding():
    for text in ("__79", "_w==", "_w"):
        assert BootstrapDocument.from_bytes(body(app_sealed_secrets=text)).sealed is not None


def test_values_are_never_shown():
    shown = repr(WHOLE) + repr(SEALED)
    assert not any(secret in shown for secret in (KEY, "PEM", "hidden", "login"))


def test_the_file_of_no_secrets_is_an_empty_object():
    assert secrets_file(None) == b"{}"
    assert json.loads(secrets_file({"a": 1.5})) == {"a": 1.5}


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "expected an object"),
        (b"{}", "uuid first"),
        (b" " * (MAX_BOOTSTRAP_BYTES + 1), "at most 1048576"),
        (b'{"code_secret_key": "%s", "uuid": "%s"}' % (KEY.encode(), str(SERVICE).encode()), "uuid first"),
        (body(more=1), "only members of this protocol"),
        (b'{"uuid": "%s", "uuid": "x"}' % str(SERVICE).encode(), "twice"),
        (body(uuid=1), "uuid as a string"),
        (body(uuid="x"), "computation"),
        (body(app_secrets=[]), "as an object"),
        (b'{"uuid": "%s", "app_secrets": {"a": NaN}}' % str(SERVICE).encode(), "no numbers"),
        (b'{"uuid": "%s", "app_secrets": {"a": -1e999}}' % str(SERVICE).encode(), "too large"),
        (body(app_sealed_secrets=1), "base64url"),
        (body(app_sealed_secrets="a+/="), "base64url"),
        (body(app_sealed_secrets="A"), "base64url"),
        (body(code_secret_key=1), "expected a string"),
        (body(code_secret_key=KEY.upper()), "lower-case hexadecimal"),
        (body(code_secret_key=KEY[:-1]), "64 lower-case"),
        (body(ssl_private_key=1), "expected PEM"),
        (body(ssl_private_key="é"), "expected PEM"),
    ],
)
def test_refuses_another_body(raw, message):
    with pytest.raises(MalformedError, match=message):
        BootstrapDocument.from_bytes(raw)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "at least one member"),
        ({"sealroom": {"service": str(SERVICE), "mrenclave": "00" * 32}}, "at least one member"),
        ({"a": 1, "sealroom": None}, "expected service and mrenclave"),
        ({"a": 1, "sealroom": {"service": str(SERVICE)}}, "expected service and mrenclave"),
        ({"a": 1, "sealroom": {"service": 1, "mrenclave": "00" * 32}}, "expected strings"),
        ({"a": 1, "sealroom": {"service": str(SERVICE), "mrenclave": "00"}}, "mrenclave: expected 64"),
        ({"code_secret_key": "0x"}, "64 lower-case"),
    ],
)
def test_refuses_another_sealed_document(document, message):
    with pytest.raises(MalformedError, match=message):
        SealedDocument.from_bytes(json.dumps(document).encode())


def test_an_application_cannot_name_its_secrets_like_ours():
    clash = SealedDocument(code_key=None, tls_key=None, bound_to=None, secrets={"code_secret_key": "x"})
    with pytest.raises(MalformedError, match="not a name"):
        clash.to_bytes()


@given(raw=st.binary(max_size=200))
def test_any_bytes_are_a_document_or_malformed(raw):
    for parse in (BootstrapDocument.from_bytes, SealedDocument.from_bytes):
        for text in (raw, WHOLE.to_bytes()[: len(raw)] + raw, b'{"uuid":' + raw):
            try:
                parse(text)
            except MalformedError:
                continue
