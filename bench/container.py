"""How fast containers are sealed and opened, each beside its like on the same bytes in the same run.

The like is `chunks.c`, which the bench compiles: the same chunks by libsodium on one thread. Beside it what
people had before: the published client's `encrypt_file` ($SEALROOM_PUBLISHED_CLIENT: a Python that has it)
and its enclave library's way of handing bytes to ctypes. Rounds take turns, so that all see the same machine;
the table has medians and best rounds, and ratios of both: above 1, we are faster. Run: `make bench`.
"""

import ctypes
import os
import random
import resource
import secrets
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from uuid import uuid4

from sealroom.client.container_memory import open_memory, seal_memory
from sealroom.client.file_sealing import open_between, seal_between
from sealroom.client.lanes import processors
from sealroom.core.sealing.container_streams import open_container, sealed_size
from sealroom.core.sealing.context import Context
from sealroom.core.sealing.keys import DataKey

SIZE = 256 << 20
LARGE = 1 << 30
CTYPES_SIZE = 4 << 20
ROUNDS = 9
READS = 300
MEGA = 1_000_000
CLIENT_VARIABLE = "SEALROOM_PUBLISHED_CLIENT"
KEY = DataKey.generate()
CONTEXT = Context.input(computation=uuid4(), owner_pk=secrets.token_bytes(32), name="bench.bin")
ENCRYPT_FILE = """
import sys, time
from pathlib import Path
from cosmian_secure_computation_client.crypto.helper import encrypt_file
started = time.perf_counter()
encrypt_file(Path(sys.argv[1]), bytes(32))
print(time.perf_counter() - started)
"""

Works = Mapping[str, Callable[[], float]]


def timed(work: Callable[[], object]) -> Callable[[], float]:
    """Make `work` return the seconds it took."""

    def run() -> float:
        started = time.perf_counter()
        work()
        return time.perf_counter() - started

    return run


def in_turns(works: Works, *, size: int, rounds: int = ROUNDS) -> None:
    """Run all works round by round, and print each with its ratio to the first, which is the like."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            taken[name].append(work())
    base = next(iter(taken.values()))
    for name, times in taken.items():
        middle, best = statistics.median(times), min(times)
        print(
            f"  {name:34} median {size / middle / MEGA:>6.0f} MB/s, best {size / best / MEGA:>6.0f}; "
            f"ratio {statistics.median(base) / middle:>6.2f}, of the best {min(base) / best:>6.2f}",
            flush=True,
        )


def compiled(folder: Path) -> Path | None:
    """Compile `chunks.c`; `None` where gcc or libsodium's headers are missing."""
    program = folder / "chunks"
    source = Path(__file__).with_name("chunks.c")
    if shutil.which("gcc") is None:
        print("  gcc is not installed: nothing to compare with in C")
        return None
    command = ["gcc", "-O3", "-o", str(program), str(source), "-lsodium"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    if done.returncode:
        print("  chunks.c does not compile: install libsodium-dev to compare with C")
        return None
    return program


def printed_seconds(*command: str | Path) -> Callable[[], float]:
    """Make a work of a program that prints its own seconds."""

    def run() -> float:
        done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - our own words
        return float(done.stdout)

    return run


def with_like(like: tuple[str, Callable[[], float]] | None, ours: Works) -> Works:
    """Put the like in front, where there is one."""
    return ({like[0]: like[1]} if like else {}) | dict(ours)


def memory(program: Path | None) -> None:
    """Compare sealing and opening in memory."""
    plain, sealed = bytearray(secrets.token_bytes(1 << 20) * (SIZE >> 20)), bytearray(sealed_size(SIZE))
    seal = timed(lambda: seal_memory(plain, sealed, key=KEY, context=CONTEXT))
    open_ = timed(lambda: open_memory(sealed, plain, key=KEY, context=CONTEXT))
    seal()
    for verb, work in (("seal", seal), ("open", open_)):
        like = ("C, one thread", printed_seconds(program, f"{verb}-memory", str(SIZE))) if program else None
        print(f"{verb} {SIZE >> 20} MiB in memory")
        in_turns(with_like(like, {f"sealroom, {processors()} lanes": work}), size=SIZE)
    print("bytes into ctypes, 4 MiB")
    raw = bytes(plain[:CTYPES_SIZE])
    ours = timed(lambda: seal_memory(raw, sealed[: sealed_size(len(raw))], key=KEY, context=CONTEXT))
    idiom = timed(lambda: (ctypes.c_ubyte * len(raw))(*raw))
    in_turns({"(c_ubyte * n)(*data), no sealing": idiom, "sealroom, sealing": ours}, size=len(raw), rounds=5)


def files(folder: Path, program: Path | None) -> None:
    """Compare sealing and opening from file to file; without waiting for the disk, on both sides."""
    plain, sealed, out = folder / "plain", folder / "sealed", folder / "out"
    block = secrets.token_bytes(1 << 20)
    with plain.open("wb") as file:
        for _ in range(SIZE >> 20):
            file.write(block)

    def between(work: Callable[..., object], source: Path, target: Path) -> Callable[[], float]:
        def run() -> None:
            with source.open("rb") as reading, target.open("wb") as writing:
                work(reading, writing, key=KEY, context=CONTEXT)

        def fresh() -> float:
            target.unlink(missing_ok=True)
            return timed(run)()

        return fresh

    def like(verb: str, source: Path) -> tuple[str, Callable[[], float]] | None:
        if program is None:
            return None
        run = printed_seconds(program, f"{verb}-file", source, out)

        def fresh() -> float:
            out.unlink(missing_ok=True)
            return run()

        return "C, one thread", fresh

    name = f"sealroom, {processors()} lanes"
    print(f"seal {SIZE >> 20} MiB from file to file")
    in_turns(with_like(like("seal", plain), {name: between(seal_between, plain, sealed)}), size=SIZE)
    by_c = folder / "by-c"
    if program is not None:
        printed_seconds(program, "seal-file", plain, by_c)()
    print(f"open {SIZE >> 20} MiB from file to file")
    in_turns(with_like(like("open", by_c), {name: between(open_between, sealed, folder / "back")}), size=SIZE)
    published_client(plain, between(seal_between, plain, sealed))


def published_client(plain: Path, ours: Callable[[], float]) -> None:
    """Compare with the published client's `encrypt_file`, in a Python of its own."""
    python = os.environ.get(CLIENT_VARIABLE)
    if not python:
        print(f"  the published client is left out: set ${CLIENT_VARIABLE} to a Python that has it")
        return
    print(f"encrypt {SIZE >> 20} MiB as the published client does")
    theirs = printed_seconds(python, "-c", ENCRYPT_FILE, plain)
    in_turns({"published client, encrypt_file": theirs, "sealroom": ours}, size=SIZE, rounds=3)


def random_reads(folder: Path) -> None:
    """Read 1 MiB at unaligned places of a container of 1 GiB that the page cache holds."""
    plain, sealed = folder / "plain", folder / "sealed"
    for path in folder.iterdir():
        if path.name != "chunks":
            path.unlink()
    with plain.open("wb") as file:
        file.truncate(LARGE)
    with plain.open("rb") as reading, sealed.open("wb") as writing:
        seal_between(reading, writing, key=KEY, context=CONTEXT)
    window, choose = memoryview(bytearray(1 << 20)), random.Random(1)  # noqa: S311 - places to read at
    taken = []
    with sealed.open("rb", buffering=0) as source, open_container(source, key=KEY, context=CONTEXT) as reader:  # type: ignore[arg-type]
        for _ in range(READS):
            place = choose.randrange(LARGE - len(window))
            started = time.perf_counter()
            reader.seek(place)
            done = 0
            while done < len(window):
                done += reader.readinto(window[done:])
            taken.append(time.perf_counter() - started)
    middle, worst = statistics.median(taken) * 1e3, statistics.quantiles(taken, n=20)[-1] * 1e3
    print(f"read 1 MiB at {READS} random places of a container of 1 GiB, page cache warm")
    print(f"  median {middle:.2f} ms, 95 of 100 under {worst:.2f} ms; aim: median under 3 ms")


def main() -> int:
    """Print the tables."""
    print(f"containers; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    with tempfile.TemporaryDirectory(dir=os.environ.get("SEALROOM_BENCH_FOLDER")) as name:
        folder = Path(name)
        program = compiled(folder)
        files(folder, program)
        random_reads(folder)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(f"  peak resident so far, all files streamed: {peak} MiB")
        memory(program)
    return 0
