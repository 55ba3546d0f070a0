"""From a package and an operator's choices to measured arguments."""

import io
from pathlib import Path
from uuid import UUID

import pytest

from sealroom.core.errors import MalformedError
from sealroom.core.measurement.service_package import end_of_package, member_header, padding, read_package
from sealroom.core.wire.byte_fields import sha256
from sealroom.core.wire.service_arguments import CertificateMode, Connections, Interface
from sealroom.core.wire.terms import Tee
from sealroom.server.hosting.spawning import Choices, make_arguments, make_plan

SERVICE = UUID("6f1f7a0e-6f3e-4b7c-9d0a-4c6f5f3a2b10")
REQUIREMENTS = b"two-words==1.2.3 --hash=sha256:" + b"0" * 64 + b"\n"
CONFIG = b'name = "hello"\npython_application = "app:api"\nconnect = "any"\nmax_memory = 7\n'


def package(config: bytes = CONFIG, requirements: bytes | None = REQUIREMENTS):
    members = {"config.toml": config, "requirements.txt": requirements, "src/app.py": b"sealed"}
    raw = b"".join(
        part
        for path, content in members.items()
        if content is not None
        for part in (member_header(path, len(content)), content, padding(len(content)))
    )
    return read_package(io.BytesIO(raw + end_of_package()))


def choices(**changes: object) -> Choices:
    members = {"service": SERVICE, "tee": Tee.SIMULATED, "port": 8443, "interface": Interface.ASGI}
    return Choices(**(members | changes))


def test_what_the_package_says_and_what_the_operator_chooses_is_measured() -> None:
    opened = package()
    arguments = make_arguments(opened, choices(hosts=("a.example",)))
    assert (arguments.name, arguments.application, arguments.connect, arguments.max_memory) == (
        "hello",
        "app:api",
        Connections.ANY,
        7,
    )
    assert (arguments.service, arguments.hosts, arguments.port) == (SERVICE, ("a.example",), 8443)
    assert arguments.code_digest == opened.code.digest
    assert arguments.packages_digest == sha256(REQUIREMENTS)
    assert make_arguments(package(requirements=None), choices()).packages_digest == bytes(32)


def test_two_spawns_are_never_one_enclave() -> None:
    opened = package()
    assert make_arguments(opened, choices()).spawn != make_arguments(opened, choices()).spawn


def test_the_interface_is_the_packages_where_it_says_one() -> None:
    said = package(CONFIG + b'interface = "wsgi"\n')
    assert make_arguments(said, choices(interface=None)).interface is Interface.WSGI
    with pytest.raises(MalformedError, match="the package says wsgi"):
        make_arguments(said, choices())
    with pytest.raises(MalformedError, match="choose asgi or wsgi"):
        make_arguments(package(), choices(interface=None))


MISFITS = [(CertificateMode.OWN, None), (CertificateMode.RA_TLS, b"x"), (CertificateMode.PLAIN, b"x")]


@pytest.mark.parametrize(("certificate", "chain"), MISFITS)
def test_a_chain_goes_with_a_certificate_of_ones_own(certificate: CertificateMode, chain: bytes | None):
    with pytest.raises(MalformedError, match="chain"):
        make_plan(Path("x"), package(), choices(certificate=certificate, chain=chain), lambda _: io.BytesIO())


def test_each_wheel_is_opened_by_its_hash() -> None:
    plan = make_plan(Path("x"), package(), choices(), io.BytesIO)
    assert [wheel.open().read() for wheel in plan.wheels] == [bytes(32)]
