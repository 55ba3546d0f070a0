"""What is kept of what enclaves print: the start of a run, the end of a service."""

import os
import threading
from pathlib import Path

from sealroom.adapters.enclave_process import former_console, keep_console


def kept(tmp_path: Path, content: bytes, *, serves: bool) -> tuple[bytes, bytes]:
    path = tmp_path / "console.log"
    reader, writer = os.pipe()
    keeper = threading.Thread(target=keep_console, args=(reader, path), kwargs={"serves": serves})
    keeper.start()
    with os.fdopen(writer, "wb") as console:
        console.write(content)
    keeper.join()
    former = former_console(path)
    return former.read_bytes() if former.exists() else b"", path.read_bytes() if path.exists() else b""


def test_of_a_run_the_start_is_kept(tmp_path: Path) -> None:
    content = bytes(range(256)) * 1024
    assert kept(tmp_path, content, serves=False) == (b"", content[: 64 * 1024])


def test_of_a_service_the_end_is_kept_in_two_files_of_a_mebibyte(tmp_path: Path) -> None:
    content = b"".join(b"line %09d\n" % number for number in range(400_000))
    former, last = kept(tmp_path, content, serves=True)
    assert content.endswith(former + last)
    assert 1 << 20 >= len(former) > (1 << 20) - 4096
    assert 0 < len(last) <= 1 << 20


def test_a_service_that_prints_little_has_one_file(tmp_path: Path) -> None:
    assert kept(tmp_path, b"hello\n", serves=True) == (b"", b"hello\n")
