"""L2-penalised logistic regression by Newton's method.

The objective is scikit-learn's: |w|^2 / 2 + C * sum of log-losses, intercept not penalised, C = 1. Columns
are standardised with the mean and standard deviation of all training rows together. Every fifth row of each
table is kept for the test.
"""

import csv
import io

import numpy as np

TEST_EVERY = 5
PENALTY_C = 1.0
TOLERANCE = 1e-10
MAX_STEPS = 100


def train(tables: list[bytes]) -> dict[str, object]:
    """Fit the model on every table; `diagnosis` is the last column, 1 for benign."""
    columns, training, test = split(tables)
    mean, deviation = training[:, :-1].mean(axis=0), training[:, :-1].std(axis=0)
    weights, steps = newton((training[:, :-1] - mean) / deviation, training[:, -1])
    scores = ((test[:, :-1] - mean) / deviation) @ weights[:-1] + weights[-1]
    return {
        "coefficients": dict(zip(columns[:-1], weights[:-1].tolist(), strict=True)),
        "intercept": float(weights[-1]),
        "iterations": steps,
        "training_rows": len(training),
        "test": test_report(scores, test[:, -1]),
    }


def split(tables: list[bytes]) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return the column names, the training rows and the test rows of all tables."""
    names: list[str] | None = None
    training, test = [], []
    for table in tables:
        header, *rows = csv.reader(io.StringIO(table.decode()))
        if names not in (None, header):
            raise ValueError("the tables have different columns")
        names = header
        values = np.array(rows, dtype=float)
        held_out = np.arange(len(values)) % TEST_EVERY == TEST_EVERY - 1
        training.append(values[~held_out])
        test.append(values[held_out])
    if names is None:
        raise ValueError("there is no table")
    return names, np.vstack(training), np.vstack(test)


def newton(features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, int]:
    """Minimise the penalised loss; the last weight is the intercept."""
    design = np.hstack([features, np.ones((len(features), 1))])
    penalty = np.diag([1.0] * features.shape[1] + [0.0])
    weights = np.zeros(design.shape[1])
    for step in range(1, MAX_STEPS + 1):
        probability = 1 / (1 + np.exp(-design @ weights))
        gradient = PENALTY_C * design.T @ (probability - labels) + penalty @ weights
        if np.abs(gradient).max() < TOLERANCE * len(labels):
            return weights, step - 1
        curvature = PENALTY_C * (design.T * (probability * (1 - probability))) @ design + penalty
        weights = weights - np.linalg.solve(curvature, gradient)
    raise ArithmeticError("Newton's method did not converge")


def test_report(scores: np.ndarray, labels: np.ndarray) -> dict[str, object]:
    """Count hits and misses at probability one half, and the area under the ROC curve."""
    predicted = scores > 0
    positive, negative = scores[labels == 1], scores[labels == 0]
    pairs = positive[:, None] - negative[None, :]
    return {
        "rows": len(labels),
        "true_benign": int((predicted & (labels == 1)).sum()),
        "false_benign": int((predicted & (labels == 0)).sum()),
        "true_malignant": int((~predicted & (labels == 0)).sum()),
        "false_malignant": int((~predicted & (labels == 1)).sum()),
        "accuracy": float((predicted == (labels == 1)).mean()),
        "area_under_roc": float((pairs > 0).mean() + (pairs == 0).mean() / 2),
    }
