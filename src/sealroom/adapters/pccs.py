"""Fetching collateral: the nine documents about a platform, from the first of several services that has them.

TLS is verified, answers are bounded in size and time, no redirection is followed, no proxy taken from the
environment. What comes back was verified under the root of the quote's own certificates, whoever that is, so
that no service can hand out rubbish; whether it is accepted is the verification's to say.

Spec: docs/spec/provisioning.md.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import httpx

from sealroom.adapters.collateral_cache import CollateralCache
from sealroom.adapters.provisioning import (
    Platform,
    SignedAnswer,
    Source,
    encrypted_platform_of,
    platform_of,
    read_chain,
    read_crl,
    read_signed,
)
from sealroom.core.attestation.chain import CertificateChain
from sealroom.core.attestation.collateral import claimed_window, parse_collateral, verify_collateral
from sealroom.core.attestation.pck import parse_pck_certificates, parse_pck_chain
from sealroom.core.attestation.quote import CertificationKind, Quote, TeeType, parse_quote
from sealroom.core.errors import (
    CollateralError,
    MalformedError,
    SealroomError,
    TransportError,
)
from sealroom.core.wire.bundle import MAX_COLLATERAL_CHARS, RawCollateral
from sealroom.core.wire.foreign_text import visible

MAX_ANSWER_BYTES = MAX_COLLATERAL_CHARS
WARN_BEFORE = timedelta(days=7)
_RETRIED = frozenset({429, 500, 502, 503, 504})
_FIRST_PAUSE_SECONDS = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchOptions:
    """Limits of one fetch. `answer_seconds` bounds a whole answer, however slowly it comes."""

    connect_seconds: float = 10.0
    answer_seconds: float = 30.0
    attempts: int = 3
    longest_pause_seconds: float = 10.0
    max_cache_age: timedelta = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """Verified collateral, where it is from, from when until when it is good, and what to tell about it.

    `pck_chain` is there where the quote carries no certificates of its own.
    """

    collateral: RawCollateral
    source: str
    valid_from: datetime
    valid_until: datetime
    warnings: tuple[str, ...]
    pck_chain: bytes | None

    def good_at(self, now: datetime) -> bool:
        """Whether every document is good at `now`."""
        return self.valid_from <= now <= self.valid_until


class CollateralFetcher:
    """Asks `sources` in order. Use as a context manager, or call `close`."""

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        source_ca: Path | None = None,
        cache: CollateralCache | None = None,
        options: FetchOptions | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not sources:
            raise ValueError("sources: expected at least one")
        self._sources = tuple(sources)
        self._cache = cache
        self._options = options or FetchOptions()
        self._sleep = sleep
        self._http = httpx.Client(
            verify=_context(source_ca),
            timeout=httpx.Timeout(self._options.answer_seconds, connect=self._options.connect_seconds),
            trust_env=False,
            follow_redirects=False,
        )

    def __enter__(self) -> CollateralFetcher:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def fetch(self, raw_quote: bytes, *, now: datetime) -> Fetched:
        """Return collateral for the platform of a quote: fresh from the cache, or from the first source.

        A source whose documents are not of `now` is used where none has better ones, with a warning. Raises
        `TransportError` where no source answered, `CollateralError` where none had usable documents.
        """
        quote = parse_quote(raw_quote)
        problems: list[str] = []
        stale: list[Fetched] = []
        for source in self._sources:
            try:
                found = self._from_source(source, quote, now)
            except SealroomError as exc:
                problems.append(f"{source.url}: {exc}")
                continue
            if found.good_at(now):
                return _with_warnings(found, problems)
            stale.append(found)
        if stale:
            return _with_warnings(stale[0], problems)
        raise TransportError("; ".join(problems))

    def _from_source(self, source: Source, quote: Quote, now: datetime) -> Fetched:
        pck_chain = None
        if quote.certification.kind is CertificationKind.PCK_CHAIN:
            chain = parse_pck_certificates(quote.certification)
        else:
            pck_chain = self._pck_chain(source, quote)
            chain = parse_pck_chain(pck_chain)
        platform = platform_of(quote.header.tee, chain)
        cached = self._cached(source, platform, chain, now)
        if cached is not None:
            return replace(cached, pck_chain=pck_chain)
        collateral = self._ask(source, platform)
        found = _verified(collateral, chain, now, source=source.url)
        if self._cache is not None:
            self._cache.store(source.url, platform, collateral, now)
        return replace(found, pck_chain=pck_chain)

    def _cached(
        self, source: Source, platform: Platform, chain: CertificateChain, now: datetime
    ) -> Fetched | None:
        kept = None if self._cache is None else self._cache.load(source.url, platform)
        if kept is None or not timedelta(0) <= now - kept.fetched_at <= self._options.max_cache_age:
            return None
        try:
            found = _verified(kept.collateral, chain, now, source=f"{source.url}, kept here")
        except SealroomError:
            return None
        return found if found.good_at(now) else None

    def _ask(self, source: Source, platform: Platform) -> RawCollateral:
        tee = platform.tee
        tcb = self._signed(
            source.address(tee, f"tcb?fmspc={platform.fmspc.hex()}"),
            member="tcbInfo",
            headers=("TCB-Info-Issuer-Chain", "SGX-TCB-Info-Issuer-Chain"),
        )
        identity = self._signed(
            source.address(tee, "qe/identity"),
            member="enclaveIdentity",
            headers=("SGX-Enclave-Identity-Issuer-Chain",),
        )
        crl_address = source.address(TeeType.SGX, f"pckcrl?ca={platform.ca_word}&encoding=der")
        pck_crl, crl_headers = self._get(crl_address)
        root_crl, _ = self._get(source.root_crl)
        return RawCollateral(
            pck_crl_issuer_chain=_chain(crl_headers, ("SGX-PCK-CRL-Issuer-Chain",)),
            root_ca_crl=read_crl(root_crl),
            pck_crl=read_crl(pck_crl),
            tcb_info_issuer_chain=tcb.chain,
            tcb_info=tcb.document,
            tcb_info_signature=tcb.signature,
            qe_identity_issuer_chain=identity.chain,
            qe_identity=identity.document,
            qe_identity_signature=identity.signature,
        )

    def _signed(self, address: str, *, member: str, headers: tuple[str, ...]) -> SignedAnswer:
        body, answered = self._get(address)
        return read_signed(body, member=member, chain=_chain(answered, headers))

    def _pck_chain(self, source: Source, quote: Quote) -> bytes:
        query = httpx.QueryParams(encrypted_platform_of(quote).query)
        leaf, headers = self._get(f"{source.address(TeeType.SGX, 'pckcert')}?{query}")
        return leaf.rstrip(b"\n") + b"\n" + _chain(headers, ("SGX-PCK-Certificate-Issuer-Chain",)).encode()

    def _get(self, address: str) -> tuple[bytes, httpx.Headers]:
        """GET a bounded answer, again after a pause where the service says that it may do better."""
        for attempt in range(self._options.attempts):
            last = attempt == self._options.attempts - 1
            try:
                status, headers, body = self._once(address)
            except httpx.HTTPError as exc:
                if last or _distrusted(exc):
                    raise TransportError(f"no answer: {visible(str(exc)) or type(exc).__name__}") from exc
                self._sleep(self._pause(attempt, {}))
                continue
            if status == httpx.codes.OK:
                return body, headers
            if last or status not in _RETRIED:
                raise TransportError(f"answered {status} to {visible(httpx.URL(address).path)}")
            self._sleep(self._pause(attempt, headers))
        raise AssertionError("unreachable")

    def _once(self, address: str) -> tuple[int, httpx.Headers, bytes]:
        deadline = time.monotonic() + self._options.answer_seconds
        # Nothing compressed: a bound on what is received is then a bound on what is held.
        with self._http.stream("GET", address, headers={"Accept-Encoding": "identity"}) as response:
            if response.status_code != httpx.codes.OK:
                return response.status_code, response.headers, b""
            body = bytearray()
            for chunk in response.iter_raw():
                body += chunk
                if len(body) > MAX_ANSWER_BYTES:
                    raise MalformedError(f"answer: larger than {MAX_ANSWER_BYTES} bytes")
                if time.monotonic() > deadline:
                    raise TransportError(f"answer: not whole after {self._options.answer_seconds:.0f} s")
            return response.status_code, response.headers, bytes(body)

    def _pause(self, attempt: int, headers: Mapping[str, str]) -> float:
        wanted = headers.get("retry-after", "")
        pause = float(wanted) if wanted.isascii() and wanted.isdigit() else _FIRST_PAUSE_SECONDS * 2**attempt
        return min(pause, self._options.longest_pause_seconds)


def _verified(collateral: RawCollateral, chain: CertificateChain, now: datetime, *, source: str) -> Fetched:
    """Verify `collateral` under the root of the quote's chain: at `now`, or when it was good."""
    parsed = parse_collateral(collateral)
    window = claimed_window(parsed)
    if window.starts > window.ends:
        raise CollateralError("collateral: its documents were never good together")
    at = min(max(now, window.starts), window.ends)
    verified = verify_collateral(parsed, root_key=chain.root.public_key, now=at)
    return Fetched(
        collateral=collateral,
        source=source,
        valid_from=verified.valid_from,
        valid_until=verified.valid_until,
        warnings=_expiry(verified.valid_from, verified.valid_until, now),
        pck_chain=None,
    )


def _expiry(valid_from: datetime, valid_until: datetime, now: datetime) -> tuple[str, ...]:
    if now > valid_until:
        return (f"expired: these documents were good until {valid_until:%Y-%m-%d %H:%M} UTC",)
    if now < valid_from:
        return (f"not good yet: these documents are good from {valid_from:%Y-%m-%d %H:%M} UTC",)
    if valid_until - now < WARN_BEFORE:
        return (f"soon expired: these documents are good until {valid_until:%Y-%m-%d %H:%M} UTC",)
    return ()


def _with_warnings(found: Fetched, problems: Sequence[str]) -> Fetched:
    return replace(found, warnings=(*problems, *found.warnings))


def _chain(headers: Mapping[str, str], names: tuple[str, ...]) -> str:
    found = next((headers[name] for name in names if name in headers), None)
    return read_chain(found, name=names[0])


def _context(source_ca: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if source_ca is not None:
        try:
            context.load_verify_locations(cafile=source_ca)
        except ssl.SSLError as exc:
            raise MalformedError("source ca: not certificates in PEM") from exc
        # A PCCS often shows a certificate that it issued itself.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _distrusted(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
