"""Challenges: their form, their rate, and who is asked."""

import asyncio
import time

import pytest

from sealroom.core.errors import VerificationError
from sealroom.core.wire.channel import channel_report_data
from sealroom.enclave.service.challenge import MAX_WAITING, QUOTES_A_SECOND, Answer, Challenges

NONCE = bytes(range(32))
QUERY = b"nonce=" + NONCE.hex().encode()
KEY_INFO = b"a key"


class OneChannel:
    def exporter(self) -> bytes:
        return bytes(32)


HERE = OneChannel()


def ask(
    challenges: Challenges, *, query: bytes = QUERY, method: bytes = b"GET", channel: OneChannel | None = HERE
) -> Answer:
    return asyncio.run(challenges.answer(method=method, query=query, channel=channel, key_info=KEY_INFO))


def test_the_answer_is_a_quote_over_nonce_exporter_and_key() -> None:
    answer = ask(Challenges(lambda report_data: b"quote of " + report_data))
    bound = channel_report_data(nonce=NONCE, exporter=bytes(32), key_info=KEY_INFO)
    assert (answer.status, answer.body) == (200, b"quote of " + bound)


def test_without_tls_nothing_is_quoted() -> None:
    assert ask(Challenges(lambda _: pytest.fail("asked")), channel=None).status == 426


@pytest.mark.parametrize("query", [b"", b"nonce=", QUERY[:-1], QUERY + b"0", QUERY.upper(), b"x=1&" + QUERY])
def test_another_form_is_refused_before_anything_is_quoted(query: bytes) -> None:
    assert ask(Challenges(lambda _: pytest.fail("asked")), query=query).status == 400


def test_another_method_is_refused() -> None:
    assert ask(Challenges(lambda _: pytest.fail("asked")), method=b"POST").status == 405


@pytest.mark.parametrize("error", [OSError("the device is gone"), VerificationError("another report")])
def test_a_device_that_fails_is_the_hosts_and_says_nothing(error: Exception) -> None:
    def fail(_: bytes) -> bytes:
        raise error

    assert ask(Challenges(fail)) == Answer(status=503)


def test_four_a_second_are_answered_and_more_than_64_are_not_kept_waiting() -> None:
    challenges = Challenges(lambda _: b"quote")

    async def burst() -> list[int]:
        asked = [
            challenges.answer(method=b"GET", query=QUERY, channel=OneChannel(), key_info=KEY_INFO)
            for _ in range(MAX_WAITING + 5)
        ]
        tasks = [asyncio.ensure_future(each) for each in asked]
        started = time.monotonic()
        first = [await task for task in tasks[:4]]
        assert time.monotonic() - started >= 3 / QUOTES_A_SECOND
        refused = [await task for task in tasks[MAX_WAITING:]]
        assert all(dict(answer.headers)[b"retry-after"] == b"16" for answer in refused)
        for task in tasks:
            task.cancel()
        return [answer.status for answer in (*first, *refused)]

    assert asyncio.run(burst()) == [200] * 4 + [429] * 5
