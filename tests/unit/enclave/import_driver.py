"""Runs programs through the import hook, each in a process of its own: `import_driver.py FOLDER` reads JSON.

Standard input is `{name: {path: text}}`; standard output is `{name: what the program printed}`. Every file
but the readable ones is sealed first and found by the importer as in an enclave. Where `__file__` names a
place there is nothing.
"""

import contextlib
import io
import json
import os
import sys
import tempfile
import traceback
from pathlib import Path
from uuid import UUID

from sealroom.core.sealing.container_streams import seal_stream
from sealroom.core.sealing.context import Context
from sealroom.core.sealing.keys import DataKey
from sealroom.core.wire.byte_fields import sha256
from sealroom.core.wire.code_list import CLEAR_PATHS
from sealroom.core.wire.terms import ENTRY
from sealroom.enclave import program_api
from sealroom.enclave.importer import Importer, main_module
from sealroom.enclave.messages import HostFolder
from sealroom.enclave.program_code import ProgramCode
from sealroom.enclave.sealed_files import Checking, SealedFile, check_sealed_file

COMPUTATION = UUID("6d1c2f0e-7f5c-4b52-9d5e-0c4f2d5b8a11")
OWNER = bytes(32)


def main() -> None:
    base, printed = Path(sys.argv[1]), {}
    for name, files in json.load(sys.stdin).items():
        folder = base / sha256(name.encode()).hex()[:8]
        with tempfile.TemporaryFile() as output:
            child = os.fork()
            if child == 0:
                os.dup2(output.fileno(), 1)
                os.dup2(output.fileno(), 2)
                with contextlib.suppress(BaseException):
                    run(seal_all(folder / "code", files), folder / "program")
                sys.stdout.flush()
                os._exit(0)
            os.waitpid(child, 0)
            output.seek(0)
            shown = output.read().decode()
        assert not (folder / "program").exists()
        printed[name] = shown.replace(str(folder / "program"), "ROOT")
    json.dump(printed, sys.stdout)


def seal_all(folder: Path, files: dict[str, str]) -> ProgramCode:
    clear, sealed = {}, {}
    for path, text in files.items():
        raw = text.encode("latin-1" if "latin-1" in text else "utf-8")
        if path in CLEAR_PATHS:
            clear[path] = raw
        else:
            sealed[path] = seal(folder, path, raw)
    return ProgramCode(clear=clear, sealed=sealed)


def seal(folder: Path, path: str, raw: bytes) -> SealedFile:
    key = DataKey.from_bytes(b"k" * 32)
    context = Context.code(computation=COMPUTATION, owner_pk=OWNER, path=path)
    sink = io.BytesIO()
    seal_stream(io.BytesIO(raw), sink, key=key, context=context, chunk_log2=12)
    place = folder / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(sink.getvalue())
    digest = sha256(sink.getvalue())
    return check_sealed_file(
        HostFolder(folder),
        path,
        size=len(sink.getvalue()),
        sha256=digest,
        key=key,
        context=context,
        checking=Checking(lambda: None),
    )


def run(code: ProgramCode, root: Path) -> None:
    """Do what `sealroom.enclave.program` does around a program, without a run to finish."""
    importer = Importer(code, str(root))
    program_api.attach(
        program_api.Session(inputs=(), outputs=None, providers=0, open_code_file=importer.open_file)  # type: ignore[arg-type]
    )
    # The folder of this driver stands where the fixed folders of an enclave come first.
    del sys.path[0]
    os.chdir("/")
    importer.install()
    module = main_module(importer)
    sys.modules["__main__"] = module
    try:
        exec(importer.load_code(ENTRY), vars(module))
    except BaseException as error:
        assert error.__traceback__ is not None
        traceback.print_exception(error.with_traceback(error.__traceback__.tb_next))


if __name__ == "__main__":
    main()
