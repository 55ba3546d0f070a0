"""Make the test vectors of manifest and measurement: one folder a case under tests/vectors/measurement.

Each case holds `input`, further files that its format needs, and `expect`:

    format: expansion (a manifest as written; `tree`, JSON of path and text; `expanded`, what becomes of it),
            mrenclave (a signed manifest; `pal`; `mrenclave` in hex) or
            sigstruct (a signed one; `manifest`, `pal`, `date` and `key` it is made of; `mrsigner`)
    layer:  accept, parse (refused as malformed) or verify (well-formed and not believed)
    why:    one sentence

MRENCLAVE and SIGSTRUCT are made by measurement_reference.py, which follows docs/spec and shares no code with
sealroom. Run without arguments to write the files, with `--check` to compare.
"""

import hashlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from measurement_reference import N, key_pem, make_pal, mrenclave, sigstruct
from vector_files import write_or_check

FOLDER = Path(__file__).parents[1] / "tests" / "vectors" / "measurement"
_ATTRIBUTES = bytes.fromhex(
    "00000000 ffffffff 00000000 0400000000000000 0300000000000000 ffffffffffffffff 1bfff9ffffffffff"
)
_DATE = bytes.fromhex("31012520")
_FULL = """\
[sgx]
enclave_size = "{size}"
max_threads = {threads}
edmm_enable = {edmm}
debug = {debug}
use_exinfo = {exinfo}
isvprodid = {product}
isvsvn = {svn}

[sgx.cpu_features]
avx = "{avx}"
avx512 = "{avx512}"
amx = "unspecified"
mpx = "disabled"
pkru = "{pkru}"
"""
_PLAIN = {
    "size": "16M", "threads": 2, "edmm": "false", "debug": "false", "exinfo": "false",
    "product": 0, "svn": 0, "avx": "unspecified", "avx512": "unspecified", "pkru": "disabled",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """One case."""

    name: str
    format: str
    layer: str = "accept"
    why: str
    input: bytes
    files: dict[str, bytes] = field(default_factory=dict)

    def contents(self) -> dict[str, bytes]:
        """Return the files."""
        expect = f"format: {self.format}\nlayer: {self.layer}\nwhy: {self.why}\n"
        return {"input": self.input, "expect": expect.encode(), **self.files}


def _manifest(**changes: object) -> bytes:
    return _FULL.format(**_PLAIN | changes).encode()


def mrenclave_cases() -> Iterator[Vector]:
    pal = make_pal()
    page = _manifest()
    cases = {
        "two-threads": (page, "Every kind of region once."),
        "one-thread": (_manifest(threads=1), "Stacks of a single thread."),
        "edmm": (_manifest(edmm="true", size="1024G"), "With EDMM no free page is added, whatever the size."),
        "free-blocks": (_manifest(size="64M"), "Free pages cross blocks of 16 MiB."),
        "page-and-nul": (page + b"#" * (4096 - len(page)), "The NUL after a full page takes another page."),
        "comment": (page + b"# read by nobody\n", "A comment is a byte like any other."),
    }
    for name, (manifest, why) in cases.items():
        files = {"pal": pal, "mrenclave": _hex(mrenclave(manifest, pal))}
        yield Vector(name=f"mrenclave-{name}", format="mrenclave", why=why, input=manifest, files=files)
    other = make_pal(text=b"\x0f\x0bVector")
    files = {"pal": other, "mrenclave": _hex(mrenclave(page, other))}
    yield Vector(
        name="mrenclave-other-pal", format="mrenclave", why="One letter of the PAL.", input=page, files=files
    )


def sigstruct_cases() -> Iterator[Vector]:
    def attributes(*, misc: int = 0, flags: int = 4, xfrm: int = 3, mask: int = 0xFFFFFFFFFFF9FF1B) -> bytes:
        raw = bytearray(_ATTRIBUTES)
        raw[0] = misc
        raw[12] = flags
        raw[20:28], raw[36:44] = xfrm.to_bytes(8, "little"), mask.to_bytes(8, "little")
        return bytes(raw)

    made = {
        "plain": (_manifest(), attributes(), 0, 0, "All defaults."),
        "numbers": (_manifest(product=258, svn=3), attributes(), 258, 3, "Product and version."),
        "debug": (_manifest(debug="true"), attributes(flags=6), 0, 0, "A debug enclave says so."),
        "exinfo": (_manifest(exinfo="true"), attributes(misc=1), 0, 0, "Exceptions with information."),
        "avx-and-no-avx512": (
            _manifest(avx="required", avx512="disabled", pkru="required"),
            attributes(xfrm=0x203, mask=0xFFFFFFFFFFF9FFFF),
            0, 0, "AVX-512 disabled after AVX required ends without AVX.",
        ),
    }  # fmt: skip
    for name, (manifest, attribute_bytes, product, svn, why) in made.items():
        yield _signed(name, manifest, attribute_bytes, product, svn, why)
    measured = mrenclave(_manifest(), make_pal())
    yield from _broken_sigstructs(sigstruct(measured, date=_DATE, attributes=_ATTRIBUTES))


def _signed(name: str, manifest: bytes, attributes: bytes, product: int, svn: int, why: str) -> Vector:
    pal = make_pal()
    raw = sigstruct(
        mrenclave(manifest, pal),
        date=_DATE,
        attributes=attributes,
        product=product,
        svn=svn,
    )
    files = {
        "manifest": manifest,
        "pal": pal,
        "date": b"2025-01-31\n",
        "key": key_pem(),
        "mrsigner": _hex(hashlib.sha256(N.to_bytes(384, "little")).digest()),
    }
    return Vector(name=f"sigstruct-{name}", format="sigstruct", why=why, input=raw, files=files)


def _broken_sigstructs(good: bytes) -> Iterator[Vector]:
    spots = {
        "header": (0x00, "parse", "Another kind of signature."),
        "vendor": (0x10, "parse", "A vendor that nobody is."),
        "header2": (0x18, "parse", "Another size of key."),
        "exponent": (0x200, "parse", "Another exponent."),
        "reserved-head": (0x7F, "parse", "A reserved byte before the key."),
        "reserved-cet": (0x38E, "parse", "A reserved byte after the CET attributes."),
        "reserved-hash": (0x3E0, "parse", "A reserved byte after ENCLAVEHASH."),
        "reserved-tail": (0x40F, "parse", "A reserved byte before Q1."),
        "date": (0x14, "verify", "A date that was not signed."),
        "modulus": (0x80, "verify", "Another key."),
        "signature": (0x204, "verify", "Another signature."),
        "debug": (0x3A0, "verify", "A flag that was not signed."),
        "mrenclave": (0x3C0, "verify", "Another enclave."),
        "svn": (0x402, "verify", "A version that was not signed."),
        "q1": (0x410, "verify", "A quotient that no processor takes."),
        "q2": (0x590, "verify", "The other quotient that no processor takes."),
    }
    for name, (offset, layer, why) in spots.items():
        raw = bytearray(good)
        raw[offset] ^= 2
        yield Vector(name=f"sigstruct-bad-{name}", format="sigstruct", layer=layer, why=why, input=bytes(raw))
    short_key = bytearray(good)
    short_key[0x1FF] = 0
    for name, raw in {"short": good[:-1], "long": good + b"\0", "small-key": bytes(short_key)}.items():
        why = {"short": "A byte too few.", "long": "A byte too many.", "small-key": "Less than 3072 bits."}[
            name
        ]
        yield Vector(name=f"sigstruct-bad-{name}", format="sigstruct", layer="parse", why=why, input=raw)
    yield Vector(
        name="sigstruct-bad-large-signature",
        format="sigstruct",
        layer="verify",
        why="A signature that is not below the modulus.",
        input=good[:0x204] + b"\xff" * 384 + good[0x384:],
    )


_TREE = {
    "libos.so": "library",
    "app/main.py": "print()",
    "app/B": "b",
    "app/a/deep/x": "x",
    "app/a-": "dash",
    "app/a.txt": "text",
    "app/za\u017c\u00f3\u0142\u0107": "utf",
    'app/quote"': "quote",
}
_LIBOS = 'loader.entrypoint.uri = "file:libos.so"\n'


def expansion_cases() -> Iterator[Vector]:
    """Make manifests as written; the expanded ones are written out by hand, digests apart."""

    def rows(*paths: str) -> str:
        block = '\n[[sgx.trusted_files]]\nuri = "file:{}"\nsha256 = "{}"\n'
        return "".join(
            block.format(path.replace('"', '\\"'), _sha256(_TREE[path.removeprefix("./")])) for path in paths
        )

    def whole(first: str, files: str) -> bytes:
        nothing = "" if files else "trusted_files = []\n"
        middle = (
            f'[sgx]\n{nothing}max_threads = 4\nisvprodid = 0\nisvsvn = 0\nremote_attestation = "none"\n'
            "debug = false\nenable_stats = false\nedmm_enable = false\n"
            'enclave_size = "256M"\nuse_exinfo = false\n'
        )
        features = (
            '\n[sgx.cpu_features]\navx = "unspecified"\navx512 = "unspecified"\namx = "unspecified"\n'
            'mpx = "disabled"\npkru = "disabled"\n'
        )
        entry = f'[loader.entrypoint]\nuri = "file:libos.so"\nsha256 = "{_sha256("library")}"\n'
        return (first + entry + "\n" + middle + files + features).encode()

    tree = rows(
        "app/B",
        "app/a/deep/x",
        "app/a-",
        "app/a.txt",
        "app/main.py",
        'app/quote"',
        "app/za\u017c\u00f3\u0142\u0107",
    )
    good = {
        "defaults": (_LIBOS, whole("", ""), "Every default, in the signer's order."),
        "tree": (
            _LIBOS + 'sgx.trusted_files = ["file:app/"]\n',
            whole("", tree), "A tree in the order of code points.",
        ),
        "twice": (
            _LIBOS + 'sgx.trusted_files = ["file:app/a.txt", "file:app/B", "file:app/a.txt"]\n',
            whole("", rows("app/a.txt", "app/B")), "A file named twice keeps its first place.",
        ),
        "as-written": (
            _LIBOS + 'sgx.trusted_files = ["file:./app/B"]\n',
            whole("", rows("./app/B")), "The URI of a named file stays as it was written.",
        ),
    }  # fmt: skip
    for name, (text, expanded, why) in good.items():
        yield _expansion(name, text, expanded, why)
    bad = {
        "folder-without-slash": ('sgx.trusted_files = ["file:app"]\n', "A folder ends with a slash."),
        "scheme": ('sgx.trusted_files = ["dev:app/B"]\n', "Files only."),
        "two-digests": (
            "sgx.trusted_files = ["
            + ", ".join(f'{{uri="file:x", sha256="{digit * 64}"}}' for digit in "01")
            + "]\n",
            "One file cannot have two digests.",
        ),
        "float": ("sgx.isvsvn = 1.0\n", "TOML has floats, manifests have none."),
        "old-table": ('sgx.trusted_files.a = "file:app/B"\n', "The form of Gramine before 1.2."),
    }  # fmt: skip
    for name, (text, why) in bad.items():
        yield _expansion(f"bad-{name}", _LIBOS + text, None, why)


def _expansion(name: str, text: str, expanded: bytes | None, why: str) -> Vector:
    files = {"tree": json.dumps(_TREE, indent=1).encode() + b"\n"}
    if expanded is not None:
        files["expanded"] = expanded
    return Vector(
        name=f"expansion-{name}",
        format="expansion",
        layer="parse" if expanded is None else "accept",
        why=why,
        input=text.encode(),
        files=files,
    )


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _hex(raw: bytes) -> bytes:
    return raw.hex().encode() + b"\n"


if __name__ == "__main__":
    sys.exit(write_or_check(FOLDER, (expansion_cases, mrenclave_cases, sigstruct_cases)))
