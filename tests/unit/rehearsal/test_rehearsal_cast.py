"""The participants of a rehearsal: keys for once, and a contract that a client accepts."""

from sealroom.client.roles import DEFAULT_LIMITS
from sealroom.core.wire.code_list import CodeFile, CodeList
from sealroom.core.wire.participants import Role
from sealroom.core.wire.terms import LogRelease, Tee
from sealroom.rehearsal.cast import Cast, Choices

CODE = CodeList.from_files((CodeFile(path="run.py", size=4, sha256=bytes(32)),))


def gather() -> Cast:
    return Cast.gather(
        Choices(
            data_providers=("ana@example.org", "bea@example.org"),
            result_consumers=("ana@example.org",),
            logs=LogRelease.NONE,
            limits=DEFAULT_LIMITS,
        )
    )


def test_everybody_is_in_the_arguments_in_order_and_one_person_has_one_key() -> None:
    cast = gather()
    arguments = cast.agree(CODE)
    assert arguments.terms.tee is Tee.SIMULATED
    assert [p.email for p in arguments.in_role(Role.DATA_PROVIDER)] == ["ana@example.org", "bea@example.org"]
    (consumer,) = cast.in_role(Role.RESULT_CONSUMER)
    assert consumer.public_key == cast.in_role(Role.DATA_PROVIDER)[0].public_key
    assert len({actor.public_key for actor in cast.actors}) == 3


def test_no_two_rehearsals_share_a_key_a_computation_or_a_launch() -> None:
    one, other = gather(), gather()
    assert one.computation != other.computation
    assert not {a.public_key for a in one.actors} & {a.public_key for a in other.actors}
    assert one.words_key != other.words_key
    assert one.agree(CODE).launch != one.agree(CODE).launch


def test_what_everybody_expects_is_the_contract() -> None:
    cast = gather()
    expected = cast.expect(CODE)
    assert expected.terms_prefix == cast.terms.digest[:16]
    assert expected.code_digest == CODE.digest
    assert {own.role for own in expected.own_roles} == set(Role)
    assert all(contact.pinned for contact in expected.contacts.values())
