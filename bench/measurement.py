"""How fast enclaves are measured and files hashed, beside plain SHA-256 and Gramine's own signer.

*Measuring*: `sealroom measure` as a whole process, beside a Python that does nothing but hash as many bytes,
and beside gramine-sgx-sign of Gramine 1.9: in this run where it is installed, else the figures that were seen
once on another machine. *Hashing*: a tree of 5,000 files, page cache warm, beside SHA-256 over as many bytes
in memory on as many threads as there are cores. Medians; below 1 is faster than what it stands beside.
"""

import hashlib
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sealroom.adapters.hashing import hash_files
from sealroom.core.measurement.expansion import with_defaults
from sealroom.core.measurement.layout import Region
from sealroom.core.measurement.manifest import TomlValue, write_manifest
from sealroom.core.measurement.mrenclave import measure
from sealroom.core.measurement.signing_key import new_enclave_signing_key
from sealroom.insecure.synthetic_pal import synthetic_pal

ROUNDS = 7
FILES = 5000
_RECORD, _PAGE_RECORDS, _PAGE = 64, 64 + 16 * 320, 4096
_BLOCK = 1 << 20
_PLAIN = (
    "import hashlib,sys\nh=hashlib.sha256();b=bytes(1<<20)\nfor _ in range(int(sys.argv[1])>>20):h.update(b)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One enclave; `seen` are the seconds that gramine-sgx-sign took for it once."""

    name: str
    size: str
    threads: int
    files: int = 0
    seen: float


CASES = (
    Case(name="256M, 4 threads", size="256M", threads=4, seen=0.30),
    Case(name="4G, 256 threads", size="4G", threads=256, seen=0.79),
    Case(name="16G, 128 threads", size="16G", threads=128, seen=1.49),
    Case(name="16G, 4,644 files", size="16G", threads=16, files=4644, seen=2.07),
    Case(name="64G, 16 threads", size="64G", threads=16, seen=4.40),
)


def manifest_of(case: Case) -> bytes:
    """Return a signed manifest of that size."""
    rows: list[TomlValue] = [
        {"uri": f"file:/usr/lib/python3/folder/file-{number}.py", "sha256": f"{number:064x}"}
        for number in range(case.files)
    ]
    settings = {"enclave_size": case.size, "max_threads": case.threads, "trusted_files": rows}
    entry = {"uri": "file:/libos", "sha256": "0" * 64}
    return write_manifest(
        with_defaults({"loader": {"entrypoint": entry}, "fs": {"mounts": []}, "sgx": settings})
    )


def hashed_bytes(regions: Sequence[Region]) -> int:
    """Return how many bytes go through SHA-256 for these regions."""
    return sum(r.size // _PAGE * (_PAGE_RECORDS if r.measured else _RECORD) for r in regions)


def medians(works: dict[str, Callable[[], object]], rounds: int = ROUNDS) -> dict[str, float]:
    """Give the median seconds of each, in turns so that all see the same machine."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            started = time.perf_counter()
            work()
            times[name].append(time.perf_counter() - started)
    return {name: statistics.median(taken) for name, taken in times.items()}


def measuring(folder: Path) -> None:
    """Print the table of whole processes."""
    signer = shutil.which("gramine-sgx-sign")
    pal, key = folder / "pal", folder / "key.pem"
    pal.write_bytes(synthetic_pal())
    key.write_bytes(new_enclave_signing_key().to_pem(passphrase=None))
    beside = "gramine-sgx-sign" if signer else "gramine-sgx-sign*"
    print(f"{'measuring':20} {'sealroom':>9} {'sha256':>9} {'ratio':>6} {beside:>18} {'times':>6}")
    for case in CASES:
        path = folder / "x.manifest.sgx"
        path.write_bytes(manifest_of(case))
        total = hashed_bytes(measure(path.read_bytes(), pal.read_bytes()).regions)
        works: dict[str, Callable[[], object]] = {
            "ours": _process(_sealroom(), "measure", "--manifest", str(path), "--pal", str(pal)),
            "plain": _process(sys.executable, "-I", "-c", _PLAIN, str(total)),
        }
        if signer:
            words = ("-q", "-m", str(path), "-o", str(folder / "out"), "-s", str(folder / "sig"))
            works["theirs"] = _process(signer, *words, "-k", str(key), "-l", str(pal))
        taken = medians(works)
        ours, plain, theirs = taken["ours"], taken["plain"], taken.get("theirs", case.seen)
        print(f"{case.name:20} {ours * 1e3:>6.0f} ms {plain * 1e3:>6.0f} ms {ours / plain:>6.2f}", end="")
        print(f" {theirs * 1e3:>15.0f} ms {theirs / ours:>5.1f}x", flush=True)
    if not signer:
        print("* not installed here: seen once, on another machine with two cores")


def _sealroom() -> str:
    return str(Path(sys.executable).with_name("sealroom"))


def _process(*words: str) -> Callable[[], object]:
    return lambda: subprocess.run(words, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own words


def hashing(folder: Path) -> None:
    """Print the table of a tree of files."""
    chance = random.Random(5)  # noqa: S311 - sizes, not secrets
    paths = [folder / f"{number // 100}" / str(number) for number in range(FILES)]
    contents = [chance.randbytes(min(1 << 21, int(chance.lognormvariate(9, 1.3)))) for _ in paths]
    for path, content in zip(paths, contents, strict=True):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    cores = os.cpu_count() or 1
    joined = memoryview(b"".join(contents))
    share = len(joined) // cores + 1
    parts = [joined[start : start + share] for start in range(0, len(joined), share)]

    def limit() -> None:
        with ThreadPoolExecutor(cores) as pool:
            list(pool.map(_hash_memory, parts))

    works: dict[str, Callable[[], object]] = {
        "hash_files": lambda: hash_files(paths),
        "one thread, file_digest": lambda: [_hash_file(path) for path in paths],
        f"SHA-256 in memory, {cores} threads": limit,
    }
    taken = medians(works)
    base = taken[f"SHA-256 in memory, {cores} threads"]
    megabytes = len(joined) / 1e6
    print(f"hashing {FILES} files, {megabytes:.0f} MB")
    for name, seconds in taken.items():
        print(f"  {name:32} {seconds * 1e3:>6.0f} ms {megabytes / seconds:>6.0f} MB/s {seconds / base:>6.2f}")


def _hash_memory(part: memoryview) -> None:
    digest = hashlib.sha256()
    for start in range(0, len(part), _BLOCK):
        digest.update(part[start : start + _BLOCK])


def _hash_file(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def main() -> int:
    """Print both tables."""
    with tempfile.TemporaryDirectory() as folder:
        measuring(Path(folder))
        hashing(Path(folder))
    return 0
