"""What in a manifest makes an enclave insecure, slow to start, or unable to start at all.

Advice for the person who wrote it. What a participant accepts is never decided here: see
`sealroom.core.evidence`.

Spec: docs/spec/manifest.md, "Findings". Start-up figures: docs/deploy-sgx.md.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import partial

from sealroom.core.errors import MalformedError
from sealroom.core.measurement.manifest import parse_size

MANY_FILES = 2000
MANY_BYTES = 1 << 30
LARGE_WITHOUT_EDMM = 64 << 30
MANY_THREADS = 256

_SCHEME = "file:"


class Severity(Enum):
    """How much it matters."""

    BROKEN = "does not start"
    INSECURE = "insecure"
    LOOSE = "looser than need be"
    SLOW = "slow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing to change: which key, what it means, and what to do."""

    severity: Severity
    key: str
    meaning: str
    advice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """What an enclave of this manifest hashes: trusted files, their bytes, and those that are not here."""

    files: int
    size: int
    missing: int


def find_faults(manifest: Mapping[str, object], weight: Weight) -> tuple[Finding, ...]:
    """Return what to change in a manifest, as written or as signed; the worst first."""
    found = [finding for check in _CHECKS for finding in check(_Reading(manifest), weight)]
    order = list(Severity)
    return tuple(sorted(found, key=lambda finding: order.index(finding.severity)))


class _Reading:
    """A manifest by dotted names; what is not there reads as `None`, and tables of another type as empty."""

    def __init__(self, manifest: Mapping[str, object]) -> None:
        self.manifest = manifest

    def get(self, name: str) -> object:
        found: object = self.manifest
        for part in name.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        return found

    def table(self, name: str) -> Mapping[str, object]:
        found = self.get(name)
        return found if isinstance(found, Mapping) else {}

    def items(self, name: str) -> list[object]:
        found = self.get(name)
        return found if isinstance(found, list) else []

    def keys(self) -> Iterator[tuple[str, object]]:
        """Yield every key at any depth, with its value."""
        waiting: list[tuple[str, object]] = [("", self.manifest)]
        while waiting:
            prefix, value = waiting.pop()
            for key, inner in value.items() if isinstance(value, Mapping) else ():
                yield f"{prefix}{key}", inner
                waiting.append((f"{prefix}{key}.", inner))


# Names of older releases, which Gramine 1.9 ignores or refuses, and what took their place.
_OLD_KEYS = {
    "sgx.thread_num": "sgx.max_threads",
    "sgx.nonpie_binary": "nothing: leave it out",
    "sgx.ra_client_spid": "nothing: EPID is gone, use sgx.remote_attestation = \"dcap\"",
    "sgx.ra_client_linkable": "nothing: EPID is gone, use sgx.remote_attestation = \"dcap\"",
    "sgx.require_avx": "sgx.cpu_features.avx",
    "sgx.require_avx512": "sgx.cpu_features.avx512",
    "sgx.require_amx": "sgx.cpu_features.amx",
    "sgx.require_mpx": "sgx.cpu_features.mpx",
    "sgx.require_pkru": "sgx.cpu_features.pkru",
    "sgx.support_exinfo": "sgx.use_exinfo",
    "sgx.require_exinfo": "sgx.use_exinfo",
    "sgx.rpc_thread_num": "sgx.insecure__rpc_thread_num",
    "sgx.protected_files": "fs.mounts with type = \"encrypted\"",
    "sgx.protected_mrenclave_files": "fs.mounts with type = \"encrypted\"",
    "sgx.protected_mrsigner_files": "fs.mounts with type = \"encrypted\"",
    "fs.mount": "fs.mounts, an array",
    "loader.preload": "nothing: leave it out",
    "loader.argv0_override": "loader.argv",
    "loader.pal_internal_mem_size": "nothing: leave it out",
    "fs.experimental__enable_sysfs_topology": "nothing: leave it out",
}  # fmt: skip


# Every key of Gramine 1.9; what lies deeper is checked by Gramine alone.
_KNOWN_KEYS = {
    "": {"fs", "libos", "loader", "sgx", "sys"},
    "fs": {"mounts", "root", "start_dir", "insecure__keys"},
    "libos": {"entrypoint", "check_invalid_pointers"},
    "loader": {
        "argv", "argv_src_file", "entrypoint", "env", "env_src_file", "gid", "uid", "log_file", "log_level",
        "insecure__disable_aslr", "insecure__use_cmdline_argv", "insecure__use_host_env",
    },
    "sgx": {
        "allowed_files", "cpu_features", "debug", "edmm_enable", "enable_stats", "enclave_size",
        "file_check_policy", "insecure__allow_memfaults_without_exinfo", "insecure__rpc_thread_num",
        "isvprodid", "isvsvn", "max_threads", "preheat_enclave", "profile", "remote_attestation", "seal_key",
        "trusted_files", "use_exinfo", "vtune_profile",
    },
    "sys": {
        "allowed_ioctls", "brk", "debug__mock_syscalls", "disallow_subprocesses",
        "enable_extra_runtime_domain_names_conf", "enable_sigterm_injection", "experimental__enable_flock",
        "fds", "insecure__allow_eventfd", "ioctl_structs", "stack",
    },
}  # fmt: skip


def _unknown_keys(manifest: _Reading, _: Weight) -> Iterator[Finding]:
    for table, known in _KNOWN_KEYS.items():
        keys = manifest.table(table) if table else manifest.manifest
        for key in keys:
            name = f"{table}.{key}".lstrip(".")
            if key not in known and name not in _OLD_KEYS:
                yield _broken(name, "no key of Gramine 1.9, which refuses it", "look for a slip of the pen")


def _old_keys(manifest: _Reading, _: Weight) -> Iterator[Finding]:
    for name, successor in _OLD_KEYS.items():
        if manifest.get(name) is not None:
            yield _broken(
                name, "a name of an older Gramine, which 1.9 ignores or refuses", f"now: {successor}"
            )
    if isinstance(manifest.get("loader.entrypoint"), str):
        yield _broken("loader.entrypoint", "a table since Gramine 1.8", "leave it out, expansion fills it in")
    if isinstance(manifest.get("sgx.remote_attestation"), bool):
        yield _broken("sgx.remote_attestation", "no boolean since Gramine 1.3", 'write "dcap"')


def _layout(manifest: _Reading, _: Weight) -> Iterator[Finding]:
    size, threads = manifest.get("sgx.enclave_size"), manifest.get("sgx.max_threads")
    if size is not None:
        try:
            parsed = parse_size(size)
        except MalformedError as wrong:
            yield _broken("sgx.enclave_size", str(wrong).partition(": ")[2], 'write a size such as "4G"')
        else:
            if parsed >= LARGE_WITHOUT_EDMM and manifest.get("sgx.edmm_enable") is not True:
                meaning = "every page of it is added before the enclave starts"
                yield _slow("sgx.enclave_size", meaning, "a smaller enclave, or sgx.edmm_enable = true")
    if manifest.get("sgx.preheat_enclave") is True:
        meaning = "every page is touched before the program starts"
        yield _slow("sgx.preheat_enclave", meaning, "leave it out, unless the first requests must be quick")
    if isinstance(threads, int) and threads > MANY_THREADS:
        yield _slow(
            "sgx.max_threads", f"{threads} threads: 360 KiB each, measured", "as many as the program has"
        )


def _arguments(manifest: _Reading, _: Weight) -> Iterator[Finding]:
    sources = ("loader.argv", "loader.argv_src_file", "loader.insecure__use_cmdline_argv")
    given = [name for name in sources if manifest.get(name) not in (None, False)]
    if len(given) > 1:
        yield _broken(given[1], f"arguments come from {given[0]} already", "keep one of them")
    if manifest.get("fs.mounts") is None:
        yield _broken(
            "fs.mounts", "the enclave would see no file", "mount interpreter, libraries and program"
        )
    trusted = _trusted_uris(manifest)
    for name in ("loader.argv_src_file", "loader.env_src_file"):
        source = manifest.get(name)
        if isinstance(source, str) and not _is_listed(source, trusted):
            yield _broken(name, f"{source} is no trusted file", "list it in sgx.trusted_files")


def _insecure_names(manifest: _Reading, _: Weight) -> Iterator[Finding]:
    meanings = {
        "insecure__use_cmdline_argv": "the host chooses the program's arguments",
        "insecure__use_host_env": "the host chooses the program's environment",
        "insecure__disable_aslr": "addresses inside can be foretold",
        "insecure__keys": "the key of encrypted files stands in the manifest, which is not secret",
        "insecure__rpc_thread_num": "calls to the host leave through shared memory: more side channels",
        "insecure__allow_memfaults_without_exinfo": "the host can forge memory faults",
        "insecure__allow_eventfd": "the host decides when events arrive",
    }
    for name, value in manifest.keys():  # noqa: SIM118 - not a dict
        key = name.rpartition(".")[2]
        if key.startswith("insecure__") and value not in (False, 0, {}):
            meaning = meanings.get(key, "Gramine itself calls it insecure")
            yield _insecure(name, meaning, "leave it out of an enclave that others trust")


def _insecure_settings(manifest: _Reading, _: Weight) -> Iterator[Finding]:
    if manifest.get("sgx.debug") is True:
        yield _insecure("sgx.debug", "the host reads and changes the enclave's memory", "sgx.debug = false")
    if manifest.get("sgx.remote_attestation") in (None, "none"):
        meaning = "the enclave can prove to nobody what it is"
        yield _insecure("sgx.remote_attestation", meaning, 'sgx.remote_attestation = "dcap"')
    if manifest.get("sgx.file_check_policy") not in (None, "strict"):
        meaning = "files that are not listed are opened all the same"
        yield _insecure("sgx.file_check_policy", meaning, 'sgx.file_check_policy = "strict"')
    for name, value in manifest.table("loader.env").items():
        if isinstance(value, Mapping) and value.get("passthrough"):
            yield _insecure(
                f"loader.env.{name}", "the host chooses its value", f'loader.env.{name} = "VALUE"'
            )
    if manifest.get("loader.log_level") in ("debug", "trace", "all"):
        yield _insecure("loader.log_level", "what the program does is told to the host", '"error" or "none"')


def _host_files(manifest: _Reading, _: Weight) -> Iterator[Finding]:
    trusted = _trusted_uris(manifest)
    for uri in manifest.items("sgx.allowed_files"):
        folder = str(uri)
        if folder.rstrip("/") in ("file:", "file:."):
            yield _insecure("sgx.allowed_files", f"{folder}: the host chooses every file", "name one folder")
        inside = [other for other in trusted if other.startswith(folder.rstrip("/") + "/")]
        if inside:
            meaning = f"{folder} lets the host add files beside {inside[0]}"
            yield _insecure("sgx.allowed_files", meaning, "keep trusted and allowed files apart")
    if manifest.get("fs.root") is None and manifest.get("fs.mounts") is not None:
        meaning = "the folder that the enclave is started in is its /"
        yield _finding(Severity.LOOSE, "fs.root", meaning, 'fs.root = { type = "tmpfs" }')


def _weight(_: _Reading, weight: Weight) -> Iterator[Finding]:
    if weight.files > MANY_FILES:
        meaning = (
            f"{weight.files} trusted files: each is opened and hashed when it is used, and read at start"
        )
        yield _slow("sgx.trusted_files", meaning, "list what the program imports and loads, not whole trees")
    if weight.size > MANY_BYTES:
        meaning = f"{weight.size / 1e6:.0f} MB of trusted files are hashed inside before they are used"
        yield _slow("sgx.trusted_files", meaning, "keep data out of it, and leave out what is not used")


def _python(manifest: _Reading, _: Weight) -> Iterator[Finding]:
    if "python" not in str(manifest.get("libos.entrypoint")).rpartition("/")[2]:
        return
    if manifest.get("loader.env.PYTHONDONTWRITEBYTECODE") != "1":
        meaning = "Python rewrites .pyc files at every start: Gramine reports no times"
        yield _slow("loader.env.PYTHONDONTWRITEBYTECODE", meaning, 'set it to "1"')
    compiled = sum(uri.endswith(".pyc") for uri in _trusted_uris(manifest))
    if compiled:
        meaning = f"{compiled} .pyc files: taken for stale at every start unless their check is off"
        yield _slow("sgx.trusted_files", meaning, "leave __pycache__ out")
    arguments = [str(item) for item in manifest.items("loader.argv")]
    if arguments and not {"-I", "-Ic"} & set(arguments):
        meaning = "Python looks for modules beside the script and in the user's folder"
        yield _insecure("loader.argv", meaning, 'begin with ["python3", "-I", "-S", "-B", …]')


def _trusted_uris(manifest: _Reading) -> list[str]:
    rows = manifest.items("sgx.trusted_files")
    return [str(row.get("uri")) if isinstance(row, Mapping) else str(row) for row in rows]


def _is_listed(uri: str, trusted: list[str]) -> bool:
    return any(uri == listed or (listed.endswith("/") and uri.startswith(listed)) for listed in trusted)


def _finding(severity: Severity, key: str, meaning: str, advice: str) -> Finding:
    return Finding(severity=severity, key=key, meaning=meaning, advice=advice)


_broken = partial(_finding, Severity.BROKEN)
_insecure = partial(_finding, Severity.INSECURE)
_slow = partial(_finding, Severity.SLOW)

_CHECKS: tuple[Callable[[_Reading, Weight], Iterator[Finding]], ...] = (
    _unknown_keys,
    _old_keys,
    _layout,
    _arguments,
    _insecure_names,
    _insecure_settings,
    _host_files,
    _weight,
    _python,
)
