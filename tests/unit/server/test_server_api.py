"""Every route: who may call it, in which state, and what it says to bad input."""

import io
import tarfile
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from server_world import Person, ServerWorld, Study, code_of, entry, make_tar, new_key
from sqlalchemy import select

from sealroom.core.sealing.keys import SigningKey
from sealroom.core.wire.delivery import Delivery
from sealroom.core.wire.participants import Role
from sealroom.server.config import ServerLimits
from sealroom.server.errors import ErrorCode
from sealroom.server.schema import Account, IdempotencyKey

# A quarter of a minute in all: with the end-to-end tests, so that unit tests stay under one.
pytestmark = pytest.mark.e2e

# Accounts and headers


def test_an_account_gets_a_token_that_the_server_does_not_keep(world: ServerWorld) -> None:
    person = Person(world, "a@example.org")
    assert person.get("/accounts/me").json()["email"] == "a@example.org"
    with world.platform.store.read() as session:
        account = session.scalars(select(Account)).one()
        answers = session.scalars(select(IdempotencyKey.answer)).all()
    assert person.token not in (account.token_sha256.hex(), str(answers))


def test_a_repeated_account_request_gets_the_same_token(world: ServerWorld) -> None:
    headers = new_key()
    answers = [world.request("POST", "/accounts", json={"email": "a@b.c"}, headers=headers) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert code_of(world.request("POST", "/accounts", json={"email": "b@b.c"}, headers=headers)) == (
        "idempotency_key_reused"
    )


def test_an_address_has_one_account(world: ServerWorld) -> None:
    Person(world, "a@example.org")
    again = world.request("POST", "/accounts", json={"email": "a@example.org"}, headers=new_key())
    assert (again.status_code, code_of(again)) == (409, "email_taken")


@pytest.mark.parametrize("email", ["", "A@b.c", "a", "a@b@c", "ä@b.c", "a" * 300 + "@b.c", None, 7])
def test_a_malformed_address_is_refused(world: ServerWorld, email: object) -> None:
    assert (
        code_of(world.request("POST", "/accounts", json={"email": email}, headers=new_key())) == "malformed"
    )


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer x", "Basic abc", "srt_00"])
def test_a_request_without_a_known_token_is_refused(study: Study, header: str | None) -> None:
    headers = {"Authorization": header} if header else {}
    answer = study.world.request("GET", study.path(), headers=headers)
    assert (answer.status_code, code_of(answer)) == (401, "unauthorized")


def test_every_route_but_two_asks_for_a_token(world: ServerWorld) -> None:
    open_routes = {("/v1/server", "get"), ("/v1/accounts", "post")}
    for path, methods in world.app.openapi()["paths"].items():
        for method in set(methods) - {"parameters"}:
            concrete = path.replace("{uuid}", str(uuid4())).replace("{consumer}", "0").replace("{place}", "0")
            concrete = concrete.removeprefix("/v1").replace("{upload}", "0" * 32)
            answer = world.request(method.upper(), concrete, headers=new_key())
            refused = code_of(answer) == "unauthorized"
            assert refused == ((path, method) not in open_routes), (path, method, answer.text)


def test_every_post_asks_for_a_key(world: ServerWorld, study: Study) -> None:
    for path, methods in world.app.openapi()["paths"].items():
        if "post" in methods:
            concrete = path.removeprefix("/v1").replace("{uuid}", str(study.uuid))
            header = {"Sealroom-Code-Signature": "00"}
            answer = study.owner.send("POST", concrete, headers=header, json={"email": "x@y.z"})
            assert code_of(answer) in ("idempotency_key", "malformed"), path
            assert "dempotency" in answer.text, path
            parameters = {parameter["name"]: parameter for parameter in methods["post"]["parameters"]}
            assert parameters["idempotency-key"]["required"], path


def test_a_repeated_post_is_answered_as_the_first_time(study: Study) -> None:
    key = str(uuid4())
    body = {"role": "code-provider", "public_key": study.coder.key.public_key.hex()}
    first = study.coder.post(study.path("/keys"), key=key, json=body)
    study.register(Role.DATA_PROVIDER)
    again = study.coder.post(study.path("/keys"), key=key, json=body)
    assert first.json() == again.json()
    other = study.coder.post(study.path("/keys"), key=key, json={**body, "role": "data-provider"})
    assert code_of(other) == "idempotency_key_reused"


@pytest.mark.parametrize("path", ["/nothing", "/computations/x/y/z"])
def test_an_unknown_route_says_so(world: ServerWorld, path: str) -> None:
    assert code_of(world.request("GET", path)) == "not_found"
    assert code_of(world.request("DELETE", "/server")) == "method_not_allowed"


def test_a_value_of_a_malformed_request_does_not_come_back(world: ServerWorld) -> None:
    answer = world.request("POST", "/accounts", json={"email": "a@b.c", "token": "hush"}, headers=new_key())
    assert code_of(answer) == "malformed"
    assert "hush" not in answer.text


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"x"', b"\xff", b'{"email": "a@b.c", "more": 1}', b"9" * 10_000]
)
def test_a_body_that_is_not_the_shape_is_refused(world: ServerWorld, body: bytes) -> None:
    headers = {**new_key(), "Content-Type": "application/json"}
    assert code_of(world.request("POST", "/accounts", content=body, headers=headers)) == "malformed"


def test_a_json_body_is_bounded(tmp_path_factory: pytest.TempPathFactory) -> None:
    world = ServerWorld(tmp_path_factory.mktemp("small"), limits=ServerLimits(max_json_bytes=100))
    answer = world.request("POST", "/accounts", json={"email": "a" * 100 + "@b.c"}, headers=new_key())
    assert (answer.status_code, code_of(answer)) == (413, "too_large")
    world.close()


def test_a_failure_of_the_server_says_nothing_of_itself(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("inner details")

    monkeypatch.setattr("sealroom.server.api.computations.computation_view", fail)
    answer = study.owner.get(study.path())
    assert (answer.status_code, code_of(answer)) == (500, "internal")
    assert "inner details" not in answer.text


def test_the_page_names_every_code_with_its_status() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "spec" / "api.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1:3] for line in page.splitlines() if line.startswith("| `")]
    named = {code.strip(" `"): status for codes, status in rows for code in codes.split(",")}
    codes = [code.code for code in ErrorCode]
    assert len(codes) == len(set(codes))
    assert [code.code for code in ErrorCode if str(code.status) not in named.get(code.code, "")] == []


# Computations


def test_a_computation_exists_only_for_its_members(study: Study, world: ServerWorld) -> None:
    stranger = Person(world, "stranger@example.org")
    for rest in ("", "/events", "/code", "/code/list", "/data", "/evidence", "/receipt", "/log", "/results"):
        assert code_of(stranger.get(study.path(rest))) == "unknown_computation"
    assert stranger.get("/computations").json() == {"computations": []}
    assert code_of(study.owner.get(f"/computations/{uuid4()}")) == "unknown_computation"


def test_members_see_the_computation_with_their_roles(study: Study) -> None:
    assert study.view(study.hospital)["my_roles"] == ["data-provider"]
    assert study.view()["my_roles"] == ["owner"]
    assert len(study.reader.get("/computations").json()["computations"]) == 1


def test_one_person_may_hold_several_roles(study: Study, world: ServerWorld) -> None:
    study.uuid = uuid4()
    email = "owner@example.org"
    body = study.proposal(code_provider=email, data_providers=[email], result_consumers=[email])
    assert study.owner.post("/computations", json=body).status_code == 201
    for role in Role:
        assert study.register_key(study.owner, role, study.owner.key.public_key).status_code == 200
    roles = ["owner", "code-provider", "data-provider", "result-consumer"]
    assert study.view()["my_roles"] == roles


@pytest.mark.parametrize(
    "changes",
    [
        {"computation": "x"},
        {"computation": "00000000-0000-1000-8000-000000000000"},
        {"computation": "5C7F4A39-9D52-4A3E-8B0D-2F6F0C7D9A11"},
        {"name": ""},
        {"tee": "other"},
        {"delivery": "2"},
        {"code_provider": "Coder@example.org"},
        {"data_providers": ["a@b.c", "a@b.c"]},
        {"data_providers": "a@b.c"},
        {"logs": "everybody"},
        {"max_seconds": 0},
        {"max_seconds": -1},
        {"max_seconds": "60"},
        {"max_output_bytes": 2**63},
        {"max_memory": 1.5},
        {"more": 1},
    ],
)
def test_a_malformed_computation_is_refused(study: Study, changes: dict[str, object]) -> None:
    body = {**study.proposal(computation=str(uuid4())), **changes}
    assert code_of(study.owner.post("/computations", json=body)) == "malformed"


@pytest.mark.parametrize("changes", [{"tee": "sgx"}, {"delivery": "legacy"}])
def test_what_this_server_does_not_offer_is_refused(study: Study, changes: dict[str, object]) -> None:
    body = study.proposal(computation=str(uuid4()), **changes)
    assert code_of(study.owner.post("/computations", json=body)) == "unsupported"


def test_a_uuid_is_used_once(study: Study) -> None:
    assert code_of(study.coder.post("/computations", json=study.proposal())) == "computation_exists"


# Keys


def test_a_key_is_for_ones_own_role(study: Study) -> None:
    key = study.coder.key.public_key
    assert code_of(study.register_key(study.coder, Role.DATA_PROVIDER, key)) == "wrong_role"
    assert code_of(study.register_key(study.owner, Role.CODE_PROVIDER, key)) == "wrong_role"


def test_a_key_stays_what_it_is(study: Study) -> None:
    study.register(Role.CODE_PROVIDER)
    assert study.register_key(study.coder, Role.CODE_PROVIDER, study.coder.key.public_key).status_code == 200
    other = SigningKey.generate().public_key
    assert code_of(study.register_key(study.coder, Role.CODE_PROVIDER, other)) == "key_differs"
    assert study.kinds().count("key-registered") == 1


def test_two_participants_cannot_share_a_key(study: Study) -> None:
    study.register(Role.CODE_PROVIDER)
    answer = study.register_key(study.hospital, Role.DATA_PROVIDER, study.coder.key.public_key)
    assert code_of(answer) == "key_taken"


@pytest.mark.parametrize("key", ["", "00", "zz" * 32, "AA" * 32, "00" * 32, "01" + "00" * 31])
def test_what_is_no_key_is_refused(study: Study, key: str) -> None:
    body = {"role": "code-provider", "public_key": key}
    assert code_of(study.coder.post(study.path("/keys"), json=body)) == "malformed"


def test_the_same_key_again_after_the_launch_changes_nothing(study: Study) -> None:
    study.launch()
    before = study.kinds()
    assert study.register_key(study.coder, Role.CODE_PROVIDER, study.coder.key.public_key).status_code == 200
    assert study.kinds() == before


# Code


def test_the_program_comes_back_as_it_was_signed(study: Study) -> None:
    study.register(Role.CODE_PROVIDER)
    files = {"run.py": b"run", "lib/model.py": b"s" * 1000, "requirements.txt": b""}
    view = study.send_code(files).json()
    assert view["code"]["version"] == 1
    with tarfile.open(fileobj=io.BytesIO(study.reader.get(study.path("/code")).content)) as archive:
        assert [member.name for member in archive] == sorted(files)
    listed = study.reader.get(study.path("/code/list")).json()
    assert [row[:2] for row in listed["files"]] == [[path, len(files[path])] for path in sorted(files)]
    assert listed["signature"] == study.sign(files)


def test_the_same_program_again_is_no_new_version(study: Study) -> None:
    study.register(Role.CODE_PROVIDER)
    versions = [study.send_code().json()["code"]["version"] for _ in range(2)]
    assert versions == [1, 1]
    assert study.send_code({"run.py": b"other"}).json()["code"]["version"] == 2


def test_only_the_code_provider_with_a_key_sends_code(study: Study) -> None:
    tar, signature = make_tar({"run.py": b"x"}), "00" * 64
    assert code_of(study.send_tar(tar, signature=signature, person=study.owner)) == "wrong_role"
    assert code_of(study.send_tar(tar, signature=signature)) == "not_registered"
    assert code_of(study.coder.get(study.path("/code"))) == "no_code"


def test_code_signed_by_another_key_or_for_other_files_is_refused(study: Study) -> None:
    study.register(Role.CODE_PROVIDER)
    files = {"run.py": b"x"}
    foreign = study.sign(files, SigningKey.generate())
    assert code_of(study.send_tar(make_tar(files), signature=foreign)) == "code_signature"
    other = study.sign({"run.py": b"y"})
    assert code_of(study.send_tar(make_tar(files), signature=other)) == "code_signature"
    assert code_of(study.send_tar(make_tar(files), signature="00")) == "malformed"


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({"main.py": b"x"}, "entry_missing"),
        ({"lib/run.py": b"x"}, "entry_missing"),
        ({"run.py": b"x", "requirements.txt": b"numpy==2.4.6\n"}, "requirements"),
        ({"run.py": b"x", "../up.py": b"x"}, "archive"),
        ({"run.py": b"x", "run.py/a": b"x"}, "archive"),
    ],
)
def test_an_archive_that_is_not_right_leaves_nothing(
    study: Study, world: ServerWorld, files: dict[str, bytes], code: str
) -> None:
    study.register(Role.CODE_PROVIDER)
    assert code_of(study.send_tar(make_tar(files))) == code
    assert [path for path in (world.data / "blobs").glob("*/*")] == []


def test_an_archive_is_bounded_while_it_arrives(tmp_path_factory: pytest.TempPathFactory) -> None:
    limits = ServerLimits(max_code_files=2, max_code_bytes=1000)
    study = Study(ServerWorld(tmp_path_factory.mktemp("small"), limits=limits))
    study.register(Role.CODE_PROVIDER)
    assert code_of(study.send_tar(b"x" * 100_000)) == "too_large"
    assert code_of(study.send_tar(make_tar({"run.py": b"x" * 1001}))) == "archive"
    assert list((study.world.data / "blobs").glob("*/*")) == []
    study.world.close()


def test_code_replaced_leaves_no_orphans(study: Study, world: ServerWorld) -> None:
    study.register(Role.CODE_PROVIDER)
    key = str(uuid4())
    for _ in range(3):
        assert study.send_code(key=key).status_code == 201
    assert len(list((world.data / "blobs").glob("*/*"))) == 1


# Data


def test_a_file_arrives_in_pieces(study: Study) -> None:
    study.register(Role.DATA_PROVIDER)
    content = b"0123456789"
    upload = study.hospital.post(study.path("/data"), json=entry("a.csv", content)).json()["upload"]

    def put(offset: int, piece: bytes) -> httpx.Response:
        return study.hospital.send("PUT", study.path(f"/data/{upload}?offset={offset}"), content=piece)

    assert put(0, content[:4]).json()["received"] == 4
    wrong = put(0, content[:4])
    assert (code_of(wrong), wrong.json()["error"]["expected"]) == ("upload_offset", 4)
    assert study.hospital.get(study.path(f"/data/{upload}")).json()["received"] == 4
    assert put(4, content[4:]).json()["completed"] is True
    assert put(4, b"more").json()["completed"] is True
    again = study.hospital.post(study.path("/data"), json=entry("a.csv", content)).json()
    assert (again["upload"], again["received"]) == (upload, 10)


def test_a_file_of_no_bytes_is_complete_at_once(study: Study) -> None:
    study.register(Role.DATA_PROVIDER)
    assert study.upload("empty", b"")["completed"] is True
    assert study.done(("empty", b"")).status_code == 200


def test_no_files_at_all_are_data_too(study: Study) -> None:
    study.register(Role.DATA_PROVIDER)
    assert study.done().json()["done_at"] is not None


def test_more_bytes_than_announced_are_refused(study: Study) -> None:
    study.register(Role.DATA_PROVIDER)
    upload = study.hospital.post(study.path("/data"), json=entry("a", b"12")).json()["upload"]
    answer = study.hospital.send("PUT", study.path(f"/data/{upload}?offset=0"), content=b"123")
    assert code_of(answer) == "too_large"


def test_a_file_that_is_not_the_announced_one_is_dropped(study: Study) -> None:
    study.register(Role.DATA_PROVIDER)
    upload = study.hospital.post(study.path("/data"), json=entry("a", b"12")).json()["upload"]
    path = study.path(f"/data/{upload}")
    assert code_of(study.hospital.send("PUT", f"{path}?offset=0", content=b"21")) == "upload_digest"
    assert study.hospital.get(path).json()["received"] == 0
    assert study.hospital.send("PUT", f"{path}?offset=0", content=b"12").json()["completed"] is True


def test_another_file_under_one_name_is_refused_until_the_first_is_removed(study: Study) -> None:
    study.register(Role.DATA_PROVIDER)
    first = study.upload("a", b"1")
    answer = study.hospital.post(study.path("/data"), json=entry("a", b"2"))
    assert (code_of(answer), answer.json()["error"]["details"]) == (
        "upload_differs",
        {"upload": first["upload"]},
    )
    assert study.hospital.send("DELETE", study.path(f"/data/{first['upload']}")).status_code == 204
    assert study.upload("a", b"2")["completed"] is True


def test_uploads_are_their_providers_alone(study: Study) -> None:
    study.register()
    upload = study.upload("a", b"1")["upload"]
    for person in (study.owner, study.coder, study.reader):
        for method, rest in (("GET", ""), ("PUT", "?offset=0"), ("DELETE", "")):
            assert code_of(person.send(method, study.path(f"/data/{upload}{rest}"))) == "wrong_role"
        assert code_of(person.post(study.path("/data"), json=entry("b", b"1"))) == "wrong_role"
        assert code_of(person.post(study.path("/data/done"), json={"files": []})) == "wrong_role"
    assert code_of(study.hospital.get(study.path("/data/" + "0" * 32))) == "unknown_upload"
    assert code_of(study.hospital.get(study.path("/data/..%2f..%2fkey"))) in ("unknown_upload", "not_found")


def test_others_see_what_was_declared_and_not_the_uploads(study: Study) -> None:
    study.register(Role.DATA_PROVIDER)
    study.upload("a", b"1")
    assert study.owner.get(study.path("/data")).json()["providers"][0]["files"] == []
    study.done(("a", b"1"))
    shown = study.owner.get(study.path("/data")).json()["providers"][0]
    assert (shown["files"], shown["uploads"]) == ([entry("a", b"1")], None)


def test_done_names_exactly_the_files_that_are_there(study: Study) -> None:
    study.register(Role.DATA_PROVIDER)
    study.upload("a", b"1")
    assert code_of(study.done()) == "data_differs"
    assert code_of(study.done(("a", b"2"))) == "data_differs"
    assert code_of(study.done(("a", b"1"), ("b", b"1"))) == "data_differs"
    study.hospital.post(study.path("/data"), json=entry("b", b"12"))
    assert code_of(study.done(("a", b"1"), ("b", b"12"))) == "upload_incomplete"
    study.upload("b", b"12")
    assert study.done(("b", b"12"), ("a", b"1")).status_code == 200
    assert [
        file["name"] for file in study.hospital.get(study.path("/data")).json()["providers"][0]["files"]
    ] == [
        "b",
        "a",
    ]


def test_any_change_takes_done_back(study: Study) -> None:
    study.register(Role.DATA_PROVIDER)
    study.upload("a", b"1")
    study.done(("a", b"1"))
    study.upload("b", b"2")
    provider = study.owner.get(study.path("/data")).json()["providers"][0]
    assert (provider["done_at"], provider["files"]) == (None, [])


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\x00b", "e\u0301", "x" * 256])
def test_a_file_name_that_is_none_is_refused(study: Study, name: str) -> None:
    study.register(Role.DATA_PROVIDER)
    assert code_of(study.hospital.post(study.path("/data"), json=entry(name, b"1"))) == "malformed"


def test_limits_of_uploads_hold(tmp_path_factory: pytest.TempPathFactory) -> None:
    limits = ServerLimits(max_uploads=1, max_upload_bytes=10)
    study = Study(ServerWorld(tmp_path_factory.mktemp("small"), limits=limits))
    study.register(Role.DATA_PROVIDER)
    assert code_of(study.hospital.post(study.path("/data"), json=entry("a", b"1" * 11))) == "too_large"
    study.upload("a", b"1")
    assert code_of(study.hospital.post(study.path("/data"), json=entry("b", b"1"))) == "too_many_uploads"
    study.world.close()


def test_data_needs_a_key_first(study: Study) -> None:
    assert code_of(study.hospital.post(study.path("/data"), json=entry("a", b"1"))) == "not_registered"


def test_data_may_change_while_the_enclave_waits_until_it_was_delivered_for(study: Study) -> None:
    puppet = study.launch()
    study.upload("b", b"2")
    raw = study.delivery(puppet, Role.DATA_PROVIDER, study.hospital)
    assert code_of(study.hospital.post(study.path("/deliveries"), content=raw)) == "data_not_done"
    partly = study.hospital.post(study.path("/data"), json=entry("c", b"123")).json()["upload"]
    study.hospital.send("DELETE", study.path(f"/data/{partly}"))
    study.done(("a.csv", b"sealed"), ("b", b"2"))
    assert study.hospital.post(study.path("/deliveries"), content=raw).status_code == 200
    assert code_of(study.hospital.post(study.path("/data"), json=entry("d", b"1"))) == "data_delivered"
    assert code_of(study.done()) == "data_differs"


# Deliveries


def test_a_delivery_of_another_length_is_refused(study: Study) -> None:
    puppet = study.launch()
    raw = study.delivery(puppet, Role.CODE_PROVIDER, study.coder)
    for other in (b"", raw[:-1], raw + b"x", raw * 1000):
        assert code_of(study.coder.post(study.path("/deliveries"), content=other)) == "delivery_length"
    assert code_of(study.coder.post(study.path("/deliveries"), content=b"\x02" + raw[1:])) == "malformed"
    unknown_role = raw[:129] + b"\x09" + raw[130:]
    assert code_of(study.coder.post(study.path("/deliveries"), content=unknown_role)) == "malformed"


@pytest.mark.parametrize(
    ("offset", "code"),
    [
        (1, "delivery_agreement"),
        (33, "delivery_mrenclave"),
        (65, "delivery_keys"),
        (97, "delivery_keys"),
        (130, "delivery_sender"),
        (162, "delivery_commitment"),
        (200, "delivery_signature"),
        (401, "delivery_signature"),
    ],
)
def test_a_delivery_that_is_not_for_this_enclave_is_refused(study: Study, offset: int, code: str) -> None:
    raw = bytearray(study.delivery(study.launch(), Role.CODE_PROVIDER, study.coder))
    raw[offset] ^= 1
    assert code_of(study.coder.post(study.path("/deliveries"), content=bytes(raw))) == code
    assert study.kinds().count("delivery-received") == 0


def test_a_delivery_is_made_by_the_account_of_its_key(study: Study) -> None:
    raw = study.delivery(study.launch(), Role.CODE_PROVIDER, study.coder)
    assert code_of(study.hospital.post(study.path("/deliveries"), content=raw)) == "delivery_not_yours"
    assert code_of(study.owner.post(study.path("/deliveries"), content=raw)) == "wrong_role"


def test_a_data_provider_without_commitment_is_refused(study: Study) -> None:
    puppet = study.launch()
    parsed = Delivery.from_bytes(study.delivery(puppet, Role.DATA_PROVIDER, study.hospital))
    raw = bytearray(parsed.to_bytes())
    raw[162:194] = bytes(32)
    assert (
        code_of(study.hospital.post(study.path("/deliveries"), content=bytes(raw))) == "delivery_commitment"
    )


def test_identical_bytes_again_are_fine_and_others_are_refused(study: Study) -> None:
    puppet = study.launch()
    raw = study.delivery(puppet, Role.CODE_PROVIDER, study.coder)
    answers = [study.coder.post(study.path("/deliveries"), content=raw).json() for _ in range(2)]
    assert answers[0] == answers[1]
    other = study.delivery(puppet, Role.CODE_PROVIDER, study.coder)
    assert code_of(study.coder.post(study.path("/deliveries"), content=other)) == "delivery_slot"
    assert study.kinds().count("delivery-received") == 1


def test_an_old_delivery_is_refused_by_the_next_enclave(study: Study, world: ServerWorld) -> None:
    puppet = study.launch()
    raw = study.delivery(puppet, Role.CODE_PROVIDER, study.coder)
    puppet.vanish()
    world.follow()
    assert code_of(study.coder.post(study.path("/deliveries"), content=raw)) == "wrong_state"
    study.attested(2)
    assert code_of(study.coder.post(study.path("/deliveries"), content=raw)) == "delivery_agreement"


def test_a_delivery_before_the_evidence_is_refused(study: Study) -> None:
    assert code_of(study.coder.post(study.path("/deliveries"), content=bytes(402))) == "malformed"
    study.register()
    assert code_of(study.coder.get(study.path("/evidence"))) == "no_evidence"
    assert code_of(study.coder.get(study.path("/evidence?epoch=7"))) == "no_evidence"
    assert code_of(study.coder.get(study.path("/evidence?epoch=0"))) == "malformed"


# Wrong role, wrong state


@pytest.mark.parametrize("route", ["/cancel", "/relaunch", "/archive"])
def test_what_is_the_owners_alone_is_refused_to_others(study: Study, route: str) -> None:
    for person in (study.coder, study.hospital, study.reader):
        assert code_of(person.post(study.path(route))) == "wrong_role"


@pytest.mark.parametrize("route", ["/refusal", "/withdraw"])
def test_what_is_the_participants_is_refused_to_the_owner(study: Study, route: str) -> None:
    assert code_of(study.owner.post(study.path(route), json={"reason": "x"})) == "wrong_role"


def test_what_comes_too_early_or_too_late_is_refused_by_state(study: Study) -> None:
    assert code_of(study.coder.post(study.path("/refusal"), json={"reason": "x"})) == "wrong_state"
    assert code_of(study.owner.post(study.path("/relaunch"))) == "wrong_state"
    assert code_of(study.owner.post(study.path("/archive"))) == "wrong_state"
    study.register(Role.CODE_PROVIDER)
    study.owner.post(study.path("/cancel"))
    assert study.state == "Cancelled"
    assert code_of(study.send_code()) == "wrong_state"
    assert code_of(study.register_key(study.hospital, Role.DATA_PROVIDER, study.hospital.key.public_key)) == (
        "wrong_state"
    )
    assert code_of(study.hospital.post(study.path("/withdraw"))) == "wrong_state"
    assert study.owner.post(study.path("/archive")).json()["state"] == "Archived"
    for route in ("/cancel", "/relaunch", "/archive"):
        assert code_of(study.owner.post(study.path(route))) == "wrong_state"


@pytest.mark.parametrize("reason", ["", "x" * 1001, 7, None])
def test_a_refusal_has_a_reason(study: Study, reason: object) -> None:
    study.launch()
    assert code_of(study.coder.post(study.path("/refusal"), json={"reason": reason})) == "malformed"


# Results


def finished(study: Study) -> None:
    puppet = study.launch()
    puppet.open()
    study.world.follow()
    puppet.close(results={"model": b"0123456789"})
    study.world.follow()
    assert study.state == "Succeeded"


def test_results_are_their_consumers_alone(study: Study) -> None:
    finished(study)
    for person in (study.owner, study.coder, study.hospital):
        assert code_of(person.get(study.path("/results/0/0"))) == "wrong_role"
    assert code_of(study.reader.get(study.path("/results/1/0"))) == "wrong_role"
    assert code_of(study.reader.get(study.path("/results/0/1"))) == "unknown_result"
    assert study.reader.get(study.path("/results/0/0")).content == b"0123456789"


@pytest.mark.parametrize(
    ("asked", "status", "content"),
    [
        ("bytes=0-3", 206, b"0123"),
        ("bytes=4-", 206, b"456789"),
        ("bytes=-2", 206, b"89"),
        ("bytes=9-99", 206, b"9"),
        ("bytes=10-", 416, b""),
        ("bytes=5-4", 416, b""),
        ("bytes=-0", 416, b""),
        ("bytes=-", 416, b""),
        ("bytes=0-1,3-4", 416, b""),
        ("lines=0-1", 416, b""),
        ("bytes=\u0662-", 416, b""),
    ],
)
def test_a_download_continues_where_it_is_asked_to(
    study: Study, asked: str, status: int, content: bytes
) -> None:
    finished(study)
    answer = study.reader.get(study.path("/results/0/0"), headers={"Range": asked.encode()})
    assert answer.status_code == status
    if status == 206:
        assert answer.content == content
        assert answer.headers["Content-Range"].endswith("/10")
    else:
        assert code_of(answer) == "range_not_satisfiable"


def test_nothing_came_out_before_a_run(study: Study) -> None:
    for rest in ("/receipt", "/log", "/log-keys", "/results", "/results/0/0"):
        assert code_of(study.reader.get(study.path(rest))) == "no_receipt"


def test_archiving_removes_the_input_files_and_keeps_the_rest(study: Study, world: ServerWorld) -> None:
    finished(study)
    before = len(list((world.data / "blobs").glob("*/*")))
    assert study.owner.post(study.path("/archive")).json()["state"] == "Archived"
    assert len(list((world.data / "blobs").glob("*/*"))) == before - 1
    assert study.reader.get(study.path("/results/0/0")).status_code == 200
    assert study.reader.get(study.path("/receipt")).status_code == 200
    assert study.reader.get(study.path("/evidence")).status_code == 200


def test_nothing_of_a_sealed_key_is_kept_but_the_delivery(study: Study, world: ServerWorld) -> None:
    puppet = study.launch()
    study.deliver_all(puppet)
    world.platform.store.close()
    database = (world.data / "sealroom.sqlite").read_bytes()
    assert study.preshared.reveal() not in database


def test_an_address_that_is_no_text_is_refused_with_a_code(world: ServerWorld) -> None:
    body = b'{"email": "\\ud800"}'
    headers = new_key() | {"Content-Type": "application/json"}
    answer = world.request("POST", "/accounts", content=body, headers=headers)
    assert (answer.status_code, code_of(answer)) == (400, "malformed")


@pytest.mark.parametrize(
    "path", ["events?after", "evidence?epoch", "receipt?epoch", "log?epoch", "results?epoch"]
)
def test_a_number_that_no_database_column_holds_is_refused_with_a_code(study: Study, path: str) -> None:
    answer = study.owner.get(study.path(f"/{path}={10**30}"))
    assert (answer.status_code, code_of(answer)) == (400, "malformed")


# The description of the API


def test_the_description_tells_how_refusals_look_and_nothing_that_never_comes(world: ServerWorld) -> None:
    description = world.app.openapi()
    for path, methods in description["paths"].items():
        for method, route in methods.items():
            assert "4XX" in route["responses"], (path, method)
            assert "422" not in route["responses"], (path, method)
            assert route["summary"]
            assert route["description"]


def test_an_answer_has_exactly_the_members_that_are_described(study: Study, world: ServerWorld) -> None:
    described = world.app.openapi()["components"]["schemas"]["ComputationView"]
    assert sorted(study.view()) == sorted(described["properties"])
