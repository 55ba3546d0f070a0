import unicodedata
from dataclasses import replace
from hashlib import sha256
from uuid import UUID

import pytest
import wire_samples as samples
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey

from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.wire.code_list import (
    CodeFile,
    CodeList,
    ServiceCode,
    code_signature_message,
    verify_code_signature,
)
from sealroom.core.wire.input_list import MAX_INPUT_FILES, InputFile, InputList
from sealroom.core.wire.names import check_file_name, check_path

DIGEST = b"\x0d" * 32
BAD_NAMES = [
    "",
    ".",
    "..",
    "a/b",
    "/",
    "a\0",
    "a\n",
    "\x1b[2J",
    "a\x7f",
    "a\x85",
    "e\N{COMBINING ACUTE ACCENT}",
    "\N{ANGSTROM SIGN}",
    "\ud800",
    "x" * 256,
    "é" * 128,
    "x" * 100_000,
]
BAD_PATHS = [
    *(n for n in BAD_NAMES if n != "a/b"),
    "/a",
    "a/",
    "a//b",
    "a/./b",
    "../a",
    "a/..",
    "/".join(["ab"] * 400),
]
NAMES = (
    st.text(
        st.characters(exclude_categories=["Cc", "Cs", "Cn"], exclude_characters="/"), min_size=1, max_size=40
    )
    .map(lambda text: unicodedata.normalize("NFC", text))
    .filter(lambda n: n not in (".", "..") and len(n.encode()) < 256)
)


def code_file(path: str) -> CodeFile:
    return CodeFile(path=path, size=1, sha256=DIGEST)


def input_file(name: str) -> InputFile:
    return InputFile(name=name, size=1, sha256=DIGEST)


@pytest.mark.parametrize("name", BAD_NAMES, ids=ascii)
def test_refuses_a_name_in_any_but_its_one_form(name):
    with pytest.raises(MalformedError):
        check_file_name(name, field="name")
    with pytest.raises(MalformedError):
        input_file(name)


@pytest.mark.parametrize("path", BAD_PATHS, ids=ascii)
def test_refuses_a_path_that_leaves_its_folder_or_has_two_spellings(path):
    with pytest.raises(MalformedError):
        check_path(path, field="path")
    with pytest.raises(MalformedError):
        code_file(path)


def test_a_path_is_bounded_in_bytes_and_first_in_characters():
    check_path("/".join(["é" * 100] * 5), field="path")
    with pytest.raises(MalformedError, match="1 to 1024"):
        check_path("/".join(["é" * 100] * 6), field="path")
    with pytest.raises(MalformedError, match="longer than"):
        check_path("x" * 1025, field="path")


@pytest.mark.parametrize("name", ["a", "ab c.csv", "süd.csv", "数据", "...", "-rf", "x" * 255, "é" * 127])
def test_accepts_ordinary_names(name):
    check_file_name(name, field="name")
    check_path(f"folder/{name}", field="path")


@given(st.lists(NAMES, unique=True, max_size=8), st.integers(0, 2**63 - 1))
def test_any_input_list_reads_back_in_its_order(names, size):
    inputs = InputList(files=tuple(InputFile(name=name, size=size, sha256=DIGEST) for name in names))
    assert InputList.from_json(inputs.to_json()) == inputs


@given(st.lists(NAMES, unique=True, max_size=8))
def test_any_code_list_reads_back_sorted(names):
    paths = {"run.py", *(f"lib/{name}" for name in names)}
    code = CodeList.from_files(tuple(code_file(path) for path in paths))
    assert CodeList.from_json(code.to_json()) == code
    encoded = [file.path.encode() for file in code.files]
    assert encoded == sorted(encoded)


@given(st.binary(max_size=120))
def test_any_bytes_are_a_list_or_malformed(raw):
    for parse in (InputList.from_json, CodeList.from_json):
        try:
            parse(raw)
        except MalformedError:
            continue


def test_an_empty_input_list_is_a_list():
    assert InputList.from_json(b'{"files":[]}').files == ()


@pytest.mark.parametrize(
    "raw",
    [
        b'{"files": []}',
        b'{"files":[]}\n',
        b"{}",
        b"[]",
        b'{"files":[],"more":1}',
        b'{"files":[],"files":[]}',
        b'{"files":{}}',
        b'{"files":[{"name":"a","size":1}]}',
        b'{"files":[{"size":1,"name":"a","sha256":"%s"}]}' % (b"00" * 32),
        b'{"files":[{"name":"a","size":1.0,"sha256":"%s"}]}' % (b"00" * 32),
        b'{"files":[{"name":"a","size":true,"sha256":"%s"}]}' % (b"00" * 32),
        b'{"files":[{"name":"a","size":-1,"sha256":"%s"}]}' % (b"00" * 32),
        b'{"files":[{"name":"a","size":01,"sha256":"%s"}]}' % (b"00" * 32),
        b'{"files":[{"name":"a","size":9223372036854775808,"sha256":"%s"}]}' % (b"00" * 32),
        b'{"files":[{"name":"a","size":1,"sha256":"%s"}]}' % (b"0A" * 32),
        b'{"files":[{"name":"\\u0061","size":1,"sha256":"%s"}]}' % (b"00" * 32),
        b'{"files":[{"name":"s\\u00FCd","size":1,"sha256":"%s"}]}' % (b"00" * 32),
        b'{"files":[{"name":"\\ud800","size":1,"sha256":"%s"}]}' % (b"00" * 32),
    ],
)
def test_refuses_any_other_encoding_of_an_input_list(raw):
    with pytest.raises(MalformedError):
        InputList.from_json(raw)


def test_refuses_one_input_name_twice():
    with pytest.raises(MalformedError, match="twice"):
        InputList(files=(input_file("a"), input_file("a")))


def test_refuses_more_inputs_than_the_bound():
    with pytest.raises(MalformedError):
        InputList(files=tuple(input_file(f"f{i}") for i in range(MAX_INPUT_FILES + 1)))


def test_the_code_digest_has_the_documented_bytes():
    expected = sha256(b"sealroom/v1/code\0" + (2).to_bytes(4, "big"))
    for path, size, digest in (("model/fit.py", 4196, b"\xa2" * 32), ("run.py", 120, b"\xa1" * 32)):
        expected.update(len(path).to_bytes(2, "big") + path.encode() + size.to_bytes(8, "big") + digest)
    assert samples.CODE_LIST.digest == expected.digest()


@pytest.mark.parametrize(
    "paths",
    [
        ("run.py", "a.py"),
        ("run.py", "run.py"),
        ("a", "a/b", "run.py"),
        ("a", "a.txt", "a/b/c", "run.py"),
        ("a.py",),
        (),
        ("run.py/x",),
    ],
)
def test_refuses_unsorted_repeated_and_impossible_paths_and_a_missing_entry(paths):
    with pytest.raises(MalformedError):
        CodeList(files=tuple(code_file(path) for path in paths))


def test_paths_are_sorted_by_bytes_and_not_by_characters_of_other_encodings():
    # UTF-16 sorts these two the other way round.
    paths = ("\uff5e.py", "\U00010000.py")
    code = CodeList.from_files(tuple(code_file(p) for p in ("run.py", *paths)))
    assert [f.path for f in code.files] == ["run.py", *paths]


@pytest.mark.parametrize(
    "raw",
    [
        b'{"files":[["run.py",1]]}',
        b'{"files":[["run.py",1,"%s",1]]}' % (b"00" * 32),
        b'{"files":[["run.py","1","%s"]]}' % (b"00" * 32),
        b'{"files":[{"path":"run.py","size":1,"sha256":"%s"}]}' % (b"00" * 32),
    ],
)
def test_refuses_any_other_encoding_of_a_code_list(raw):
    with pytest.raises(MalformedError):
        CodeList.from_json(raw)


@pytest.mark.parametrize("change", [{"size": -1}, {"size": 2**63}, {"sha256": bytes(31)}])
def test_a_file_cannot_be_built_with_an_impossible_size_or_digest(change):
    for file in (code_file("run.py"), input_file("a")):
        with pytest.raises(MalformedError):
            replace(file, **change)


def test_refuses_white_space_in_a_code_list():
    raw = samples.CODE_LIST.to_json()
    for other in (raw + b"\n", raw.replace(b",", b", ", 1), raw.replace(b"run.py", b"r\\u0075n.py")):
        with pytest.raises(MalformedError, match="encoding"):
            CodeList.from_json(other)


def test_refuses_more_code_files_than_the_bound():
    with pytest.raises(MalformedError, match="at most"):
        CodeList.from_files(tuple(code_file(f"f{i}") for i in range(4097)))


def test_a_code_list_finds_its_files():
    found = samples.CODE_LIST.find("model/fit.py")
    assert found is not None
    assert found.size == 4196
    assert samples.CODE_LIST.find("model") is None


class TestCodeSignature:
    key = SigningKey(b"\x31" * 32)
    digest = samples.CODE_LIST.digest
    signature = key.sign(b"sealroom/v1/code-signature\0" + samples.COMPUTATION.bytes + digest).signature

    def verify(self, **changes):
        verify_code_signature(
            **{
                "public_key": samples.public(self.key),
                "computation": samples.COMPUTATION,
                "digest": self.digest,
                "signature": self.signature,
                **changes,
            }
        )

    def test_covers_label_computation_and_list(self):
        assert code_signature_message(samples.COMPUTATION, self.digest).startswith(
            b"sealroom/v1/code-signature\0"
        )
        self.verify()

    def test_is_over_a_digest_and_nothing_else(self):
        with pytest.raises(MalformedError):
            code_signature_message(samples.COMPUTATION, self.digest + b"\0")

    @pytest.mark.parametrize(
        "change",
        [
            {"public_key": samples.public(SigningKey(b"\x32" * 32))},
            {"computation": UUID("1f8fad5b-d9cb-469f-a165-70867728950e")},
            {"digest": bytes(32)},
            {"signature": bytes(64)},
            {"signature": b""},
            {"signature": signature + b"\0"},
            {"public_key": bytes(32)},
        ],
    )
    def test_of_anything_else_is_refused(self, change):
        with pytest.raises(VerificationError):
            self.verify(**change)


def service_file(path: str) -> CodeFile:
    return CodeFile(path=path, size=1, sha256=bytes(32))


@pytest.mark.parametrize("paths", [(), ("requirements.txt",), ("run.py", "src/a.py"), ("src.py",)])
def test_the_code_of_a_service_is_under_src_with_its_requirements(paths):
    with pytest.raises(MalformedError, match="service code: expected files under src/"):
        ServiceCode.from_files(tuple(service_file(path) for path in paths))


def test_one_list_has_another_digest_as_a_services_code():
    files = (service_file("src/run.py"), service_file("requirements.txt"))
    service = ServiceCode.from_files(files)
    assert ServiceCode.from_json(service.to_json()) == service
    assert service.digest != service.labelled("sealroom/v1/code")
