"""What differs is named, whatever it is."""

import evidence_world as w
import pytest

from sealroom.core.errors import MalformedError
from sealroom.core.evidence.rebuild import measured_digest, name_differences, received_runtime

_DIGEST = b"0" * 64


def _file(uri: bytes) -> bytes:
    return b'[[sgx.trusted_files]]\nuri = "%s"\nsha256 = "%s"\n' % (uri, _DIGEST)


def _digest_of(uri: bytes) -> bytes:
    honest = w.world().built_manifest
    start = honest.index(b'[[sgx.trusted_files]]\nuri = "%s"' % uri)
    start = honest.index(b'sha256 = "', start) + len(b'sha256 = "')
    return honest[start : start + 64]


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        (_digest_of(b"file:args"), _DIGEST, "arguments file has sha256 0000"),
        (_digest_of(b"file:code/run.py"), _DIGEST, "entry point run.py has sha256 0000"),
        (_digest_of(b"file:code/model/secret.py"), _DIGEST, "code file model/secret.py has sha256 0000"),
        (_digest_of(b"file:start.py"), _DIGEST, "first-party file start.py has sha256 0000"),
        (
            _digest_of(b"file:lib/sealroom/__init__.py"),
            _DIGEST,
            "first-party file lib/sealroom/__init__.py has sha256 0000",
        ),
        (b"", _file(b"file:extra"), "trusted file file:extra is in it, and nobody agreed to it"),
        (b"", _file(b"file:lib/extra.py"), "first-party file lib/extra.py is in it"),
        (b'"file:spool/",', b'"file:spool/",\n"file:/etc/",', "allowed file 'file:/etc/' is in it"),
        (b'"file:spool/",', b"", "allowed file 'file:spool/' is missing"),
        (
            b'uri = "file:spool" },',
            b'uri = "file:spool" },\n{ path = "/h", uri = "file:/" },',
            "mount {'path': '/h'",
        ),
        (b'HOME = "/tmp"', b'HOME = "/"', "environment loader.env.HOME is '/', expected '/tmp'"),
        (b'TMPDIR = "/tmp"', b'TMPDIR = "/tmp"\nX = "1"', "environment loader.env.X is in it"),
        (b'[loader.entrypoint]\nuri = "file:pal"', b'[loader.entrypoint]\nuri = "file:x"', "library OS"),
        (b'[fs.root]\ntype = "tmpfs"', b'[fs.root]\ntype = "chroot"', "root file system fs.root.type"),
        (b"debug = false", b"debug = true", "setting sgx.debug is True, expected False"),
        (b'log_level = "none"', b'log_level = "all"', "setting loader.log_level is 'all'"),
        (b"disallow_subprocesses = true", b"disallow_subprocesses = false", "disallow_subprocesses"),
        (b"[libos]", b"# a comment\n[libos]", "written or ordered differently"),
    ],
)
def test_names_what_differs(old: bytes, new: bytes, named: str) -> None:
    honest = w.world().built_manifest
    edited = honest.replace(old, new, 1) if old else honest + b"\n" + new
    assert edited != honest
    differences = name_differences(expected=honest, received=edited)
    assert len(differences) == 1
    assert named in differences[0]


def test_equal_manifests_have_no_difference() -> None:
    assert name_differences(expected=w.world().built_manifest, received=w.world().built_manifest) == ()


def test_missing_file_is_named() -> None:
    fewer = w.world(runtime=w.RUNTIME[::2]).built_manifest
    assert name_differences(expected=w.world().built_manifest, received=fewer) == (
        "runtime file runtime/lib/python3.11/os.py is missing",
    )


def test_many_differences_are_counted_not_listed() -> None:
    honest = w.world().built_manifest
    edited = honest + b"".join(b"\n" + _file(b"file:extra%d" % n) for n in range(40))
    differences = name_differences(expected=honest, received=edited)
    assert len(differences) == 13
    assert differences[-1] == "and 28 more differences"


def test_reads_runtime_and_single_digests_back() -> None:
    manifest = w.world().built_manifest
    assert received_runtime(manifest) == w.RUNTIME
    assert measured_digest(manifest, "start.py") == bytes([1]) * 32


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"sgx = 1",
        b"[sgx]\ntrusted_files = 1",
        b"[sgx]\ntrusted_files = [1]",
        b'[sgx]\ntrusted_files = [{ uri = "file:args" }]',
        b'[sgx]\ntrusted_files = [{ uri = 1, sha256 = "' + _DIGEST + b'" }]',
        b'[sgx]\ntrusted_files = [{ uri = "file:args", sha256 = "' + b"A" * 64 + b'" }]',
        _file(b"file:args") + _file(b"file:args"),
        _file(b"file:other"),
    ],
)
def test_refuses_a_manifest_whose_files_are_unclear(manifest: bytes) -> None:
    with pytest.raises(MalformedError):
        measured_digest(manifest, "args")
