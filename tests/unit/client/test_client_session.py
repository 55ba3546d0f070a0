from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from sealroom.client.accounts import Account
from sealroom.client.home import Home
from sealroom.client.identity import create_identity
from sealroom.client.invitations import parse_invitation_text, read_invitation
from sealroom.client.roles import ComputationDraft, ComputationOwner, DataProvider, ResultConsumer, key_holder
from sealroom.client.session import AccountError, Client
from sealroom.client.store import (
    ComputationFolder,
    JoinedComputation,
    UnknownComputationError,
)
from sealroom.client.transport import ServerAddress, TransportOptions
from sealroom.core.errors import MalformedError, TransportError, VerificationError
from sealroom.core.sealing.invitation import Invitation, format_invitation
from sealroom.core.wire.participants import Role
from sealroom.core.wire.terms import Tee

MakeClient = Callable[[str], Client]
SERVER = ServerAddress(url="https://127.0.0.1:8443", certificate_sha256=bytes(32))
INVITATION = Invitation(
    computation=UUID("11111111-1111-4111-8111-111111111111"),
    terms_prefix=bytes(range(16)),
    words=("abandon", "ability", "able"),
)
JOINED = JoinedComputation(invitation=INVITATION, server=SERVER)


def draft(client: Client, *others: str) -> ComputationDraft:
    me = client.account.email
    return ComputationDraft(
        name="a table",
        code_provider=me,
        data_providers=(me, *others),
        result_consumers=(me,),
        tee=Tee.SIMULATED,
    )


@pytest.mark.parametrize("token", ["", "srt_1\r\nX-Other: 1", "srt 1", "srt_\x1b[2J", "srt_é", "x" * 4097])
def test_a_token_that_no_header_can_hold_is_refused_and_not_quoted(token: str) -> None:
    with pytest.raises(MalformedError) as refused:
        Account(server=SERVER.origin, email="ada@example.org", token=token)
    assert not token or token not in str(refused.value)


def test_an_interrupted_account_is_finished_with_the_same_token(
    tmp_path: Path, address: ServerAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home.open(tmp_path / "home")
    email = f"ada.{uuid4()}@example.org"
    with Client(home=home, server=address, options=TransportOptions(attempts=1)) as client:
        with monkeypatch.context() as patch:
            # The server made the account, and the answer was lost.
            patch.setattr(client.accounts, "save", _killed)
            with pytest.raises(KeyboardInterrupt):
                client.create_account(email)
        assert client.accounts.find(address.origin) is None
        account = client.create_account(email)
        assert client.transport.get_json("/accounts/me").text("email") == email
        assert account.token not in repr(account)
        with pytest.raises(AccountError, match="has one"):
            client.create_account(email)
    assert not (home.root / "account-request.json").exists()


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_an_address_that_somebody_has_is_refused_by_the_servers_code(
    make_client: MakeClient, tmp_path: Path, address: ServerAddress
) -> None:
    taken = make_client("ada").account.email
    with Client(home=tmp_path / "other", server=address) as client:
        with pytest.raises(TransportError) as error:
            client.create_account(taken)
        assert error.value.code == "email_taken"
        with pytest.raises(AccountError):
            _ = client.account


def test_the_owner_makes_uuid_terms_and_words_at_home(make_client: MakeClient) -> None:
    client = make_client("olga")
    owner = ComputationOwner.create(client, draft(client))
    joined = owner.folder.load()
    assert owner.computation.version == 4
    terms = draft(client).terms(owner.computation, owner=client.account.email)
    assert joined.invitation.terms_prefix == terms.digest[:16]
    file = owner.invitation_file
    assert file is not None
    assert parse_invitation_text(file) == joined
    assert read_invitation(owner.invitation_line, server=client.server) == joined
    assert (owner.folder.path / "invitation.txt").stat().st_mode & 0o777 == 0o600
    found = owner.status()
    assert (found.name, found.owner, found.tee) == ("a table", client.account.email, Tee.SIMULATED)
    assert [computation.computation for computation in client.computations()] == [owner.computation]


def test_a_refused_computation_leaves_no_folder(make_client: MakeClient) -> None:
    client = make_client("olga")
    wrong = ComputationDraft(
        name="x" * 300, code_provider="a@b", data_providers=(), result_consumers=(), tee=Tee.SIMULATED
    )
    with pytest.raises(TransportError):
        ComputationOwner.create(client, wrong)
    assert list(client.home.computations.glob("*")) == []


def test_one_person_may_hold_several_roles(make_client: MakeClient) -> None:
    client = make_client("olga")
    owner = ComputationOwner.create(client, draft(client))
    for role in Role:
        key_holder(client, owner.computation, role).register()
    found = owner.status()
    assert found.my_key_roles == tuple(Role)
    assert {p.public_key for p in found.participants} == {client.identity.public_key}


def test_two_participants_with_one_key_are_refused(make_client: MakeClient) -> None:
    first, second = make_client("one"), make_client("two")
    owner = ComputationOwner.create(first, draft(first, second.account.email))
    second.accept_invitation(owner.folder.load())
    DataProvider(first, owner.computation).register()
    second._identity = first.identity
    with pytest.raises(TransportError) as error:
        DataProvider(second, owner.computation).register()
    assert error.value.code == "key_taken"


def test_somebody_elses_computation_is_not_joined_by_its_uuid(make_client: MakeClient) -> None:
    client = make_client("eve")
    with pytest.raises(UnknownComputationError, match="not joined"):
        ResultConsumer(client, uuid4())


def test_a_uuid_with_other_terms_is_refused(make_client: MakeClient) -> None:
    client = make_client("ada")
    client.accept_invitation(JOINED)
    other = Invitation(computation=INVITATION.computation, terms_prefix=bytes(16), words=INVITATION.words)
    with pytest.raises(VerificationError, match="seen before"):
        client.accept_invitation(JoinedComputation(invitation=other, server=SERVER))
    assert ComputationFolder(client.home, INVITATION.computation).load() == JOINED


def test_corrected_words_replace_mistyped_ones(make_client: MakeClient) -> None:
    client = make_client("ada")
    client.accept_invitation(JOINED)
    corrected = Invitation(
        computation=INVITATION.computation,
        terms_prefix=INVITATION.terms_prefix,
        words=("zoo", "zone", "zero"),
    )
    folder = client.accept_invitation(JoinedComputation(invitation=corrected, server=SERVER))
    assert folder.load().invitation.words == ("zoo", "zone", "zero")


def test_the_owners_own_words_are_not_replaced(make_client: MakeClient) -> None:
    client = make_client("olga")
    owner = ComputationOwner.create(client, draft(client))
    joined = owner.folder.load()
    client.accept_invitation(joined)
    other = Invitation(
        computation=owner.computation,
        terms_prefix=joined.invitation.terms_prefix,
        words=("zoo", "zone", "zero"),
    )
    with pytest.raises(VerificationError, match="made here"):
        client.accept_invitation(JoinedComputation(invitation=other, server=client.server))
    assert owner.folder.load() == joined


def test_the_client_of_a_computation_knows_its_server(make_client: MakeClient) -> None:
    client = make_client("olga")
    owner = ComputationOwner.create(client, draft(client))
    client.close()
    with Client.for_computation(owner.computation, home=client.home) as again:
        assert again.server == client.server
        assert again.computation(owner.computation).computation == owner.computation


def test_the_identity_is_opened_when_it_is_needed(tmp_path: Path) -> None:
    home = Home.open(tmp_path / "home")
    key = create_identity(home, passphrase="x")
    opened: list[int] = []

    def open_identity() -> object:
        opened.append(1)
        return key

    with Client(home=home, server=SERVER, identity=open_identity) as client:  # type: ignore[arg-type]
        assert opened == []
        assert client.identity is client.identity is key
        assert opened == [1]


def test_a_data_key_is_made_once_and_is_for_its_owner_alone(home: Home) -> None:
    folder = ComputationFolder(home, INVITATION.computation)
    folder.save(JOINED)
    first = folder.data_key(Role.DATA_PROVIDER)
    assert folder.data_key(Role.DATA_PROVIDER).equals(first)
    assert not folder.data_key(Role.RESULT_CONSUMER).equals(first)
    assert (folder.path / "data-key-data-provider").stat().st_mode & 0o777 == 0o600
    (folder.path / "data-key-data-provider").write_bytes(b"short")
    with pytest.raises(MalformedError, match="expected 32"):
        folder.data_key(Role.DATA_PROVIDER)


def test_the_bare_line_needs_a_server(tmp_path: Path) -> None:
    line = format_invitation(INVITATION)
    with pytest.raises(MalformedError, match="--server"):
        read_invitation(line)
    assert read_invitation(line, server=SERVER) == JOINED
    (tmp_path / "line").write_text(line + "\n")
    assert read_invitation(str(tmp_path / "line"), server=SERVER) == JOINED


def test_a_given_server_takes_the_place_of_the_files(tmp_path: Path) -> None:
    raw = JOINED.file()
    assert raw is not None
    other = ServerAddress(url="https://other.example:1", certificate_sha256=bytes([1]) * 32)
    assert parse_invitation_text(raw, server=other).server == other


@pytest.mark.parametrize("raw", [b"", b"\n", b"\xff\n", b"sealroom1:x\n", b"a\nb\nc\n", b"\n" * 5])
def test_what_is_no_invitation_is_malformed(raw: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_invitation_text(raw, server=SERVER)


def test_a_file_that_is_not_there_is_no_invitation(tmp_path: Path) -> None:
    for text in (str(tmp_path / "missing"), "x" * 10_000, "a\0b"):
        with pytest.raises(MalformedError):
            read_invitation(text, server=SERVER)
