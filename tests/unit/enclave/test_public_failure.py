"""The public part of a failure, against a program that lies about its exceptions and its code."""

import sys

import pytest

from sealroom.core.wire.receipt_closing import Failure
from sealroom.enclave.failure import places_of_error, places_of_frame, public_failure

LINES = {"run.py": 10, "pack/model.py": 3}


class Liar(type):
    @property
    def __mro__(cls) -> tuple[type, ...]:  # type: ignore[override]
        return (ValueError,)


class Lying(KeyError, metaclass=Liar):
    pass


def name_of(kind: type[BaseException]) -> str:
    failure = public_failure(kind, [("run.py", 1)], lines_of=LINES)
    assert failure is not None
    return failure.type


def test_names_the_nearest_built_in_ancestor() -> None:
    assert name_of(ZeroDivisionError) == "ZeroDivisionError"
    assert name_of(type("Special", (ZeroDivisionError,), {})) == "ZeroDivisionError"
    assert name_of(type("Both", (type("Special", (Exception,), {}), OSError), {})) == "OSError"
    assert name_of(IOError) == "OSError"


def test_a_class_that_is_called_like_a_built_in_one_is_none() -> None:
    assert name_of(type("ValueError", (KeyError,), {"__module__": "builtins"})) == "KeyError"


def test_ancestors_are_not_asked_of_the_class() -> None:
    assert Lying.__mro__ == (ValueError,)
    assert name_of(Lying) == "KeyError"


@pytest.mark.parametrize(
    "place",
    [
        ("other.py", 1),
        ("run.py", 0),
        ("run.py", 11),
        ("run.py", -1),
        ("run.py", None),
        ("run.py", "1"),
        ("run.py", True),
        (["run.py"], 1),
        (type("Text", (str,), {"__eq__": lambda *_: True, "__hash__": lambda _: hash("run.py")})("x"), 1),
    ],
)
def test_a_place_outside_the_code_list_is_none(place: tuple[object, object]) -> None:
    assert public_failure(ValueError, [place], lines_of=LINES) is None
    found = public_failure(ValueError, [place, ("pack/model.py", 3)], lines_of=LINES)
    assert found == Failure(type="ValueError", file="pack/model.py", line=3)


def test_takes_the_innermost_place_of_a_traceback() -> None:
    names = {}
    exec(compile("\ndef inner():\n    raise ValueError", "pack/model.py", "exec"), names)
    exec(compile("def outer(inner):\n    inner()", "run.py", "exec"), names)
    with pytest.raises(ValueError) as caught:
        names["outer"](names["inner"])
    failure = public_failure(ValueError, places_of_error(caught.value), lines_of=LINES)
    assert failure == Failure(type="ValueError", file="pack/model.py", line=3)


def test_takes_the_innermost_place_of_a_frame() -> None:
    names = {"sys": sys}
    exec(compile("\n\ndef f():\n    return sys._getframe()", "run.py", "exec"), names)
    failure = public_failure(SystemExit, places_of_frame(names["f"]()), lines_of=LINES)
    assert failure == Failure(type="SystemExit", file="run.py", line=4)


def test_the_place_in_a_syntax_error_counts_first_and_only_of_a_real_one() -> None:
    def places(error: BaseException) -> list[tuple[object, object]]:
        return list(places_of_error(error))

    assert places(SyntaxError("x", ("run.py", 7, 1, None))) == [("run.py", 7)]
    assert places(type("Mine", (SyntaxError,), {})("x", ("run.py", 7, 1, None))) == []
