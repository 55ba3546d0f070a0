"""The provisioning service's interface (API v4): its places, its questions, and reading its answers.

Spoken by Intel's own service, by every PCCS and by Azure's cache. Reads form alone: nothing an answer says is
believed before `core.attestation` verified it. Must never re-encode a signed document: its exact bytes are
cut out of the answer.

Spec: docs/spec/provisioning.md.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes, urlsplit

from sealroom.core.attestation.chain import CertificateChain
from sealroom.core.attestation.pck import PckCa
from sealroom.core.attestation.pck_extension import SGX_EXTENSION, parse_pck_extension
from sealroom.core.attestation.quote import CertificationKind, Quote, TeeType
from sealroom.core.errors import CollateralError, MalformedError

INTEL_URL = "https://api.trustedservices.intel.com"
AZURE_URL = "https://global.acccache.azure.net"
INTEL_ROOT_CRL_URL = "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der"
WELL_KNOWN = {"intel": INTEL_URL, "azure": AZURE_URL}
# These two do not serve the root's list themselves.
_ROOT_CRL_ELSEWHERE = frozenset(WELL_KNOWN.values())

_API = re.compile(r"/(?:sgx|tdx)/certification/v[0-9]+/?\Z", re.ASCII)
_SIGNATURE_END = re.compile(r'\s*,\s*"signature"\s*:\s*"([0-9A-Fa-f]{128})"\s*\}\s*\Z', re.ASCII)
_HEX = re.compile(rb"(?:[0-9A-Fa-f]{2})+\s*\Z")
_PEM_CRL = re.compile(rb"-----BEGIN X509 CRL-----\s+([A-Za-z0-9+/=\s]+)-----END X509 CRL-----\s*\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One provisioning service: the part of its address before `/sgx` and `/tdx`, without a slash."""

    url: str

    @classmethod
    def parse(cls, text: str) -> Source:
        """Read `intel`, `azure`, or an https address with or without `/sgx/certification/v4`."""
        url = _API.sub("", WELL_KNOWN.get(text, text)).rstrip("/")
        try:
            parts = urlsplit(url)
            usable = parts.scheme == "https" and bool(parts.hostname) and parts.port != 0
        except ValueError as exc:
            raise MalformedError("source: not an address") from exc
        if not usable or parts.query or parts.fragment or "@" in parts.netloc:
            raise MalformedError("source: expected intel, azure or an address like https://pccs.example:8081")
        return cls(url=url)

    def address(self, tee: TeeType, path: str) -> str:
        """Return the address of `path` in the part for `tee`."""
        return f"{self.url}/{tee.name.lower()}/certification/v4/{path}"

    @property
    def root_crl(self) -> str:
        """Where the root's revocation list is served."""
        if self.url in _ROOT_CRL_ELSEWHERE:
            return INTEL_ROOT_CRL_URL
        return self.address(TeeType.SGX, "rootcacrl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """What a quote says of its platform, as far as questions need it; a claim, not yet believed."""

    tee: TeeType
    fmspc: bytes
    ca: PckCa

    @property
    def ca_word(self) -> str:
        """The CA as the interface names it."""
        return self.ca.name.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class EncryptedPlatform:
    """What a quote without certificates says for its PCK certificate to be looked up."""

    query: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedAnswer:
    """A signed document, cut out of an answer byte for byte, and the chain of its signer."""

    document: str
    signature: str
    chain: str


def platform_of(tee: TeeType, chain: CertificateChain) -> Platform:
    """Return which platform a quote about `tee` with the PCK certificates `chain` says it is from."""
    leaf, authority, _ = chain.certificates
    extension = leaf.extensions.get(SGX_EXTENSION)
    if extension is None:
        raise MalformedError("pck chain: leaf has no SGX extension")
    ca = next((ca for ca in PckCa if ca.value in authority.common_name), None)
    if ca is None:
        raise MalformedError("pck chain: the leaf's issuer is not a PCK CA")
    return Platform(tee=tee, fmspc=parse_pck_extension(extension).fmspc, ca=ca)


def encrypted_platform_of(quote: Quote) -> EncryptedPlatform:
    """Return what to ask for where `quote` names its platform by an encrypted PPID only."""
    sizes = {CertificationKind.PPID_RSA_2048: 256, CertificationKind.PPID_RSA_3072: 384}
    size = sizes.get(quote.certification.kind)
    raw = quote.certification.raw
    if size is None or len(raw) != size + 20:
        raise CollateralError(
            f"certification data type {quote.certification.kind.value}: names no platform to ask for"
        )
    ppid, cpu_svn, pce_svn, pce_id = raw[:size], raw[size:-4], raw[-4:-2], raw[-2:]
    return EncryptedPlatform(
        query={
            "encrypted_ppid": ppid.hex(),
            "cpusvn": cpu_svn.hex(),
            "pcesvn": pce_svn.hex(),
            "pceid": pce_id.hex(),
            "qeid": quote.header.user_data[:16].hex(),
        }
    )


def read_signed(body: bytes, *, member: str, chain: str) -> SignedAnswer:
    """Cut the document `member` out of an answer of exactly it and its signature."""
    try:
        text = body.decode("ascii")
        start = re.match(rf'\s*\{{\s*"{member}"\s*:\s*', text)
        if start is None:
            raise MalformedError(f"answer: does not begin with {member}")
        # Finds where the value ends; what it says is not looked at here.
        _, end = json.JSONDecoder().raw_decode(text, start.end())
    except (ValueError, RecursionError) as exc:
        raise MalformedError(f"answer: {member} is not JSON in ASCII") from exc
    rest = _SIGNATURE_END.match(text, end)
    if rest is None or not text.startswith("{", start.end()):
        raise MalformedError(f"answer: not {member} and its signature")
    return SignedAnswer(document=text[start.end() : end], signature=rest[1].lower(), chain=chain)


def read_chain(header: str | None, *, name: str) -> str:
    """Read a header that holds certificates in PEM, written for an address."""
    if header is None:
        raise MalformedError(f"answer: no header {name}")
    try:
        return unquote_to_bytes(header).decode("ascii")
    except ValueError as exc:
        raise MalformedError(f"header {name}: not ASCII") from exc


def read_crl(body: bytes) -> str:
    """Return a revocation list as hexadecimal; services send DER, hexadecimal or PEM."""
    if body[:1] == b"\x30" and not _HEX.match(body):
        return body.hex()
    if _HEX.match(body):
        return body.strip().decode("ascii").lower()
    if (block := _PEM_CRL.match(body)) is not None:
        return _pem_crl(block[1])
    raise MalformedError("answer: neither DER, hexadecimal nor PEM of a revocation list")


def _pem_crl(text: bytes) -> str:
    try:
        return base64.b64decode(b"".join(text.split()), validate=True).hex()
    except binascii.Error as exc:
        raise MalformedError("answer: the revocation list is not base64") from exc
