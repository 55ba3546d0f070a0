"""What a program imports: `Enclave`, its way to inputs and results.

`read` and `write` are those that programs for the published service expect; `inputs` and named, streamed
results are ours. Spec: docs/spec/enclave-session.md, "What a program sees".
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from types import TracebackType

from sealroom.core.sealing.chunks import Readable
from sealroom.core.sealing.container import SeekableSource
from sealroom.enclave.inputs import Input
from sealroom.enclave.outputs import Outputs

ResultData = bytes | bytearray | memoryview | SeekableSource


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
    """Set, once, the run that `Enclave` objects of this process belong to."""
    global _session
    if _session is not None:
        raise RuntimeError("enclave: a process runs one program")
    _session = session


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

    def read(self, n: int | None = None) -> Iterator[io.BytesIO]:
        """Iterate over the decrypted files of all Data Providers in their order, or of the `n`-th.

        Raises `UserError` when there is no `n`-th Data Provider.
        """
        if n is not None:
            _check_index(n, self._session.providers, "data provider")
        chosen = [file for file in self._session.inputs if n is None or file.provider == n]
        return (io.BytesIO(file.read()) for file in chosen)

    def write(self, data: ResultData, n: int | None = None, *, name: str | None = None) -> None:
        """Seal a result to all Result Consumers, or to the `n`-th, under `name`.

        `data` is bytes or a seekable binary file, which is read to its end in constant memory. Without a name
        the results of a consumer are called `result`, `result-2` and so on. Raises `UserError` for a consumer
        or a name that cannot be, and `OSError` when the budget of the computation is used up: the run then
        ends as `limit`, whatever the program does.
        """
        outputs = self._session.outputs
        if n is not None:
            _check_index(n, outputs.consumers, "result consumer")
        source = _repeatable(data)
        for consumer in range(outputs.consumers) if n is None else (n,):
            try:
                outputs.write(source(), consumer=consumer, name=name)
            except ValueError as exc:
                raise UserError(str(exc)) from exc


def _repeatable(data: ResultData) -> Callable[[], Readable]:
    """Return what gives the same content again for each consumer."""
    if isinstance(data, io.BytesIO):
        # As programs for the published service expect: all of it, wherever it was left.
        data = data.getvalue()
    if isinstance(data, bytes | bytearray | memoryview):
        content = bytes(data)
        return lambda: io.BytesIO(content)
    if not callable(getattr(data, "readinto", None)) or not callable(getattr(data, "seek", None)):
        raise UserError("result: expected bytes or a seekable binary file")
    file: SeekableSource = data
    start = file.seek(0, io.SEEK_CUR)

    def again() -> Readable:
        file.seek(start)
        return file

    return again


def _check_index(n: int, count: int, what: str) -> None:
    if not 0 <= n < count:
        raise UserError(f"{what} {n}: there are {count}, counted from 0")
