"""Why two manifests are measured differently."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealroom.core.errors import MalformedError
from sealroom.core.measurement.differences import Change, manifest_differences
from sealroom.core.measurement.manifest import write_manifest

_URIS = st.text(st.characters(categories=("Ll",)), min_size=1, max_size=4).map(lambda name: f"file:{name}")
_DIGESTS = st.sampled_from(["a" * 64, "b" * 64, "c" * 64])
_MANIFESTS = st.builds(
    lambda files, sgx: _manifest(files, **sgx),
    st.dictionaries(_URIS, _DIGESTS, max_size=5),
    st.dictionaries(st.sampled_from(["debug", "isvsvn"]), st.booleans() | st.integers(0, 3)),
)


def _manifest(files: dict[str, str], **sgx: object) -> bytes:
    rows = [{"uri": uri, "sha256": digest[0] * 64} for uri, digest in files.items()]
    return write_manifest({"sgx": {**sgx, "trusted_files": rows}})


def _said(first: bytes, second: bytes) -> list[tuple[Change, str, str | None, str | None]]:
    return [(d.change, d.name, d.first, d.second) for d in manifest_differences(first, second)]


def test_a_changed_file_is_named_with_both_digests() -> None:
    assert _said(_manifest({"file:a": "1", "file:b": "2"}), _manifest({"file:a": "1", "file:b": "3"})) == [
        (Change.CHANGED, "file:b", "2" * 64, "3" * 64)
    ]


def test_added_and_missing_files_are_named() -> None:
    assert _said(_manifest({"file:a": "1"}), _manifest({"file:b": "2"})) == [
        (Change.ONLY_FIRST, "file:a", "1" * 64, None),
        (Change.ONLY_SECOND, "file:b", None, "2" * 64),
    ]


def test_a_file_that_moved_is_one_difference() -> None:
    assert _said(_manifest({"file:/usr/lib/x": "1"}), _manifest({"file:/usr/local/lib/x": "1"})) == [
        (Change.MOVED, "file:/usr/lib/x", "1" * 64, "file:/usr/local/lib/x")
    ]


def test_files_of_one_content_that_moved_are_not_guessed() -> None:
    changes = _said(_manifest({"file:a/x": "1", "file:b/x": "1"}), _manifest({"file:c/x": "1"}))
    assert Change.MOVED not in [change for change, *_ in changes]
    assert len(changes) == 3


def test_settings_come_first_and_show_their_values() -> None:
    first = _manifest({"file:a": "1"}, debug=False, isvsvn=1, only="x")
    second = _manifest({"file:a": "2"}, debug=True, isvsvn=1, more=["y"])
    assert _said(first, second)[:3] == [
        (Change.CHANGED, "sgx.debug", "False", "True"),
        (Change.ONLY_SECOND, "sgx.more 'y'", None, "True"),
        (Change.ONLY_FIRST, "sgx.only", "'x'", None),
    ]


def test_true_is_not_one() -> None:
    assert _said(_manifest({}, isvsvn=True), _manifest({}, isvsvn=1)) == [
        (Change.CHANGED, "sgx.isvsvn", "True", "1")
    ]


def test_another_order_of_files_is_named_at_its_first_file() -> None:
    first = _manifest({"file:a": "1", "file:b": "2", "file:c": "3"})
    second = _manifest({"file:a": "1", "file:c": "3", "file:b": "2"})
    assert _said(first, second) == [(Change.ORDER, "file:b", None, None)]


def test_the_same_values_in_other_bytes_are_a_difference() -> None:
    manifest = _manifest({"file:a": "1"})
    assert _said(manifest, manifest + b"# comment\n") == [(Change.FORM, "the file", None, None)]


@given(_MANIFESTS, _MANIFESTS)
def test_nothing_is_said_exactly_of_equal_bytes(first: bytes, second: bytes) -> None:
    assert (manifest_differences(first, second) == ()) is (first == second)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"sgx = 1",
        b"sgx.trusted_files = 1",
        b"sgx.trusted_files = ['file:a']",
        b"sgx.trusted_files = [{uri = 'file:a'}]",
        b"sgx.trusted_files = [{uri = 1, sha256 = '%s'}]" % (b"a" * 64),
        b"sgx.trusted_files = [{uri = 'file:a', sha256 = 'A'}]",
        b"sgx.trusted_files = [%s, %s]" % ((b"{uri = 'file:a', sha256 = '%s'}" % (b"a" * 64),) * 2),
    ],
)
def test_refuses_a_manifest_that_is_not_signed(text: bytes) -> None:
    with pytest.raises(MalformedError, match="trusted_files"):
        manifest_differences(text, _manifest({}))
