"""One byte changed in each class of measured thing: the client refuses, and says which thing it is.

The enclave really was started from what was changed, so quote and MRENCLAVE are right each time, and what is
shown beside them is honest. Where the operator changes what is shown as well, see `test_every_check.py`.
"""

from collections.abc import Callable
from dataclasses import replace

import evidence_world as w
import pytest
from evidence_changes import flipped

from sealroom.core.evidence.verdict import Verdict
from sealroom.core.measurement.template import MeasuredFile
from sealroom.core.wire.terms import Tee

_ROW = b'[[sgx.trusted_files]]\nuri = "%s"\nsha256 = "'
_PACKAGE = "packages/one/__init__.py"


def _edited(old: bytes, new: bytes) -> Verdict:
    """The honest manifest with one place edited."""
    honest = w.world().built_manifest
    assert honest.count(old) == 1
    return w.appraised(w.world(manifest=honest.replace(old, new)))


def _with_file(path: str, made: w.World | None = None) -> Verdict:
    """The honest manifest, and one file more."""
    honest = w.world() if made is None else made
    extra = _ROW % f"file:{path}".encode() + bytes(32).hex().encode() + b'"\n'
    return w.appraised(honest.but(manifest=honest.built_manifest + b"\n" + extra))


def _with_other_content(files: tuple[MeasuredFile, ...], path: str) -> tuple[MeasuredFile, ...]:
    """The digests of files of which one has another byte, which is another digest."""
    assert path in {file.path for file in files}
    return tuple(
        replace(file, sha256=flipped(file.sha256, 0)) if file.path == path else file for file in files
    )


def _wheel_file() -> Verdict:
    made = w.world_with_packages()
    return w.appraised(made.but(packages=_with_other_content(made.packages, _PACKAGE)))


def _code_file(path: str) -> Verdict:
    digest = next(file.sha256 for file in w.world().code_list.files if file.path == path)
    return _edited(digest.hex().encode(), flipped(digest, 31).hex().encode())


def _first_party_file() -> Verdict:
    other = replace(w.RELEASE, first_party=_with_other_content(w.RELEASE.first_party, "start.py"))
    return w.appraised(w.world(release=other))


def _runtime_of_the_server() -> Verdict:
    """The server's bill of materials has another byte in a file; the client compares with its own."""
    pal = replace(w.PAL, tee=Tee.SGX)
    ours = replace(w.RELEASE, pals=(pal,), sgx_runtime=w.bill(w.RUNTIME))
    theirs = _with_other_content(w.RUNTIME, "runtime/lib/python3.11/os.py")
    terms = replace(w.TERMS, tee=Tee.SGX)
    made = w.world(terms=terms, pal=pal, release=ours, runtime=theirs)
    return w.appraised(made, release=ours, expected=w.expectations(terms_prefix=terms.digest[:16]))


def _arguments() -> Verdict:
    arguments = w.world().arguments.to_bytes()
    offset = arguments.index(b"dora@hospital.example")
    return w.appraised(w.world(shown={"arguments": flipped(arguments, offset)}))


def _pal() -> Verdict:
    return w.appraised(w.world(pal_bytes=flipped(w.world().pal_bytes, 0x140)))


# (what was changed, the check that refuses, what it says, the change)
TABLE: list[tuple[str, str, str, Callable[[], Verdict]]] = [
    ("wheel file", "measurement.manifest", "package file one/__init__.py has sha256", _wheel_file),
    (
        ".pth in a wheel",
        "measurement.manifest",
        "package file evil.pth is in it, and nobody agreed to it",
        lambda: _with_file("packages/evil.pth", w.world_with_packages()),
    ),
    (
        "mount target",
        "measurement.manifest",
        "mount {'path': '/runtimf', 'uri': 'file:runtime'} is in it",
        lambda: _edited(b'path = "/runtime", uri', b'path = "/runtimf", uri'),
    ),
    (
        "mount source",
        "measurement.manifest",
        "mount {'path': '/runtime', 'uri': 'file:suntime'} is in it",
        lambda: _edited(b'uri = "file:runtime" }', b'uri = "file:suntime" }'),
    ),
    (
        "environment value",
        "measurement.manifest",
        "environment loader.env.LD_LIBRARY_PATH is '/lib:/tuntime/lib', expected '/lib:/runtime/lib'",
        lambda: _edited(b'"/lib:/runtime/lib"', b'"/lib:/tuntime/lib"'),
    ),
    (
        "extra allowed prefix",
        "measurement.manifest",
        "allowed file 'file:code/' is in it, and nobody agreed to it",
        lambda: _edited(b'"file:spool/",', b'"file:spool/",\n    "file:code/",'),
    ),
    (
        "allowed prefix",
        "measurement.manifest",
        "allowed file 'file:' is in it, and nobody agreed to it",
        lambda: _edited(b'"file:spool/",', b'"file:",'),
    ),
    (
        "extra trusted file",
        "measurement.manifest",
        "trusted file file:extra is in it, and nobody agreed to it",
        lambda: _with_file("extra"),
    ),
    (
        "library OS",
        "measurement.manifest",
        "library OS loader.entrypoint.uri is 'file:lap', expected 'file:pal'",
        lambda: _edited(b'uri = "file:pal"', b'uri = "file:lap"'),
    ),
    ("entry point", "measurement.manifest", "entry point run.py has sha256", lambda: _code_file("run.py")),
    (
        "sealed module",
        "measurement.manifest",
        "code file model/secret.py has sha256",
        lambda: _code_file("model/secret.py"),
    ),
    ("first-party file", "measurement.manifest", "first-party file start.py has sha256", _first_party_file),
    (
        "bill of materials from the server",
        "measurement.runtime",
        "runtime: runtime/lib/python3.11/os.py has sha256",
        _runtime_of_the_server,
    ),
    ("arguments", "measurement.arguments", "arguments: sha256", _arguments),
    ("PAL", "measurement.pal", "pal: sha256", _pal),
]


@pytest.mark.parametrize(
    ("check", "named", "change"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_one_changed_byte_is_refused_and_named(check: str, named: str, change: Callable[[], Verdict]) -> None:
    verdict = change()
    assert not verdict.accepted
    assert not verdict.passed_but_simulated
    assert named in next(failed.observed for failed in verdict.failures if failed.name == check)


def test_what_the_table_changes_is_accepted_unchanged() -> None:
    assert w.appraised(w.world()).passed_but_simulated
    assert w.appraised(w.world_with_packages()).passed_but_simulated
