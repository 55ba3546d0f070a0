"""What a program imports: `Enclave`, its way to inputs and results.

`read` and `write` are those that programs for the published service expect; named inputs and streamed results
are ours. Spec: docs/spec/enclave-session.md, "What a program sees".
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from sealroom.core.sealing.chunks import Readable
from sealroom.enclave.inputs import Input
from sealroom.enclave.output_stream import OutputStream
from sealroom.enclave.outputs import Outputs

if TYPE_CHECKING:
    from sealroom.enclave.inputs_filesystem import InputsFileSystem

ResultData = bytes | bytearray | memoryview | Readable

_COPY_BLOCK = 1 << 18


class UserError(ValueError):
    """The program asked for a provider, a consumer or a name that there is none of."""


class Session:
    """The one run of this process, as far as its program may see it."""

    __slots__ = ("inputs", "open_code_file", "outputs", "providers")

    def __init__(
        self,
        *,
        inputs: tuple[Input, ...],
        outputs: Outputs,
        providers: int,
        open_code_file: Callable[[str], io.BufferedReader],
    ) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.providers = providers
        self.open_code_file = open_code_file


_session: Session | None = None


def attach(session: Session) -> None:
    """Set, once, the run that `Enclave` objects of this process belong to, and the library's other name."""
    global _session
    if _session is not None:
        raise RuntimeError("enclave: a process runs one program")
    _session = session
    from sealroom.enclave import cosmian_lib_sgx

    sys.modules["cosmian_lib_sgx"] = cosmian_lib_sgx


class Enclave:
    """The run, seen from inside: `with Enclave() as enclave:`."""

    def __init__(self) -> None:
        if _session is None:
            raise RuntimeError("enclave: there is none in this process")
        self._session = _session

    def __enter__(self) -> Enclave:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do nothing: a result is complete when `write` returns."""

    @property
    def inputs(self) -> tuple[Input, ...]:
        """Every input file, in the order of the providers and of each provider's files."""
        return self._session.inputs

    def open_code_file(self, path: str | os.PathLike[str]) -> io.BufferedReader:
        """Open a file of the code archive, such as a model or a table, for reading at any place.

        `path` is its path in the archive, or that beside a `__file__`. It is decrypted while it is read: no
        copy of it is made. Raises `FileNotFoundError` when the archive has no such file.
        """
        return self._session.open_code_file(os.fspath(path))

    def filesystem(self) -> InputsFileSystem:
        """Return the inputs as an fsspec file system, `inputs://<provider>/<name>`, for DuckDB and pyarrow.

        Raises `ModuleNotFoundError` when the program's packages do not have fsspec.
        """
        from sealroom.enclave.inputs_filesystem import InputsFileSystem

        return InputsFileSystem(self._session.inputs, providers=self._session.providers)

    def read(self, n: int | None = None) -> Iterator[io.BytesIO]:
        """Iterate over the decrypted files of all Data Providers in their order, or of the `n`-th.

        Raises `UserError` when there is no `n`-th Data Provider.
        """
        if n is not None:
            _check_index(n, self._session.providers, "data provider")
        chosen = [file for file in self._session.inputs if n is None or file.provider == n]
        return (file.read_to_memory() for file in chosen)

    def output(self, name: str, n: int | None = None) -> OutputStream:
        """Begin a result under `name` for all Result Consumers, or for the `n`-th, to be written in pieces.

        Use it as `with enclave.output("model.bin") as out: out.write(...)`: the result is complete at the end
        of the block, and discarded when the block ends in an exception. Raises `UserError` for a consumer
        or a name that cannot be, and `OSError` when the budget of the computation is used up: the run then
        ends as `limit`, whatever the program does.
        """
        return self._begin(name, n)

    def write(self, data: ResultData, n: int | None = None, *, name: str | None = None) -> None:
        """Seal a result to all Result Consumers, or to the `n`-th, under `name`.

        `data` is bytes or a binary file, which is read to its end in constant memory. Without a name the
        results of a consumer are called `result`, `result-2` and so on. Raises what `output` does.
        """
        if isinstance(data, io.BytesIO):
            # All of it, wherever it was left: who filled one and did not rewind it means all of it.
            data = data.getvalue()
        if not isinstance(data, bytes | bytearray | memoryview) and not hasattr(data, "readinto"):
            raise UserError("result: expected bytes or a binary file")
        with self._begin(name, n) as out:
            if isinstance(data, bytes | bytearray | memoryview):
                out.write(data)
            else:
                _copy(data, out)

    def _begin(self, name: str | None, n: int | None) -> OutputStream:
        outputs = self._session.outputs
        consumers: Sequence[int] = range(outputs.consumers)
        if n is not None:
            _check_index(n, outputs.consumers, "result consumer")
            consumers = (n,)
        try:
            return OutputStream(outputs, outputs.open(name, consumers=consumers))
        except ValueError as exc:
            raise UserError(str(exc)) from exc


def _copy(source: Readable, out: OutputStream) -> None:
    block = memoryview(bytearray(_COPY_BLOCK))
    while got := source.readinto(block):
        out.write(block[:got])
    if got is None:
        raise UserError("result: the file is in non-blocking mode")


def _check_index(n: int, count: int, what: str) -> None:
    if not 0 <= n < count:
        raise UserError(f"{what} {n}: there are {count}, counted from 0")
