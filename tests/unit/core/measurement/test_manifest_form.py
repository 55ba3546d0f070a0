import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealroom.core.measurement.manifest import TomlValue, write_manifest

_TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
_VALUES = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(_TEXT, _VALUES, max_size=5))
def test_what_is_written_reads_back(manifest: dict[str, TomlValue]) -> None:
    assert tomllib.loads(write_manifest(manifest).decode()) == manifest


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        ({}, ""),
        ({"a": {}}, "[a]\n"),
        ({"a": {"b": {}}}, "[a.b]\n"),
        ({"a": {"b": {"c": 1}, "d": True}}, "[a]\nd = true\n\n[a.b]\nc = 1\n"),
        ({"a": []}, "a = []\n"),
        ({"a": [1, [2]]}, "a = [\n    1,\n    [\n        2,\n    ],\n]\n"),
        ({"a": [{}]}, "a = [\n    {},\n]\n"),
        ({"a": [{"b": "x" * 81}]}, 'a = [\n    { b = "' + "x" * 81 + '" },\n]\n'),
        ({"a": [{"b": "x" * 90}, {"c": 1}]}, '[[a]]\nb = "' + "x" * 90 + '"\n\n[[a]]\nc = 1\n'),
        ({"a b": 'q"\\\n\t\x00\x7fż'}, '"a b" = "q\\"\\\\\\n\t\\u0000\\u007fż"\n'),
        ({"": 1}, '"" = 1\n'),
    ],
)
def test_form_is_the_signers(manifest: dict[str, TomlValue], expected: str) -> None:
    assert write_manifest(manifest) == expected.encode()
