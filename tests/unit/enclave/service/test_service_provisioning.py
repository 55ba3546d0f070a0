"""One key, once: the decision about an offer, over real keys, boxes and containers."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

import service_samples
from sealroom.core.sealing.container_streams import seal_bytes_reproducibly
from sealroom.core.sealing.context import Context
from sealroom.core.sealing.enclave_keys import BoxKey, seal_box
from sealroom.core.sealing.secret import SecretBuffer
from sealroom.core.sealing.service_key import CodeKey, service_id
from sealroom.core.wire.bootstrap import BootstrapDocument, BoundTo, SealedDocument
from sealroom.core.wire.byte_fields import sha256
from sealroom.core.wire.code_list import CodeFile, ServiceCode
from sealroom.core.wire.service_arguments import CertificateMode, ServiceArguments
from sealroom.enclave.messages import HostFolder
from sealroom.enclave.service.provisioning import MAX_REFUSED, Provisioning, Verdict
from sealroom.enclave.service.sealed_code import ServiceFiles, open_service_code

KEY, OTHER_KEY = bytes(range(32)), bytes(reversed(range(32)))
SERVICE = service_id(CodeKey.from_bytes(KEY), "hello")
MRENCLAVE = bytes(range(100, 132))
SOURCES = {"src/app.py": b"print('hello')\n", "src/data/table.csv": b"a,b\n"}
ARGUMENTS = replace(service_samples.ARGUMENTS, service=SERVICE, name="hello")
OWN = replace(ARGUMENTS, certificate=CertificateMode.OWN)


class Waiting:
    """An enclave that waits, as far as it decides about offers."""

    def __init__(self, folder: Path, arguments: ServiceArguments = ARGUMENTS) -> None:
        files = []
        for path, plain in SOURCES.items():
            context = Context.service(service=SERVICE, path=path)
            sealed = seal_bytes_reproducibly(plain, key=CodeKey.from_bytes(KEY), context=context)
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(sealed)
            files.append(CodeFile(path=path, size=len(sealed), sha256=sha256(sealed)))
        listed, code = ServiceCode.from_files(tuple(files)), HostFolder(folder)
        self.box_key = BoxKey.generate()
        self.opened = 0

        def open_code(key: CodeKey):
            self.opened += 1
            return open_service_code(listed, code, key=key, arguments=arguments)

        self.decision = Provisioning(
            arguments, mrenclave=MRENCLAVE, box_key=self.box_key, open_code=open_code, own_chain=None
        )

    def offer(self, **changes: object) -> Verdict:
        return self.decision.offer(body(**changes))

    def box(self, *, to: bytes | None = None, **changes: object) -> bytes:
        document = SealedDocument(
            code_key=KEY.hex(),
            tls_key=None,
            bound_to=BoundTo(service=SERVICE, mrenclave=MRENCLAVE),
            secrets={"password": "sealed"},
        )
        plain = replace(document, **changes).to_bytes()
        return seal_box(SecretBuffer.take(plain, len(plain)), to or self.box_key.public_key)


def body(**changes: object) -> bytes:
    document = BootstrapDocument(service=SERVICE, secrets=None, sealed=None, code_key=None, tls_key=None)
    return replace(document, **changes).to_bytes()


@pytest.fixture
def waiting(tmp_path: Path) -> Waiting:
    return Waiting(tmp_path)


def test_what_is_sealed_to_this_enclave_is_accepted_and_the_box_key_gone(waiting: Waiting) -> None:
    assert waiting.offer(sealed=waiting.box(), secrets={"open": 1}) is Verdict.ACCEPTED
    accepted = waiting.decision.accepted
    assert accepted is not None
    assert (accepted.secrets, accepted.sealed_secrets) == ({"open": 1}, {"password": "sealed"})
    files = ServiceFiles(accepted.code)
    assert {path: files.read(path) for path in files.paths} == {
        "app.py": SOURCES["src/app.py"],
        "data/table.csv": SOURCES["src/data/table.csv"],
    }
    assert waiting.box_key.wiped
    assert "sealed" not in repr(accepted)


def test_an_open_key_is_accepted_as_well(waiting: Waiting) -> None:
    assert waiting.offer(code_key=KEY.hex()) is Verdict.ACCEPTED


def test_after_the_first_nothing_is_looked_at(waiting: Waiting) -> None:
    assert waiting.offer(code_key=KEY.hex()) is Verdict.ACCEPTED
    first = waiting.decision.accepted
    for raw in (body(code_key=KEY.hex()), body(code_key=OTHER_KEY.hex()), b"nonsense"):
        assert waiting.decision.offer(raw) is Verdict.TAKEN
    assert waiting.decision.accepted is first
    assert waiting.opened == 1


WRONG: dict[str, Callable[[Waiting], dict[str, object]]] = {
    "another id": lambda enclave: {"service": uuid4(), "code_key": KEY.hex()},
    "another key": lambda _: {"code_key": OTHER_KEY.hex()},
    "another application's id and key": lambda _: {
        "service": service_id(CodeKey.from_bytes(OTHER_KEY), "hello"),
        "code_key": OTHER_KEY.hex(),
    },
    "a box to another enclave's key": lambda enclave: {
        "sealed": enclave.box(to=BoxKey.generate().public_key)
    },
    "a box made for another MRENCLAVE": lambda enclave: {
        "sealed": enclave.box(bound_to=BoundTo(service=SERVICE, mrenclave=bytes(32)))
    },
    "sealed secrets of another service": lambda enclave: {
        "sealed": enclave.box(bound_to=BoundTo(service=uuid4(), mrenclave=MRENCLAVE))
    },
    "a box that is none": lambda _: {"sealed": b"x" * 100},
    "a box without the key": lambda enclave: {"sealed": enclave.box(code_key=None)},
    "two keys": lambda enclave: {"sealed": enclave.box(), "code_key": OTHER_KEY.hex()},
    "a TLS key that is not used": lambda enclave: {"sealed": enclave.box(tls_key="PEM")},
    "an open TLS key that is not used": lambda enclave: {"sealed": enclave.box(), "tls_key": "PEM"},
}


@pytest.mark.parametrize("name", WRONG)
def test_refuses(waiting: Waiting, name: str) -> None:
    assert waiting.offer(**WRONG[name](waiting)) is Verdict.REFUSED
    assert waiting.decision.accepted is None
    assert not waiting.box_key.wiped
    assert waiting.offer(sealed=waiting.box()) is Verdict.ACCEPTED


def test_a_box_that_holds_no_document_is_refused_like_any_other(waiting: Waiting) -> None:
    box = seal_box(SecretBuffer.take(b"[]", 2), waiting.box_key.public_key)
    assert waiting.offer(sealed=box) is Verdict.REFUSED


def test_code_that_was_changed_is_not_served(tmp_path: Path) -> None:
    waiting = Waiting(tmp_path)
    place = tmp_path / "src/data/table.csv"
    place.write_bytes(place.read_bytes()[:-1] + b"\0")
    assert waiting.offer(sealed=waiting.box()) is Verdict.REFUSED


def test_ten_refusals_end_it_even_for_the_right_key(waiting: Waiting) -> None:
    for _ in range(MAX_REFUSED):
        assert not waiting.decision.exhausted
        assert waiting.offer(code_key=OTHER_KEY.hex()) is Verdict.REFUSED
    assert waiting.decision.exhausted
    assert waiting.offer(sealed=waiting.box()) is Verdict.REFUSED


@pytest.mark.parametrize("raw", [b"", b"{}", body(), body(secrets={"a": 1}), b'{"uuid": "x"}'])
def test_what_is_no_document_is_no_attempt(waiting: Waiting, raw: bytes) -> None:
    for _ in range(MAX_REFUSED + 1):
        assert waiting.decision.offer(raw) is Verdict.MALFORMED
    assert waiting.offer(sealed=waiting.box()) is Verdict.ACCEPTED


def test_a_wrong_key_opens_no_file(waiting: Waiting) -> None:
    waiting.offer(code_key=OTHER_KEY.hex())
    assert waiting.opened == 0


@pytest.mark.parametrize(
    "tls_key", [None, "", "PEM", "-----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----"]
)
def test_where_a_certificate_of_ones_own_is_served_its_key_is_needed(
    tmp_path: Path, tls_key: str | None
) -> None:
    waiting = Waiting(tmp_path, OWN)
    assert waiting.offer(sealed=waiting.box(tls_key=tls_key)) is Verdict.REFUSED
