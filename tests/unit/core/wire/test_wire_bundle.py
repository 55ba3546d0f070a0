import ast
import json
import os
import subprocess
import sys
from dataclasses import fields, replace
from hashlib import sha256
from pathlib import Path

import pytest
import wire_samples as samples
from hypothesis import given
from hypothesis import strategies as st

from sealroom.core.errors import MalformedError
from sealroom.core.wire import spool
from sealroom.core.wire.bundle import COLLATERAL_MEMBERS, EvidenceBundle, RawCollateral
from sealroom.core.wire.delivery import DeliveryRefusal
from sealroom.core.wire.enclave import SimulatedEnclave, VerifiedEnclave
from sealroom.core.wire.foreign_text import visible, visible_lines

ROOT = Path(__file__).parents[4]
ARCHIVES = Path(os.environ.get("SEALROOM_VECTORS", ROOT.parent / "shared" / "vectors"))


def bundle_value() -> dict:
    return json.loads(samples.BUNDLE.to_bytes())


def canonical(value) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def test_a_bundle_reads_back():
    assert EvidenceBundle.from_bytes(samples.BUNDLE.to_bytes()) == samples.BUNDLE
    assert samples.BUNDLE.sha256 == sha256(samples.BUNDLE.to_bytes()).digest()


def test_a_bundle_has_all_its_members_null_where_unfilled():
    empty = replace(samples.BUNDLE, collateral=None, code_signature=None)
    value = json.loads(empty.to_bytes())
    assert list(value) == [field.name for field in fields(EvidenceBundle)]
    assert [name for name in value if value[name] is None] == [
        "collateral",
        "requirements",
        "code_signature",
        "sigstruct",
    ]
    assert EvidenceBundle.from_bytes(empty.to_bytes()) == empty


@pytest.mark.parametrize("name", list(bundle_value()))
def test_every_member_of_a_bundle_is_needed_and_typed(name):
    value = bundle_value()
    for wrong in (1, [], {"a": 1}, "no base64 or hex!"):
        with pytest.raises(MalformedError):
            EvidenceBundle.from_bytes(canonical({**value, name: wrong}))
    del value[name]
    with pytest.raises(MalformedError):
        EvidenceBundle.from_bytes(canonical(value))


@pytest.mark.parametrize(
    "change",
    [
        {"release": ""},
        {"release": "1 0"},
        {"release": "x" * 65},
        {"quote": bytes(70_000)},
        {"identity_pk": bytes(31)},
        {"code_signature": bytes(63)},
        {"sigstruct": bytes(1807)},
        {"manifest": bytes(17 * 1024 * 1024)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_bundle_cannot_be_built_with_members_out_of_bounds(change):
    with pytest.raises(MalformedError):
        replace(samples.BUNDLE, **change)


@pytest.mark.parametrize(
    "raw", [samples.BUNDLE.to_bytes() + b"\n", canonical({**bundle_value(), "extra": 1})]
)
def test_refuses_another_encoding_of_a_bundle(raw):
    with pytest.raises(MalformedError):
        EvidenceBundle.from_bytes(raw)


def test_refuses_a_bundle_over_64_mebibytes_before_parsing():
    with pytest.raises(MalformedError, match="at most"):
        EvidenceBundle.from_bytes(b"[" * (64 * 1024 * 1024 + 1))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_malformed(raw):
    parsers = (
        EvidenceBundle.from_bytes,
        RawCollateral.from_json,
        spool.Answer.from_bytes,
        spool.PublicKeys.from_bytes,
    )
    for parse in parsers:
        try:
            parse(raw)
        except MalformedError:
            continue


@given(st.data())
def test_one_changed_byte_of_a_bundle_is_malformed_or_another_value(data):
    raw = bytearray(samples.BUNDLE.to_bytes())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        parsed = EvidenceBundle.from_bytes(bytes(raw))
    except MalformedError:
        return
    assert parsed.to_bytes() == bytes(raw)
    assert parsed != samples.BUNDLE


def test_collateral_has_exactly_nine_members():
    assert len(COLLATERAL_MEMBERS) == 9
    value = {name: "x" for name in COLLATERAL_MEMBERS}
    assert RawCollateral.from_json(canonical(value)).to_value() == value
    for wrong in ({**value, "more": "x"}, {**value, "tcb_info": 1}, {**value, "tcb_info": "é"}):
        with pytest.raises(MalformedError):
            RawCollateral.from_json(canonical(wrong))
    with pytest.raises(MalformedError):
        RawCollateral.from_json(canonical(dict(list(value.items())[1:])))


@pytest.mark.skipif(not ARCHIVES.is_dir(), reason="the archive of Intel's collateral is not here")
def test_reads_archived_collateral_as_it_is_kept():
    files = sorted((ARCHIVES / "evidence" / "collateral" / "bundles").glob("*.json"))
    assert files
    for file in files:
        raw = file.read_bytes()
        assert RawCollateral.from_json(raw).to_value() == json.loads(raw)


def test_spool_names_are_made_of_indexes_alone():
    assert spool.inbox_name(0) == "inbox/0"
    assert spool.answer_name(4095) == "answers/4095"
    assert spool.input_list_name(3) == "inputs/3/list"
    assert spool.input_name(3, 17) == "inputs/3/17"
    assert spool.result_name(0, 2) == "results/0/2"


@pytest.mark.parametrize(
    "make",
    [
        lambda: spool.inbox_name(4096),
        lambda: spool.inbox_name(-1),
        lambda: spool.answer_name(4096),
        lambda: spool.input_list_name(256),
        lambda: spool.input_name(0, 4096),
        lambda: spool.input_name(256, 0),
        lambda: spool.result_name(256, 0),
        lambda: spool.result_name(0, 4096),
    ],
)
def test_spool_indexes_are_bounded(make):
    with pytest.raises(MalformedError):
        make()


ANSWERS = [spool.Answer(), *(spool.Answer(refused=reason) for reason in DeliveryRefusal)]


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_reads_back_within_its_bound(answer):
    assert spool.Answer.from_bytes(answer.to_bytes()) == answer
    assert len(answer.to_bytes()) <= spool.MAX_ANSWER_BYTES


@pytest.mark.parametrize(
    "raw",
    [
        b'{"admitted":false}',
        b'{"admitted":1}',
        b'{"admitted": true}',
        b'{"refused":"words-differ"}',
        b'{"refused":null}',
        b'{"admitted":true,"refused":"signature"}',
        b"true",
    ],
)
def test_refuses_any_other_answer(raw):
    with pytest.raises(MalformedError):
        spool.Answer.from_bytes(raw)


def test_public_keys_are_the_identity_key_then_the_box_key():
    keys = spool.PublicKeys(identity_pk=b"\1" * 32, box_pk=b"\2" * 32)
    assert keys.to_bytes() == b"\1" * 32 + b"\2" * 32
    assert spool.PublicKeys.from_bytes(keys.to_bytes()) == keys
    with pytest.raises(MalformedError):
        spool.PublicKeys.from_bytes(bytes(63))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, äöü 数据", "plain text, äöü 数据"),
        ("a\u202eb", "a<U+202E>b"),
        ("\x1b[2J", "<U+001B>[2J"),
        ("a\nb\r\tc\0", "a<U+000A>b<U+000D><U+0009>c<U+0000>"),
        ("a\u200bb\u2066c\ufeff", "a<U+200B>b<U+2066>c<U+FEFF>"),
        ("a\u2028b\u00a0c\u3000", "a<U+2028>b<U+00A0>c<U+3000>"),
        ("\ud800", "<U+D800>"),
        ("\ue000\U000e0041", "<U+E000><U+E0041>"),
        ("a\ufe0f\u3164", "a<U+FE0F><U+3164>"),
        ("\x85\x9b", "<U+0085><U+009B>"),
    ],
)
def test_foreign_text_is_shown_and_not_obeyed(text, shown):
    assert visible(text) == shown


@given(st.text())
def test_visible_text_is_one_printable_line(text):
    shown = visible(text)
    assert shown.isprintable()
    assert visible(shown) == shown


def test_lines_split_at_line_feeds_alone():
    assert visible_lines("if x:\n\ty = 1\r\n\x0bz\u2028") == (
        "if x:",
        "    y = 1<U+000D>",
        "<U+000B>z<U+2028>",
    )


def calls_of(names: set[str], source: str) -> bool:
    """Tell whether `source` calls one of `names`; matching a value against the class is no call."""
    called = (node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return any(getattr(f, "id", getattr(f, "attr", None)) in names for f in called)


def test_only_the_evidence_verification_constructs_a_verified_enclave():
    names = {"VerifiedEnclave", "SimulatedEnclave"}
    assert calls_of(names, "enclave.VerifiedEnclave(arguments=1)")
    source = ROOT / "src" / "sealroom"
    files = sorted(source.rglob("*.py"))
    found = {str(file.relative_to(source)) for file in files if calls_of(names, file.read_text())}
    assert found <= {"core/evidence/verify.py"}


def test_a_simulated_enclave_shares_no_base_with_a_verified_one():
    assert VerifiedEnclave.__bases__ == SimulatedEnclave.__bases__ == (object,)
    assert [f.name for f in fields(VerifiedEnclave)] == [f.name for f in fields(SimulatedEnclave)]


def test_the_package_imports_nothing_but_the_standard_library_and_pynacl():
    modules = sorted((ROOT / "src/sealroom/core/wire").glob("*.py"))
    names = ", ".join(f"sealroom.core.wire.{module.stem}" for module in modules if module.stem != "__init__")
    program = (
        f"import sys, {names}\n"
        "measured = {'sealroom', 'nacl', '_sodium', '_cffi_backend', 'cffi', '__main__'}\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} - sys.stdlib_module_names - measured))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{program}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
