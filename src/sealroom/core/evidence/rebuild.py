"""Build the manifest that an enclave must have, and say what differs in the one it has.

The rebuilt manifest comes from the verifier's own release and from what was verified before: arguments, code
list and packages. Only the runtime's entries are taken from the manifest received: on SGX another check
compares them with the bill of materials; in the simulated TEE nobody does, and the verdict says so.
Equality is of bytes; the differences are named for the reader and decide nothing.

Spec: docs/spec/manifest.md, "Rebuilding".
"""

import hashlib
from collections.abc import Iterator, Mapping

from sealroom.core.errors import MalformedError
from sealroom.core.measurement.differences import flattened, trusted_digests
from sealroom.core.measurement.known_pals import KnownPal
from sealroom.core.measurement.manifest import parse_manifest
from sealroom.core.measurement.release import Release
from sealroom.core.measurement.template import (
    ARGUMENTS_PATH,
    CODE_FOLDER,
    GRAMINE_FOLDER,
    LIBRARY_FOLDER,
    PACKAGES_FOLDER,
    RUNTIME_FOLDER,
    START_PATH,
    MeasuredFile,
    computation_manifest,
    service_manifest,
)
from sealroom.core.wire.arguments import Arguments
from sealroom.core.wire.code_list import CodeList, FileList, ServiceCode
from sealroom.core.wire.service_arguments import Connections, ServiceArguments
from sealroom.core.wire.terms import ENTRY

MAX_NAMED_DIFFERENCES = 12

_SCHEME = "file:"


def rebuild_manifest(
    *,
    arguments: Arguments,
    code_list: CodeList,
    packages: tuple[MeasuredFile, ...],
    release: Release,
    pal: KnownPal,
    runtime: tuple[MeasuredFile, ...],
) -> bytes:
    """Return the manifest, byte for byte, that this computation has in this release."""
    return computation_manifest(
        arguments_sha256=hashlib.sha256(arguments.to_bytes()).digest(),
        first_party=release.first_party_for(arguments.terms.delivery),
        code=code_files(code_list),
        packages=packages,
        runtime=runtime,
        max_memory=arguments.terms.limits.max_memory,
        pal=pal,
    )


def rebuild_service_manifest(
    *,
    arguments: ServiceArguments,
    code_list: ServiceCode,
    packages: tuple[MeasuredFile, ...],
    release: Release,
    pal: KnownPal,
    runtime: tuple[MeasuredFile, ...],
) -> bytes:
    """Return the manifest, byte for byte, that this service has in this release."""
    return service_manifest(
        arguments_sha256=hashlib.sha256(arguments.to_bytes()).digest(),
        first_party=release.service_first_party,
        code=code_files(code_list),
        packages=packages,
        runtime=runtime,
        max_memory=arguments.max_memory,
        connects=arguments.connect is Connections.ANY,
        pal=pal,
    )


def code_files(code_list: FileList) -> tuple[MeasuredFile, ...]:
    """Return the Code Provider's files as they lie in the launch folder."""
    return tuple(
        MeasuredFile(path=f"{CODE_FOLDER}/{file.path}", sha256=file.sha256) for file in code_list.files
    )


def received_runtime(manifest: bytes, *, with_gramine: bool = False) -> tuple[MeasuredFile, ...]:
    """Return the runtime's entries of a manifest: those under `runtime/`, and perhaps Gramine's libraries.

    Raises `MalformedError` where the list of files has another form.
    """
    folders = (RUNTIME_FOLDER, GRAMINE_FOLDER) if with_gramine else (RUNTIME_FOLDER,)
    prefixes = tuple(f"{_SCHEME}{folder}/" for folder in folders)
    return tuple(
        MeasuredFile(path=uri.removeprefix(_SCHEME), sha256=bytes.fromhex(digest))
        for uri, digest in trusted_digests(parse_manifest(manifest)).items()
        if uri.startswith(prefixes)
    )


def measured_digest(manifest: bytes, path: str) -> bytes:
    """Return the digest that a manifest demands of the file at `path`; raises `MalformedError` for none."""
    digest = trusted_digests(parse_manifest(manifest)).get(f"{_SCHEME}{path}")
    if digest is None:
        raise MalformedError(f"manifest: {path} is not measured")
    return bytes.fromhex(digest)


def name_differences(*, expected: bytes, received: bytes) -> tuple[str, ...]:
    """Say in words how `received` differs from `expected`, the most telling first; none if they are equal."""
    if expected == received:
        return ()
    ours, theirs = parse_manifest(expected), parse_manifest(received)
    named = [*_file_differences(trusted_digests(ours), trusted_digests(theirs))]
    flat_ours, flat_theirs = dict(flattened(ours)), dict(flattened(theirs))
    for key in sorted(flat_ours.keys() | flat_theirs.keys()):
        if flat_ours.get(key) != flat_theirs.get(key):
            named.append(_setting_difference(key, flat_ours.get(key), flat_theirs.get(key)))
    if not named:
        return ("the same values, written or ordered differently",)
    if len(named) > MAX_NAMED_DIFFERENCES:
        rest = len(named) - MAX_NAMED_DIFFERENCES
        return (*named[:MAX_NAMED_DIFFERENCES], f"and {rest} more differences")
    return tuple(named)


def _file_differences(ours: Mapping[str, str], theirs: Mapping[str, str]) -> Iterator[str]:
    for uri in sorted(ours.keys() | theirs.keys()):
        if uri not in theirs:
            yield f"{_kind(uri)} is missing"
        elif uri not in ours:
            yield f"{_kind(uri)} is in it, and nobody agreed to it"
        elif ours[uri] != theirs[uri]:
            yield f"{_kind(uri)} has sha256 {theirs[uri]}, expected {ours[uri]}"


def _kind(uri: str) -> str:
    path = uri.removeprefix(_SCHEME)
    if path == ARGUMENTS_PATH:
        return "arguments file"
    if path == f"{CODE_FOLDER}/{ENTRY}":
        return f"entry point {ENTRY}"
    if path.startswith(f"{CODE_FOLDER}/"):
        return f"code file {path.removeprefix(f'{CODE_FOLDER}/')}"
    if path == START_PATH or path.startswith(f"{LIBRARY_FOLDER}/"):
        return f"first-party file {path}"
    if path.startswith(f"{PACKAGES_FOLDER}/"):
        return f"package file {path.removeprefix(f'{PACKAGES_FOLDER}/')}"
    if path.startswith(f"{RUNTIME_FOLDER}/"):
        return f"runtime file {path}"
    return f"trusted file {uri}"


_SETTINGS = {
    "fs.mounts ": "mount",
    "fs.root": "root file system",
    "loader.entrypoint.": "library OS",
    "loader.env.": "environment",
    "sgx.allowed_files ": "allowed file",
}


def _setting_difference(name: str, ours: object, theirs: object) -> str:
    kind = next((word for prefix, word in _SETTINGS.items() if name.startswith(prefix)), "setting")
    for prefix in ("fs.mounts ", "sgx.allowed_files "):
        name = name.removeprefix(prefix)
    if theirs is None:
        return f"{kind} {name} is missing"
    if ours is None:
        return f"{kind} {name} is in it, and nobody agreed to it"
    return f"{kind} {name} is {theirs!r}, expected {ours!r}"
