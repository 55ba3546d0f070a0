"""The Gramine that is installed here, as far as an enclave on SGX is made of it.

What for: its loader starts enclaves, its PAL is what the processor measures first, and its library OS and
patched C library are measured files of the launch folder. Nothing of it is trusted because it is here: a PAL
is known by a list of the release or of the operator's, and the rest by the manifest.

Must never: take a part of another installation than the one whose starter runs.
Spec: docs/spec/manifest.md, "Known PALs"; docs/spec/runtime-bill.md.
"""

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from sealroom.core.measurement.known_pals import LIBOS_PATH, LIBOS_URI, KnownPal
from sealroom.core.measurement.template import GRAMINE_FOLDER, MeasuredFile
from sealroom.core.wire.terms import Tee

PROGRAM = "gramine-sgx"

# What programs ask for of the C library, by the names they ask for. Gramine's package has each under two
# names, static libraries for compilers, and name services, which nothing inside has a network for.
GRAMINE_LIBRARIES = (
    "ld-linux-x86-64.so.2", "libc.so.6", "libdl.so.2", "libm.so.6", "libmvec.so.1", "libpthread.so.0",
    "libresolv.so.2", "librt.so.1", "libutil.so.1",
)  # fmt: skip

_PALS = ("lib/*/gramine/sgx/libpal.so", "lib64/gramine/sgx/libpal.so", "lib/gramine/sgx/libpal.so")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gramine:
    """The parts of an installed Gramine that an enclave on SGX is made of."""

    pal: Path
    libos: Path
    libraries: Path

    @classmethod
    def of(cls, pal: Path) -> "Gramine":
        """Return the installation that a `libpal.so` for SGX belongs to."""
        folder = pal.parent.parent
        return cls(pal=pal, libos=folder / "libsysdb.so", libraries=folder / "runtime/glibc")

    def as_known(self) -> KnownPal:
        """Return the row that a list of known PALs would have for this installation."""
        return KnownPal(
            name="installed",
            source=str(self.pal),
            tee=Tee.SGX,
            sha256=hashlib.sha256(self.pal.read_bytes()).digest(),
            libos_uri=LIBOS_URI,
            libos_sha256=hashlib.sha256(self.libos.read_bytes()).digest(),
        )

    def place_libos(self, folder: Path) -> None:
        """Put the library OS where manifests name it in a launch folder."""
        target = folder / LIBOS_PATH
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copyfile(self.libos, target)

    def place_libraries(self, folder: Path) -> tuple[MeasuredFile, ...]:
        """Put the C library where manifests name it in a launch folder, and return its files."""
        (folder / GRAMINE_FOLDER).mkdir(mode=0o700, parents=True, exist_ok=True)
        placed = []
        for name in GRAMINE_LIBRARIES:
            content = (self.libraries / name).read_bytes()
            (folder / GRAMINE_FOLDER / name).write_bytes(content)
            digest = hashlib.sha256(content).digest()
            placed.append(MeasuredFile(path=f"{GRAMINE_FOLDER}/{name}", sha256=digest))
        return tuple(placed)


def pal_beside(program: Path) -> Path | None:
    """Find the `libpal.so` for SGX of the installation that a starter belongs to."""
    prefix = program.resolve().parent.parent
    return next((path for pattern in _PALS for path in sorted(prefix.glob(pattern))), None)
