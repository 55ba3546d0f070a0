"""The clinical table of the demonstration, and the same training in the open.

The Wisconsin diagnostic breast cancer data as scikit-learn ships it: 569 patients, 30 measurements, the
diagnosis (1 is benign). Two hospitals hold disjoint halves: the odd and the even rows.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

TEST_EVERY = 5


def hospital_tables() -> tuple[bytes, bytes]:
    """Return the two hospitals' CSV files."""
    from sklearn.datasets import load_breast_cancer

    table = load_breast_cancer()
    header = [name.replace(" ", "_") for name in table.feature_names] + ["diagnosis"]
    rows = [
        [*map(repr, map(float, row)), str(label)] for row, label in zip(table.data, table.target, strict=True)
    ]
    return _as_csv(header, rows[0::2]), _as_csv(header, rows[1::2])


def _as_csv(header: list[str], rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue().encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenModel:
    """What scikit-learn makes of the pooled table, in the open."""

    coefficients: dict[str, float]
    intercept: float


def train_in_the_open(tables: tuple[bytes, ...]) -> OpenModel:
    """Train scikit-learn's own logistic regression on the pooled training rows."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    names = tables[0].decode().splitlines()[0].split(",")[:-1]
    training = np.vstack([_training_rows(table) for table in tables])
    features = StandardScaler().fit_transform(training[:, :-1])
    model = LogisticRegression(C=1.0, solver="newton-cholesky", tol=1e-10).fit(features, training[:, -1])
    return OpenModel(
        coefficients=dict(zip(names, map(float, model.coef_[0]), strict=True)),
        intercept=float(model.intercept_[0]),
    )


def _training_rows(table: bytes) -> np.ndarray:
    import numpy as np

    values = np.loadtxt(io.BytesIO(table), delimiter=",", skiprows=1)
    return values[np.arange(len(values)) % TEST_EVERY != TEST_EVERY - 1]


def largest_difference(coefficients: dict[str, float], intercept: float, model: OpenModel) -> float:
    """Return the largest distance of any coefficient or the intercept from the model trained in the open."""
    if coefficients.keys() != model.coefficients.keys():
        raise ValueError("the two models have different columns")
    distances = [abs(coefficients[name] - value) for name, value in model.coefficients.items()]
    return max([*distances, abs(intercept - model.intercept)])
