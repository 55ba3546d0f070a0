"""The examples with packages: scikit-learn, DuckDB and pandas inside, each as its users use it.

Their wheels are downloaded the first time, by the hashes of each example's lock.
"""

import csv
import io
import json
from pathlib import Path

import pytest
from example_runner import EXAMPLES, play
from platform_world import World

from sealroom.insecure.landlock import landlock_version

pytestmark = pytest.mark.e2e


@pytest.mark.slow
def test_a_table_is_scored_with_a_secret_model(world: World) -> None:
    table = b"customer,age,income,late\nann,30,2.5,0\nbob,55,1,3\n"
    scores = play(world, "scoring", [{"customers.csv": table}])["scores.csv"]
    found = {row["customer"]: float(row["score"]) for row in csv.DictReader(io.StringIO(scores.decode()))}
    assert found == {"ann": pytest.approx(0.161, abs=0.001), "bob": pytest.approx(0.966, abs=0.001)}


@pytest.mark.slow
def test_two_parquet_files_are_joined_with_duckdb(world: World, tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect() as database:
        for name, query in (
            ("people", "select range as person, range % 3 as region from range(30)"),
            ("payments", "select range as person, range * 1.5 as amount from range(20)"),
        ):
            database.execute(f"copy ({query}) to '{tmp_path / name}.parquet' (format parquet)")
    inputs = [
        {f"{name}.parquet": (tmp_path / f"{name}.parquet").read_bytes()} for name in ("people", "payments")
    ]
    joined = play(world, "join", inputs)["by-region.csv"].decode()
    assert joined.splitlines() == ["region,people,mean", "0,7,13.50", "1,7,15.00", "2,6,14.25"]


COPIES_OUT = """
import duckdb
from sealroom.enclave import Enclave

FOLDERS = ["/sealroom/code", "/sealroom/lib", "/runtime", "/"]
FOLDERS += [f"/sealroom/spool{part}" for part in ("", "/inbox", "/results", "/results/0")]
FOLDERS += ["/sealroom/attestation"]
with Enclave() as enclave, duckdb.connect() as database:
    said = []
    for folder in FOLDERS:
        place = f"{folder}/out.csv"
        try:
            database.execute(f"copy (select 'canary') to '{place}'")
            said.append(f"{place}: written")
        except duckdb.Error as error:
            said.append(f"{place}: {type(error).__name__}")
    enclave.write("\\n".join(said).encode(), name="said")
"""


@pytest.mark.slow
@pytest.mark.skipif(not landlock_version(), reason="this kernel has no Landlock of version 2")
def test_duckdb_copies_nothing_to_the_host(world: World, tmp_path: Path) -> None:
    code = tmp_path / "copying"
    code.mkdir()
    (code / "run.py").write_text(COPIES_OUT)
    for name in ("requirements.in", "requirements.txt"):
        (code / name).write_text((EXAMPLES / "join" / "code" / name).read_text())
    said = play(world, "copying", [{"x.csv": b"1"}], code=code)["said"].decode().splitlines()
    assert len(said) == 9
    assert [line for line in said if line.endswith(": written")] == []


@pytest.mark.slow
def test_a_logistic_regression_over_two_hospitals_is_that_of_the_pooled_table(world: World) -> None:
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    features, labels = load_breast_cancer(return_X_y=True)
    rows = [[*row, label] for row, label in zip(features[:, :6].tolist(), labels.tolist(), strict=True)]
    header = ",".join([*(f"x{number}" for number in range(6)), "benign"])
    tables = [
        "\n".join([header, *(",".join(map(repr, row)) for row in half), ""]).encode()
        for half in (rows[:300], rows[300:])
    ]
    model = json.loads(play(world, "logistic", [{"a.csv": tables[0]}, {"b.csv": tables[1]}])["model.json"])
    scaled = StandardScaler().fit_transform(features[:, :6])
    expected = LogisticRegression(solver="newton-cholesky").fit(scaled, labels)
    assert model["rows"] == len(rows)
    assert model["coefficients"] == pytest.approx(expected.coef_[0].tolist(), abs=1e-6)
    assert model["accuracy_of_folds"] > 0.9
