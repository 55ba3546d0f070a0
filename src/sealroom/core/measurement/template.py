"""The manifest of a computation, and of a service, as a pure function of what everybody agreed to.

The server makes its manifest with this function, and each client makes its own to compare: a byte that does
not come out of here is a byte nobody agreed to. Two clients of one release make the same file. What depends
on the host (its paths, its environment, its arguments) has no way in.

Spec: docs/spec/manifest.md, "The manifest of a computation" and "The manifest of a service".
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from sealroom.core.errors import MalformedError
from sealroom.core.measurement.known_pals import KnownPal
from sealroom.core.measurement.manifest import TomlValue, write_manifest

ARGUMENTS_PATH = "args"
CODE_FOLDER = "code"
GRAMINE_FOLDER = "gramine/lib"
LIBRARY_FOLDER = "lib"
PACKAGES_FOLDER = "packages"
RUNTIME_FOLDER = "runtime"
SPOOL_FOLDER = "spool"
START_PATH = "start.py"
INTERPRETER_PATH = f"{RUNTIME_FOLDER}/bin/python3"

MAX_THREADS = 16
# The event loop, sixteen threads for WSGI, an executor's, the library OS's own, and an application's.
MAX_SERVICE_THREADS = 64
MAX_PROGRAM_MEMORY = 512 << 30

_MIN_ENCLAVE_SIZE = 1 << 30
# Interpreter, libraries, LibOS and the stacks of all threads, beside the memory the program was promised.
_OVERHEAD = 512 << 20

# The enclave's own, in its memory and private to it.
_TEMPORARY = "/tmp"  # noqa: S108

_MOUNTS = (
    ("/lib", GRAMINE_FOLDER),
    ("/runtime", RUNTIME_FOLDER),
    (f"/sealroom/{START_PATH}", START_PATH),
    (f"/sealroom/{LIBRARY_FOLDER}", LIBRARY_FOLDER),
    (f"/sealroom/{PACKAGES_FOLDER}", PACKAGES_FOLDER),
    (f"/sealroom/{CODE_FOLDER}", CODE_FOLDER),
    (f"/sealroom/{SPOOL_FOLDER}", SPOOL_FOLDER),
)
_ENVIRONMENT = {
    "HOME": _TEMPORARY,
    "LANG": "C.UTF-8",
    "LD_LIBRARY_PATH": "/lib:/runtime/lib",
    "OMP_NUM_THREADS": "4",
    "OPENBLAS_NUM_THREADS": "4",
    # The measured arguments begin with a bare name; by it the interpreter finds its own library.
    "PATH": "/runtime/bin",
    "PYTHONDONTWRITEBYTECODE": "1",
    "TMPDIR": _TEMPORARY,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredFile:
    """One file of the launch folder: its path there, and the digest of what must be in it."""

    path: str
    sha256: bytes

    @property
    def uri(self) -> str:
        """The file's name in the manifest."""
        return f"file:{self.path}"


def enclave_size(max_memory: int) -> str:
    """Return the size of the enclave that gives a program `max_memory` bytes.

    Raises `MalformedError` where no enclave is that large.
    """
    if not 0 < max_memory <= MAX_PROGRAM_MEMORY:
        raise MalformedError(f"max-memory: got {max_memory}, expected 1 to {MAX_PROGRAM_MEMORY} bytes")
    size = _MIN_ENCLAVE_SIZE
    while size < max_memory + _OVERHEAD:
        size *= 2
    return f"{size >> 30}G"


def computation_manifest(
    *,
    arguments_sha256: bytes,
    first_party: Iterable[MeasuredFile],
    code: Iterable[MeasuredFile],
    packages: Iterable[MeasuredFile],
    runtime: Iterable[MeasuredFile],
    max_memory: int,
    pal: KnownPal,
) -> bytes:
    """Return the manifest, byte for byte, of a computation in this release.

    `first_party` are sealroom's own files (`start.py` and those under `lib/`), `code` the Code Provider's
    (under `code/`), `packages` those of its wheels (under `packages/`), `runtime` interpreter and libraries
    (under `runtime/`, Gramine's own under `gramine/lib/`): all by their path in the launch folder. `pal`
    decides the kind of TEE. Raises `MalformedError` for a path in the wrong folder, or named twice.
    """
    files = _measured(arguments_sha256, first_party, code, packages, runtime)
    return _manifest(files, max_memory=max_memory, pal=pal, threads=MAX_THREADS, system={})


def service_manifest(
    *,
    arguments_sha256: bytes,
    first_party: Iterable[MeasuredFile],
    code: Iterable[MeasuredFile],
    packages: Iterable[MeasuredFile],
    runtime: Iterable[MeasuredFile],
    max_memory: int,
    connects: bool,
    pal: KnownPal,
) -> bytes:
    """Return the manifest, byte for byte, of a service in this release; arguments as for a computation.

    `code` are the files of the package's code list, under `code/`. `connects` says that the application may
    open connections of its own, for which the library OS asks the host how names are resolved.
    """
    files = _measured(arguments_sha256, first_party, code, packages, runtime)
    system: dict[str, TomlValue] = {"enable_extra_runtime_domain_names_conf": True} if connects else {}
    return _manifest(files, max_memory=max_memory, pal=pal, threads=MAX_SERVICE_THREADS, system=system)


def _measured(
    arguments_sha256: bytes,
    first_party: Iterable[MeasuredFile],
    code: Iterable[MeasuredFile],
    packages: Iterable[MeasuredFile],
    runtime: Iterable[MeasuredFile],
) -> list[MeasuredFile]:
    files = [MeasuredFile(path=ARGUMENTS_PATH, sha256=arguments_sha256)]
    files += [_in_folder(file, LIBRARY_FOLDER, also=START_PATH) for file in first_party]
    files += [_in_folder(file, CODE_FOLDER) for file in code]
    files += [_in_folder(file, PACKAGES_FOLDER) for file in packages]
    files += [_in_folder(file, _runtime_folder(file)) for file in runtime]
    return files


def _manifest(
    files: list[MeasuredFile],
    *,
    max_memory: int,
    pal: KnownPal,
    threads: int,
    system: dict[str, TomlValue],
) -> bytes:
    manifest: dict[str, TomlValue] = {
        "libos": {"entrypoint": f"/{INTERPRETER_PATH}"},
        "loader": {
            "log_level": "none",
            "argv_src_file": f"file:{ARGUMENTS_PATH}",
            "entrypoint": {"uri": pal.libos_uri, "sha256": pal.libos_sha256.hex()},
            "env": dict(_ENVIRONMENT),
        },
        "fs": {
            "mounts": [
                *({"path": path, "uri": f"file:{source}"} for path, source in _MOUNTS),
                {"type": "tmpfs", "path": _TEMPORARY},
            ],
            # Without a root of its own the enclave would see the whole launch folder as `/`.
            "root": {"type": "tmpfs"},
        },
        "sys": {"disallow_subprocesses": True, **system},
        "sgx": _sgx(files, enclave_size(max_memory), threads),
    }
    return write_manifest(manifest)


def _sgx(files: Iterable[MeasuredFile], size: str, threads: int) -> dict[str, TomlValue]:
    """Spell out every setting, the signer's defaults too, so that signing leaves the file as it is."""
    return {
        "enclave_size": size,
        "max_threads": threads,
        "edmm_enable": False,
        "debug": False,
        "remote_attestation": "dcap",
        "isvprodid": 0,
        "isvsvn": 0,
        "enable_stats": False,
        "use_exinfo": False,
        "file_check_policy": "strict",
        "allowed_files": [f"file:{SPOOL_FOLDER}/"],
        "cpu_features": {
            "avx": "unspecified",
            "avx512": "unspecified",
            "amx": "unspecified",
            "mpx": "disabled",
            "pkru": "disabled",
        },
        "trusted_files": _trusted_files(files),
    }


def _trusted_files(files: Iterable[MeasuredFile]) -> list[TomlValue]:
    ordered = sorted(files, key=lambda file: file.uri.encode())
    for before, after in pairwise(ordered):
        if before.uri == after.uri:
            raise MalformedError(f"launch folder: {after.path!r} is named twice")
    return [{"uri": file.uri, "sha256": file.sha256.hex()} for file in ordered]


def _runtime_folder(file: MeasuredFile) -> str:
    return GRAMINE_FOLDER if file.path.startswith(f"{GRAMINE_FOLDER}/") else RUNTIME_FOLDER


def _in_folder(file: MeasuredFile, folder: str, *, also: str | None = None) -> MeasuredFile:
    inside = file.path.startswith(f"{folder}/") and not {"", ".", ".."} & set(file.path.split("/"))
    if not inside and file.path != also:
        raise MalformedError(f"launch folder: {file.path!r} is not a path under {folder}/")
    return file
