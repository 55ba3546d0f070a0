"""The invitation's line and file."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealroom.core.errors import MalformedError
from sealroom.core.sealing.invitation import (
    Invitation,
    InvitationFile,
    format_invitation,
    format_invitation_file,
    parse_invitation,
    parse_invitation_file,
)
from sealroom.core.sealing.words import word_list

INVITATION = Invitation(
    computation=UUID("6a6f1d4e-1f0c-4a1d-9d3c-0c8f6d1b2a33"),
    terms_prefix=bytes(range(16)),
    words=("abandon", "ability", "zoo"),
)
LINE = format_invitation(INVITATION)
FILE = InvitationFile(
    invitation=INVITATION, server="https://seal.example.org:8443", server_cert_sha256=bytes(range(32))
)
RAW_FILE = format_invitation_file(FILE)


def with_true_check(line: str) -> str:
    """Give `line` the checksum that fits it, so that another rule must refuse it."""
    from sealroom.core.sealing import invitation

    return f"{line}:{invitation._check(line)}"


def test_the_line_is_the_documented_one() -> None:
    body = "sealroom1:6a6f1d4e-1f0c-4a1d-9d3c-0c8f6d1b2a33:aaaqeayeaudaocajbifqydiob4:abandon-ability-zoo"
    assert f"{body}:{LINE[-4:]}" == LINE
    assert with_true_check(body) == LINE


def test_the_file_is_the_documented_one() -> None:
    lines = RAW_FILE.decode().split("\n")
    assert lines == [
        LINE,
        "server=https://seal.example.org:8443",
        f"server-cert={bytes(range(32)).hex()}",
        "",
    ]


uuids = st.uuids(version=4)
words = st.lists(st.sampled_from(word_list()), min_size=3, max_size=12).map(tuple)


@given(computation=uuids, terms=st.binary(min_size=16, max_size=16), chosen=words)
def test_reads_back_what_it_wrote(computation: UUID, terms: bytes, chosen: tuple[str, ...]) -> None:
    invitation = Invitation(computation=computation, terms_prefix=terms, words=chosen)
    assert parse_invitation(format_invitation(invitation)) == invitation


def test_file_reads_back() -> None:
    assert parse_invitation_file(RAW_FILE) == FILE


def test_words_are_hidden_from_repr() -> None:
    shown = repr(FILE)
    assert not any(word in shown for word in INVITATION.words)


@pytest.mark.parametrize("place", range(len(LINE)))
def test_one_changed_character_is_refused_everywhere(place: int) -> None:
    other = "b" if LINE[place] != "b" else "c"
    with pytest.raises(MalformedError) as caught:
        parse_invitation(LINE[:place] + other + LINE[place + 1 :])
    assert "ability" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("sealroom1:", "sealroom2:", "start with sealroom1"),
        ("-4a1d-", "-1a1d-", "version 4"),
        ("6a6f1d4e", "6A6F1D4E", "lower case"),
        ("aaaqe", "AAAQE", "lower-case base32"),
        ("iob4", "iob5", "lower-case base32"),
        ("iob4", "iob", "base32"),
        ("iob4", "iob4aaaaaa", "16 octets"),
        ("iob4", "iob1", "base32"),
        ("abandon-ability-zoo", "abandon-ability", "3 to 12"),
        ("abandon-ability-zoo", "abandon-ability-zooo", "number 3 is not in"),
    ],
)
def test_each_part_is_refused_by_itself_under_a_true_checksum(old: str, new: str, why: str) -> None:
    body = LINE[: LINE.rindex(":")]
    assert old in body
    with pytest.raises(MalformedError, match=why):
        parse_invitation(with_true_check(body.replace(old, new)))


@pytest.mark.parametrize(
    "line", ["", ":" * 4, ":" * 5, LINE + ":", LINE + "\n", " " + LINE, "x" * 257, LINE + "é"]
)
def test_refuses_other_shapes(line: str) -> None:
    with pytest.raises(MalformedError):
        parse_invitation(line)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"server=", b"Server="),
        (b"server-cert=", b"cert="),
        (b"https://", b"http://"),
        (b"seal.example.org", b"user@seal.example.org"),
        (b":8443", b":0"),
        (b":8443", b":65536"),
        (b":8443", b":8443/path"),
        (b"000102", b"00010g"),
        (b"1a1b", b"1A1B"),
        (b"\n", b"\r\n"),
        (b"1e1f\n", b"1e1f"),
        (b"1e1f\n", b"1e1f\n\n"),
        (b"1e1f", b"1e"),
        (b"1e1f\n", b"1e1f\nmore=1\n"),
        (b"seal.", b"s\xc3\xa9al."),
    ],
)
def test_refuses_a_file_with_another_form(old: bytes, new: bytes) -> None:
    assert old in RAW_FILE
    with pytest.raises(MalformedError):
        parse_invitation_file(RAW_FILE.replace(old, new))


@given(st.text(max_size=300))
def test_any_line_is_an_invitation_or_malformed(line: str) -> None:
    for text in (line, with_true_check_if_ascii(line)):
        try:
            assert format_invitation(parse_invitation(text)) == text
        except MalformedError:
            continue


def with_true_check_if_ascii(line: str) -> str:
    return with_true_check(line) if line.isascii() else line


@given(st.binary(max_size=1100))
def test_any_file_is_an_invitation_or_malformed(raw: bytes) -> None:
    for candidate in (raw, RAW_FILE + raw, RAW_FILE[: len(raw)] + raw):
        try:
            assert format_invitation_file(parse_invitation_file(candidate)) == candidate
        except MalformedError:
            continue


def test_cannot_be_built_from_what_it_could_not_write() -> None:
    for change in ({"terms_prefix": bytes(15)}, {"words": ("zoo", "zoo")}, {"words": ("a", "b", "c")}):
        with pytest.raises(MalformedError):
            Invitation(
                **{
                    "computation": INVITATION.computation,
                    "terms_prefix": bytes(16),
                    "words": INVITATION.words,
                }
                | change
            )
