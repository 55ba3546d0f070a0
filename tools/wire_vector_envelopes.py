"""Vectors of envelopes, receipts, bundles and spool messages; `make_wire_vectors.py` writes them.

As in `wire_vector_cases.py`, nothing of the product is imported.
"""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

from nacl.signing import SigningKey
from wire_vector_cases import (
    CODE_FILES,
    ENCLAVE,
    INPUT_FILES,
    NORTH,
    RUN,
    SMALL_ORDER,
    THIEF,
    UUID,
    Case,
    agreement,
    argument_items,
    arguments_file,
    b64,
    code_digest,
    code_json,
    delivery_signature,
    dump,
    public,
    sha,
    statement,
)

Change = Callable[[Any], object]
PAYLOAD_TYPE = "application/vnd.in-toto+json"
BOX = bytes(range(144))


def pae(payload: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
    return b"DSSEv1 %d %b %d %b" % (len(payload_type), payload_type.encode(), len(payload), payload)


def envelope(payload: bytes, key: SigningKey, payload_type: str = PAYLOAD_TYPE) -> dict[str, Any]:
    return {
        "payload": b64(payload),
        "payloadType": payload_type,
        "signatures": [{"keyid": "", "sig": b64(key.sign(pae(payload, payload_type)).signature)}],
    }


def changed(value: dict[str, Any], change: Change) -> bytes:
    other = copy.deepcopy(value)
    change(other)
    return dump(other)


def envelope_cases() -> Iterator[Case]:
    files = {"public_key": public(ENCLAVE).hex()}

    def case(name: str, layer: str, why: str, raw: bytes, **more: str) -> Case:
        return Case(
            name=f"envelope-{name}",
            format="envelope",
            layer=layer,
            why=why,
            input=raw,
            files={**files, **more},
        )

    payload = dump(refusal())
    good = envelope(payload, ENCLAVE)
    signature = good["signatures"][0]
    yield case("whole", "accept", "One payload type, one signature.", dump(good))
    keyid: Change = lambda v: v["signatures"][0].update(keyid="somebody")  # noqa: E731
    yield case("keyid", "accept", "keyid is read and decides nothing.", changed(good, keyid))
    refused: dict[str, tuple[str, Change]] = {
        "no-signature": ("Exactly one signature.", lambda v: v.update(signatures=[])),
        "two-signatures": ("Exactly one signature.", lambda v: v.update(signatures=[signature, signature])),
        "no-keyid": ("All members are there.", lambda v: v["signatures"][0].pop("keyid")),
        "member-unknown": ("No members but the listed ones.", lambda v: v.update(certificate="")),
        "unpadded": ("base64 is padded.", lambda v: v["signatures"][0].update(sig=signature["sig"][:-2])),
        "short-signature": (
            "A signature has 64 bytes.",
            lambda v: v["signatures"][0].update(sig=b64(bytes(63))),
        ),
    }
    for name, (why, change) in refused.items():
        yield case(name, "parse", why, changed(good, change))
    tail: Change = lambda v: v.update(payload="QR==")  # noqa: E731
    yield case("base64-tail", "parse", "Bits behind the end of base64 are zero.", changed(good, tail))
    other_type = dump(envelope(payload, ENCLAVE, "application/json"))
    yield case("payload-type", "parse", "There is one payload type.", other_type)
    yield case("space", "parse", "White space is a second encoding.", dump(good).replace(b",", b", ", 1))
    yield case("other-key", "verify", "Signed by another key.", dump(envelope(payload, THIEF)))
    raw_signed = {**good, "signatures": [{"keyid": "", "sig": b64(ENCLAVE.sign(payload).signature)}]}
    yield case("without-pae", "verify", "The payload type is part of what is signed.", dump(raw_signed))
    edited: Change = lambda v: v.update(payload=b64(payload.replace(b"words-differ", b"cancelled")))  # noqa: E731
    yield case("payload-edited", "verify", "The payload was changed after signing.", changed(good, edited))
    forged = {**good, "signatures": [{"keyid": "", "sig": b64(SMALL_ORDER + bytes(32))}]}
    why = "This key verifies what nobody signed."
    yield case("small-order", "verify", why, dump(forged), public_key=SMALL_ORDER.hex())


# --- payloads ---


def in_toto(kind: str, subjects: list[tuple[str, bytes]], predicate: dict[str, Any]) -> dict[str, Any]:
    named = [("agreement", agreement(argument_items())), *subjects]
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": digest.hex()}} for name, digest in named],
        "predicateType": f"urn:sealroom:receipt:{kind}/v1",
        "predicate": predicate,
    }


def opening() -> dict[str, Any]:
    items = argument_items()
    said = statement()
    predicate = {
        "tee": "simulated",
        "delivery": "1",
        "computation": UUID,
        "agreement": agreement(items).hex(),
        "arguments": b64(arguments_file(items)),
        "mrenclave": "ee" * 32,
        "identity_pk": public(ENCLAVE).hex(),
        "box_pk": bytes(ENCLAVE.verify_key.to_curve25519_public_key()).hex(),
        "run_key": public(RUN).hex(),
        "participants": [
            {
                "role": "data-provider",
                "index": 0,
                "statement": said.hex(),
                "box_sha256": sha(BOX).hex(),
                "signature": delivery_signature(said, BOX, NORTH).hex(),
            }
        ],
        "inputs": [{"provider": 0, "name": n, "size": s, "sha256": d.hex()} for n, s, d in INPUT_FILES],
        "code": code_digest(CODE_FILES).hex(),
        "packages": "00" * 32,
    }
    return in_toto("opening", [(f"inputs/0/{name}", digest) for name, _, digest in INPUT_FILES], predicate)


def closing() -> dict[str, Any]:
    predicate = {
        "opening_sha256": sha(dump(opening())).hex(),
        "outcome": "failed",
        "exit_code": 1,
        "host_started": "2026-03-01T12:00:00Z",
        "host_ended": "2026-03-01T12:00:09Z",
        "bytes_out": 420,
        "bytes_log": 4200,
        "failure": {"type": "ValueError", "file": "model/fit.py", "line": 12},
    }
    return in_toto("closing", [("results/0/partial.json", b"\xd1" * 32), ("log", b"\xd2" * 32)], predicate)


def refusal() -> dict[str, Any]:
    predicate = {
        "agreement": agreement(argument_items()).hex(),
        "mrenclave": "ee" * 32,
        "identity_pk": public(ENCLAVE).hex(),
        "reason": "words-differ",
    }
    return in_toto("refusal", [], predicate)


def in_predicate(**members: object) -> Change:
    return lambda value: value["predicate"].update(members)


OPENING_REFUSED: dict[str, tuple[str, Change]] = {
    "subject-missing": ("Every input is a subject.", lambda v: v["subject"].pop()),
    "subject-digest": (
        "Subjects repeat the predicate.",
        lambda v: v["subject"][1]["digest"].update(sha256="00" * 32),
    ),
    "no-subject": ("The first subject is the agreement.", lambda v: v.update(subject=[])),
    "subject-name": (
        "The first subject is named agreement.",
        lambda v: v["subject"][0].update(name="contract"),
    ),
    "kind": ("A closing is no opening.", lambda v: v.update(predicateType="urn:sealroom:receipt:closing/v1")),
    "type": ("Statements are of version 1.", lambda v: v.update(_type="https://in-toto.io/Statement/v0.1")),
    "box": ("A receipt never carries a box.", lambda v: v["predicate"]["participants"][0].update(box="00")),
    "input-slash": (
        "An input's name holds no slash.",
        lambda v: v["predicate"]["inputs"][0].update(name="a/b"),
    ),
    "uuid": ("The UUID is random.", in_predicate(computation=f"{UUID[:14]}1{UUID[15:]}")),
    "unknown-member": ("No members but the listed ones.", in_predicate(note="")),
}
CLOSING_REFUSED: dict[str, tuple[str, Change]] = {
    "exit-code": ("A third exit code could carry data.", in_predicate(exit_code=2)),
    "exit-code-zero": ("A failed run ends with 1.", in_predicate(exit_code=0)),
    "succeeded": ("A run that succeeded has no failure.", in_predicate(outcome="succeeded", exit_code=0)),
    "message": ("A failure has no message.", lambda v: v["predicate"]["failure"].update(message="x")),
    "exception": (
        "A failure's type is a plain name.",
        lambda v: v["predicate"]["failure"].update(type="E(1)"),
    ),
    "file": (
        "A failure's file is a path of the code.",
        lambda v: v["predicate"]["failure"].update(file="/etc/x"),
    ),
    "time": ("A time has one spelling.", in_predicate(host_ended="2026-03-01T12:00:09+00:00")),
    "no-such-time": ("February has no 30th.", in_predicate(host_ended="2026-02-30T12:00:09Z")),
    "result-name": ("A result names consumer and file.", lambda v: v["subject"][1].update(name="results/a")),
    "consumer": ("An index has no leading zero.", lambda v: v["subject"][1].update(name="results/00/a")),
    "log-first": ("The log stands after the results.", lambda v: v["subject"].insert(1, v["subject"].pop())),
}
REFUSAL_REFUSED: dict[str, tuple[str, Change]] = {
    "reason": ("The reasons are a closed list.", in_predicate(reason="bored")),
    "whose": ("It is never said whose words differ.", in_predicate(whose="north@clinic.example")),
    "agreement": ("The subject repeats the agreement.", in_predicate(agreement="00" * 32)),
}


def payload_cases() -> Iterator[Case]:
    kinds = (("opening", opening(), OPENING_REFUSED), ("closing", closing(), CLOSING_REFUSED))
    for kind, good, refused in (*kinds, ("refusal", refusal(), REFUSAL_REFUSED)):
        yield Case(
            name=f"{kind}-whole", format=kind, layer="accept", why=f"A whole {kind}.", input=dump(good)
        )
        for name, (why, change) in refused.items():
            raw = changed(good, change)
            yield Case(name=f"{kind}-{name}", format=kind, layer="parse", why=why, input=raw)


def receipt_cases() -> Iterator[Case]:
    first, last = envelope(dump(opening()), ENCLAVE), envelope(dump(closing()), RUN)
    no = envelope(dump(refusal()), ENCLAVE)
    accepted = {
        "whole": ("An opening and its closing.", {"opening": first, "closing": last}),
        "no-closing": ("The process died: the closing is null.", {"opening": first, "closing": None}),
        "refusal": ("A refusal stands alone.", {"refusal": no}),
    }
    refused = {
        "both": ("Never an opening and a refusal.", {"opening": first, "closing": None, "refusal": no}),
        "closing-alone": ("A closing needs its opening.", {"opening": None, "closing": last}),
        "closing-missing": ("All members are there, null when empty.", {"opening": first}),
        "order": ("Members have one order.", {"closing": last, "opening": first}),
        "refusal-null": ("A receipt says something.", {"refusal": None}),
    }
    for layer, cases in (("accept", accepted), ("parse", refused)):
        for name, (why, value) in cases.items():
            yield Case(name=f"receipt-{name}", format="receipt", layer=layer, why=why, input=dump(value))


# --- bundle and spool ---


COLLATERAL = (
    "pck_crl_issuer_chain",
    "root_ca_crl",
    "pck_crl",
    "tcb_info_issuer_chain",
    "tcb_info",
    "tcb_info_signature",
    "qe_identity_issuer_chain",
    "qe_identity",
    "qe_identity_signature",
)


def bundle() -> dict[str, Any]:
    return {
        "release": "0.1.0",
        "quote": b64(b"a quote"),
        "identity_pk": public(ENCLAVE).hex(),
        "collateral": dict.fromkeys(COLLATERAL, "x"),
        "manifest": b64(b"a manifest"),
        "arguments": b64(arguments_file(argument_items())),
        "entry_point": b64(b"print()\n"),
        "requirements": None,
        "code_list": json.loads(code_json(CODE_FILES)),
        "code_signature": b64(bytes(64)),
        "sigstruct": None,
        "pal": b64(b"a loader"),
    }


BUNDLE_REFUSED: dict[str, tuple[str, Change]] = {
    "missing": ("All members exist, null when empty.", lambda v: v.pop("sigstruct")),
    "unknown": ("No members but the listed ones.", lambda v: v.update(url="https://example.com")),
    "no-quote": ("A bundle without a quote proves nothing.", lambda v: v.update(quote=None)),
    "identity": ("A key has 32 bytes.", lambda v: v.update(identity_pk="00" * 31)),
    "collateral": ("Collateral has nine members.", lambda v: v["collateral"].pop("pck_crl")),
    "collateral-text": ("Collateral is ASCII.", lambda v: v["collateral"].update(pck_crl="é")),
    "sigstruct": ("A SIGSTRUCT has 1808 bytes.", lambda v: v.update(sigstruct=b64(bytes(1807)))),
    "signature": ("A signature has 64 bytes.", lambda v: v.update(code_signature=b64(bytes(65)))),
    "release": ("A release is a short plain version.", lambda v: v.update(release="latest one")),
    "code-list": ("The code list keeps its own rules.", lambda v: v["code_list"]["files"].reverse()),
}


def bundle_cases() -> Iterator[Case]:
    good = bundle()
    whole = dump(good)
    yield Case(name="bundle-whole", format="bundle", layer="accept", why="All members.", input=whole)
    unfilled = changed(good, lambda v: v.update(collateral=None, code_signature=None))
    why = "Collateral and code signature may be null."
    yield Case(name="bundle-unfilled", format="bundle", layer="accept", why=why, input=unfilled)
    for name, (why, change) in BUNDLE_REFUSED.items():
        raw = changed(good, change)
        yield Case(name=f"bundle-{name}", format="bundle", layer="parse", why=why, input=raw)
    why = "Trailing bytes are a second encoding."
    yield Case(name="bundle-newline", format="bundle", layer="parse", why=why, input=whole + b"\n")


def spool_cases() -> Iterator[Case]:
    answers = {
        "admitted": ("accept", "The slot is filled.", b'{"admitted":true}'),
        "refused": ("accept", "A reason of the closed list.", b'{"refused":"not-listed"}'),
        "admitted-one": ("parse", "One is not true.", b'{"admitted":1}'),
        "admitted-false": ("parse", "A refusal names its reason.", b'{"admitted":false}'),
        "reason": (
            "parse",
            "That is a reason to refuse the run, not a delivery.",
            b'{"refused":"words-differ"}',
        ),
        "both": ("parse", "Admitted or refused.", b'{"admitted":true,"refused":"signature"}'),
    }
    for name, (layer, why, raw) in answers.items():
        yield Case(name=f"answer-{name}", format="answer", layer=layer, why=why, input=raw)
    keys = public(ENCLAVE) + bytes(ENCLAVE.verify_key.to_curve25519_public_key())
    why = "Two keys of 32 bytes."
    yield Case(name="public-keys-whole", format="public-keys", layer="accept", why=why, input=keys)
    yield Case(name="public-keys-short", format="public-keys", layer="parse", why=why, input=keys[:-1])
