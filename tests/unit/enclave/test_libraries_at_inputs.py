"""What Code Providers use, on inputs and results: how much of a file each library has decrypted.

These libraries take seconds to import, and only here.
"""

import importlib
import io
from pathlib import Path
from types import ModuleType

import pytest
from input_files import make_input
from test_output_streams import Shelves

from sealroom.enclave.inputs import Input, InputError
from sealroom.enclave.inputs_filesystem import InputsFileSystem

pytestmark = pytest.mark.e2e

ROWS = 50_000
COLUMNS = 12
LOG2 = 14
QUERY = "select sum(c3) from 'inputs://0/table.parquet'"


@pytest.fixture(scope="module")
def pa() -> ModuleType:
    return importlib.import_module("pyarrow")


@pytest.fixture(scope="module")
def duckdb() -> ModuleType:
    return importlib.import_module("duckdb")


@pytest.fixture(scope="module")
def pandas() -> ModuleType:
    return importlib.import_module("pandas")


@pytest.fixture(scope="module")
def polars() -> ModuleType:
    return importlib.import_module("polars")


@pytest.fixture(scope="module")
def content(pa: ModuleType) -> bytes:
    """A table of columns that hardly compress, in ten groups of rows."""
    import pyarrow.parquet

    columns = {f"c{n}": [(row * 7919 + n * 31) % 999_983 for row in range(ROWS)] for n in range(COLUMNS)}
    sink = io.BytesIO()
    pyarrow.parquet.write_table(
        pa.table(columns), sink, row_group_size=ROWS // 10, use_dictionary=False, compression="none"
    )
    return sink.getvalue()


@pytest.fixture
def table(tmp_path: Path, content: bytes) -> Input:
    return make_input(tmp_path, content, name="table.parquet", chunk_log2=LOG2)


@pytest.fixture
def lines(tmp_path: Path) -> Input:
    text = "a,b\n" + "".join(f"{row},{row * 2}\n" for row in range(ROWS))
    return make_input(tmp_path, text.encode(), name="table.csv", chunk_log2=LOG2)


def chunks(table: Input) -> int:
    return -(-table.size // (1 << LOG2))


def expected_sum() -> int:
    return sum((row * 7919 + 3 * 31) % 999_983 for row in range(ROWS))


def test_pyarrow_has_the_columns_decrypted_that_it_reads(table: Input, pa: ModuleType) -> None:
    import pyarrow.parquet

    with table.open() as reader:
        read = pyarrow.parquet.read_table(reader, columns=["c3"])
        assert sum(read["c3"].to_pylist()) == expected_sum()
        assert reader.chunks_read < chunks(table) / 3


def test_pyarrow_has_the_row_groups_decrypted_that_it_reads(table: Input, pa: ModuleType) -> None:
    import pyarrow.parquet

    with table.open() as reader:
        assert pyarrow.parquet.ParquetFile(reader).read_row_group(4).num_rows == ROWS // 10
        assert reader.chunks_read < chunks(table) / 5


def test_pandas_has_the_columns_decrypted_that_it_reads(
    table: Input, pandas: ModuleType, pa: ModuleType
) -> None:
    with table.open() as reader:
        assert int(pandas.read_parquet(reader, columns=["c3"])["c3"].sum()) == expected_sum()
        assert reader.chunks_read < chunks(table) / 3


def test_pandas_reads_csv_and_its_beginning_alone(lines: Input, pandas: ModuleType) -> None:
    with lines.open() as reader:
        assert int(pandas.read_csv(reader)["b"].sum()) == ROWS * (ROWS - 1)
    with lines.open() as reader:
        assert len(pandas.read_csv(reader, nrows=5)) == 5
        assert reader.chunks_read < chunks(lines)


def test_duckdb_has_the_columns_decrypted_that_it_reads(table: Input, duckdb: ModuleType) -> None:
    connection = duckdb.connect()
    connection.register_filesystem(InputsFileSystem([table], providers=1))
    assert connection.execute(QUERY).fetchone() == (expected_sum(),)
    assert table.chunks_read < chunks(table) / 3


def test_duckdb_reads_one_file_from_many_threads_and_is_right_each_time(
    table: Input, duckdb: ModuleType
) -> None:
    """It moves and reads one Python file from all of them without a lock."""
    connection = duckdb.connect(config={"threads": 6})
    connection.register_filesystem(InputsFileSystem([table], providers=1))
    assert {connection.execute(QUERY).fetchone() for _ in range(50)} == {(expected_sum(),)}


def test_duckdb_reads_csv_and_joins_two_providers(
    tmp_path: Path, table: Input, lines: Input, duckdb: ModuleType
) -> None:
    other = make_input(tmp_path, b"a,name\n3,three\n5,five\n", name="names.csv", provider=1)
    connection = duckdb.connect()
    connection.register_filesystem(InputsFileSystem([table, lines, other], providers=2))
    joined = connection.execute(
        "select name, b from 'inputs://0/table.csv' join 'inputs://1/names.csv' using (a) order by b"
    )
    assert joined.fetchall() == [("three", 6), ("five", 10)]


def test_a_file_that_the_host_changed_fails_the_query(
    tmp_path: Path, table: Input, duckdb: ModuleType, pa: ModuleType
) -> None:
    import pyarrow.parquet

    place = tmp_path / "0-table.parquet"
    raw = bytearray(place.read_bytes())
    for chunk in range(76, len(raw) - (1 << LOG2), (1 << LOG2) + 16):
        raw[chunk] ^= 1
    place.write_bytes(raw)
    connection = duckdb.connect()
    connection.register_filesystem(InputsFileSystem([table], providers=1))
    with pytest.raises(Exception, match="the host changed it"):
        connection.execute(QUERY).fetchone()
    with pytest.raises(InputError), table.open() as reader:
        pyarrow.parquet.read_table(reader)


def test_pyarrow_reads_a_dataset_through_the_file_system(table: Input, pa: ModuleType) -> None:
    import pyarrow.dataset

    found = pyarrow.dataset.dataset("0/table.parquet", filesystem=InputsFileSystem([table], providers=1))
    assert sum(found.to_table(columns=["c3"])["c3"].to_pylist()) == expected_sum()
    assert table.chunks_read < chunks(table) / 2


def test_polars_reads_and_has_the_whole_file_decrypted(
    table: Input, lines: Input, polars: ModuleType
) -> None:
    with table.open() as reader:
        assert polars.read_parquet(reader, columns=["c3"])["c3"].sum() == expected_sum()
        assert reader.chunks_read >= chunks(table)
    with lines.open() as reader:
        assert polars.read_csv(reader)["b"].sum() == ROWS * (ROWS - 1)


def test_pandas_pyarrow_and_polars_write_results(
    tmp_path: Path, pandas: ModuleType, pa: ModuleType, polars: ModuleType
) -> None:
    import pyarrow.parquet

    shelves = Shelves(tmp_path)
    frame = pandas.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "ä"]})
    with shelves.stream("pandas.csv") as out:
        frame.to_csv(out, index=False)
    with shelves.stream("pandas.parquet") as out:
        frame.to_parquet(out)
    with shelves.stream("pyarrow.parquet") as out:
        pyarrow.parquet.write_table(pa.table({"a": [1, 2, 3]}), out)
    with shelves.stream("polars.parquet") as out:
        polars.DataFrame({"a": [1, 2, 3]}).write_parquet(out)
    with shelves.stream("polars.csv") as out:
        polars.DataFrame({"a": [1, 2, 3]}).write_csv(out)
    shelves.outputs.release()
    assert shelves.open(0, 0, "pandas.csv").decode() == "a,b\n1,x\n2,y\n3,ä\n"
    assert shelves.open(0, 4, "polars.csv") == b"a\n1\n2\n3\n"
    for number, name in ((1, "pandas.parquet"), (2, "pyarrow.parquet"), (3, "polars.parquet")):
        written = io.BytesIO(shelves.open(0, number, name))
        assert pyarrow.parquet.read_table(written)["a"].to_pylist() == [1, 2, 3]
