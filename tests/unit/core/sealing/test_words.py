"""The invitation's words and the key they derive to."""

import hashlib
from uuid import UUID

import pytest

from sealroom.core.errors import MalformedError
from sealroom.core.sealing import words as words_module
from sealroom.core.sealing.words import derive_preshared_key, generate_words, parse_words, word_list

COMPUTATION = UUID("6a6f1d4e-1f0c-4a1d-9d3c-0c8f6d1b2a33")


def test_the_list_is_the_english_one_of_bip39() -> None:
    listed = word_list()
    assert len(listed) == len(set(listed)) == 2048
    assert (listed[0], listed[-1]) == ("abandon", "zoo")
    assert list(listed) == sorted(listed)
    whole = "".join(f"{word}\n" for word in listed).encode()
    assert hashlib.sha256(whole).hexdigest() == words_module.LIST_SHA256


def test_another_list_on_disk_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words_module, "LIST_SHA256", "00" * 32)
    word_list.cache_clear()
    with pytest.raises(RuntimeError, match="not the English list"):
        word_list()
    word_list.cache_clear()


def test_generated_words_are_three_of_the_list_and_differ_each_time() -> None:
    drawn = {generate_words() for _ in range(20)}
    assert len(drawn) == 20
    assert all(len(words) == 3 and set(words) <= set(word_list()) for words in drawn)


@pytest.mark.parametrize("count", [0, 2, 13])
def test_refuses_to_draw_too_few_or_too_many(count: int) -> None:
    with pytest.raises(ValueError, match="expected 3 to 12"):
        generate_words(count)


@pytest.mark.parametrize("text", ["zoo-zoo-zoo", "abandon-ability-able", "-".join(["zoo"] * 12)])
def test_reads_words_joined_by_hyphens(text: str) -> None:
    assert "-".join(parse_words(text)) == text


@pytest.mark.parametrize("text", ["", "zoo", "zoo-zoo", "-".join(["zoo"] * 13), "-" * 5000])
def test_refuses_too_few_or_too_many_words(text: str) -> None:
    with pytest.raises(MalformedError):
        parse_words(text)


@pytest.mark.parametrize(
    "text", ["zoo-Zoo-zoo", "zoo--zoo", "zoo-zoo-zoo ", "zoo-zoo-z\u043eo", "zoo-secretive-zoo"]
)
def test_refuses_a_word_outside_the_list_without_showing_it(text: str) -> None:
    with pytest.raises(MalformedError, match=r"number [123] is not in the BIP39 list") as caught:
        parse_words(text)
    assert "secretive" not in str(caught.value)


def test_derives_pbkdf2_over_the_words_joined_with_nothing_between() -> None:
    salt = hashlib.sha256(COMPUTATION.bytes).digest()
    expected = hashlib.pbkdf2_hmac("sha256", b"abandonabilityable", salt, 390_000)
    derived = derive_preshared_key(("abandon", "ability", "able"), computation=COMPUTATION)
    assert derived.reveal() == expected
