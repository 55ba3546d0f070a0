"""From the manifest that a person writes to the one that is measured."""

import hashlib
from collections.abc import Sequence

import pytest

from sealroom.core.errors import MalformedError
from sealroom.core.measurement.expansion import (
    EntryKind,
    FolderEntry,
    expand_manifest,
    list_trusted_files,
    with_defaults,
)
from sealroom.core.measurement.manifest import parse_manifest, write_manifest

_FOLDER, _FILE, _OTHER = EntryKind.FOLDER, EntryKind.FILE, EntryKind.OTHER
_A = "a" * 64


class _Tree:
    """Folders as dicts of names: a dict is a folder, bytes are a file, a tuple is a link to one."""

    def __init__(self, root: dict) -> None:
        self.root = root
        self.hashed: list[str] = []

    def _at(self, path: str) -> object:
        found: object = self.root
        for part in path.strip("/").split("/"):
            if part in ("", "."):
                continue
            if isinstance(found, tuple):
                (found,) = found
            if not isinstance(found, dict) or part not in found:
                return None
            found = found[part]
        return found

    def kind(self, path: str) -> EntryKind:
        found = self._at(path)
        if isinstance(found, tuple):
            (found,) = found
        return _FOLDER if isinstance(found, dict) else _FILE if isinstance(found, bytes) else _OTHER

    def entries(self, path: str) -> Sequence[FolderEntry]:
        found = self._at(path)
        if isinstance(found, tuple):
            (found,) = found
        assert isinstance(found, dict)
        return [
            FolderEntry(name=name, kind=self.kind(f"{path}/{name}"), is_link=isinstance(value, tuple))
            for name, value in found.items()
        ]

    def digests(self, paths: Sequence[str]) -> Sequence[bytes]:
        self.hashed += paths
        return [hashlib.sha256(self._at(path)).digest() for path in paths]


def _uris(items: list, root: dict | None = None) -> list[str]:
    return [file.uri for file in list_trusted_files(items, tree=_Tree(root or {}))]


def test_names_are_in_the_order_of_their_code_points_and_a_folder_in_the_place_of_its_name() -> None:
    root = {
        "t": {
            "b": {"x": b"", "deep": {"er": b""}},
            "b.txt": b"",
            "b-.txt": b"",
            "a": b"",
            "B": b"",
            "\u017c": b"",
            ".h": b"",
        }
    }
    assert _uris(["file:t/"], root) == [
        "file:t/.h", "file:t/B", "file:t/a", "file:t/b/deep/er", "file:t/b/x",
        "file:t/b-.txt", "file:t/b.txt", "file:t/\u017c",
    ]  # fmt: skip


def test_a_link_to_a_file_is_a_file_and_a_link_to_a_folder_is_left_out() -> None:
    root = {"t": {"link": (b"x",), "folder": ({"y": b""},), "gone": None, "empty": {}}}
    assert _uris(["file:t/"], root) == ["file:t/link"]


def test_a_link_to_a_folder_that_is_named_itself_is_expanded_under_its_own_name() -> None:
    assert _uris(["file:/l/"], {"l": ({"y": b""},)}) == ["file:/l/y"]


def test_the_path_of_a_found_file_is_normal_and_a_named_file_stays_as_written() -> None:
    root = {"t": {"f": b""}, "..": {"u": {"g": b""}}}
    assert _uris(["file:./t//./"], root) == ["file:t/f"]
    assert _uris(["file:/t//f", "file:/t/./f"], root) == ["file:/t//f", "file:/t/./f"]
    assert _uris(["file:../u/"], root) == ["file:../u/g"]


def test_a_tree_deeper_than_the_stack_is_walked() -> None:
    root: dict = {"f": b""}
    for _ in range(5000):
        root = {"d": root}
    tree = _Deep()
    assert len(list_trusted_files(["file:/d/"], tree=tree)) == 1


class _Deep(_Tree):
    def __init__(self) -> None:
        super().__init__({})

    def kind(self, path: str) -> EntryKind:
        return _FOLDER

    def entries(self, path: str) -> Sequence[FolderEntry]:
        if len(path) > 8000:
            return [FolderEntry(name="f", kind=_FILE)]
        return [FolderEntry(name="d", kind=_FOLDER)]


def test_a_file_named_twice_keeps_its_first_place_and_the_digest_it_was_given() -> None:
    root = {"a": b"", "b": b""}
    given = {"uri": "file:a", "sha256": _A}
    for items in (["file:a", "file:b", given], [given, "file:b", "file:a"], [given, "file:b", given]):
        files = list_trusted_files(items, tree=_Tree(root))
        assert [(file.uri, file.sha256) for file in files] == [("file:a", _A), ("file:b", None)]


def test_a_file_with_a_digest_is_not_opened_and_need_not_exist() -> None:
    tree = _Tree({"lib": b"lib"})
    manifest = {"sgx": {"trusted_files": [{"uri": "file:gone", "sha256": _A}]}}
    expand_manifest(manifest, tree=tree, libos_uri="file:lib")
    assert tree.hashed == ["lib"]


@pytest.mark.parametrize(
    ("items", "why"),
    [
        ("file:a", "array"),
        ({"foo": "file:a"}, "array"),
        (None, "array"),
        ([1], "URI"),
        ([{"sha256": _A}], "URI"),
        ([{"uri": "file:a", "more": 1}], "URI"),
        ([{"uri": 1}], "file: URI"),
        (["dev:tty"], "file: URI"),
        (["a"], "file: URI"),
        (["file:a\0b"], "file: URI"),
        (["file:"], "is a folder"),
        (["file:t"], "is a folder"),
        (["file:a/"], "not a folder"),
        (["file:gone/"], "not a folder"),
        ([{"uri": "file:t/", "sha256": _A}], "has a sha256"),
        ([{"uri": "file:a", "sha256": _A.upper()}], "hex digits"),
        ([{"uri": "file:a", "sha256": "aa"}], "hex digits"),
        ([{"uri": "file:a", "sha256": 1}], "hex digits"),
        ([{"uri": "file:a", "sha256": _A}, {"uri": "file:a", "sha256": "b" * 64}], "different digests"),
        (["file:bad/"], "not UTF-8"),
    ],
)
def test_refuses_what_has_no_meaning(items: object, why: str) -> None:
    tree = _Tree({"a": b"", "t": {}, "bad": {"\udcff": b""}})
    with pytest.raises(MalformedError, match=why):
        list_trusted_files(items, tree=tree)


def test_defaults_are_appended_in_the_signers_order() -> None:
    manifest = parse_manifest(
        b"[sgx]\ndebug = true\n[sgx.cpu_features]\npkru = 'required'\n[fs]\nmounts = []\n"
    )
    assert list(with_defaults(manifest)) == ["sgx", "fs", "loader"]
    sgx = with_defaults(manifest)["sgx"]
    assert list(sgx) == [
        "debug", "cpu_features", "trusted_files", "max_threads", "isvprodid", "isvsvn", "remote_attestation",
        "enable_stats", "edmm_enable", "enclave_size", "use_exinfo",
    ]  # fmt: skip
    assert list(sgx["cpu_features"].items()) == [
        ("pkru", "required"), ("avx", "unspecified"), ("avx512", "unspecified"),
        ("amx", "unspecified"), ("mpx", "disabled"),
    ]  # fmt: skip
    assert (sgx["debug"], sgx["enclave_size"]) == (True, "256M")
    assert with_defaults({"sgx": {"edmm_enable": True}})["sgx"]["enclave_size"] == "1024G"


def test_the_library_os_is_bound_by_its_digest() -> None:
    expanded = expand_manifest({}, tree=_Tree({"l": b"lib"}), libos_uri="file:/l")
    assert expanded["loader"]["entrypoint"] == {
        "uri": "file:/l",
        "sha256": hashlib.sha256(b"lib").hexdigest(),
    }


def test_a_library_os_that_the_manifest_names_stays() -> None:
    entry = {"sha256": _A, "uri": "file:gone"}
    expanded = expand_manifest({"loader": {"entrypoint": entry}}, tree=_Tree({}), libos_uri="file:/l")
    assert expanded["loader"]["entrypoint"] == entry


def test_what_is_expanded_once_stays_as_it_is() -> None:
    tree = _Tree({"t": {"x": b"1", "y": b"2"}, "l": b"lib"})
    once = expand_manifest({"sgx": {"trusted_files": ["file:t/"]}}, tree=tree, libos_uri="file:l")
    written = write_manifest(once)
    assert write_manifest(expand_manifest(parse_manifest(written), tree=_Tree({}))) == written


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "names no library OS"),
        (b"sgx = 1", "sgx: expected a table"),
        (b"loader = 1", "loader: expected a table"),
        (b"loader.entrypoint = 'file:x'", "loader.entrypoint: expected a table"),
        (b"sgx.cpu_features = []", "cpu_features: expected a table"),
        (b"loader.entrypoint.uri = 1", "file: URI"),
        (b"loader.entrypoint.uri = 'l'", "file: URI"),
        (b"loader.entrypoint.uri = 'file:t'", "is a folder"),
        (b"a.b = 1.5", "a.b: a float"),
        (b"a = [1979-05-27]", "a: a date"),
    ],
)
def test_refuses_a_manifest_that_cannot_be_expanded(text: bytes, why: str) -> None:
    with pytest.raises(MalformedError, match=why):
        expand_manifest(parse_manifest(text), tree=_Tree({"t": {}}))
