"""Scores applications for credit with a model whose weights nobody but the enclave and its provider sees."""

import json
import math
from pathlib import Path

from fastapi import FastAPI
from pydantic import BaseModel, Field

# Travels encrypted beside this file, and is opened inside the enclave alone.
MODEL = json.loads(Path(__file__).with_name("weights.json").read_text())

app = FastAPI(title="Scoring", docs_url=None, redoc_url=None, openapi_url=None)


class Applicant(BaseModel):
    """What a caller sends of one person; nothing of it is kept."""

    age: int = Field(ge=18, le=120)
    income: float = Field(ge=0)
    late_payments: int = Field(ge=0, le=100)


class Score(BaseModel):
    """How likely it is that the person pays late, from 0 to 1."""

    score: float


@app.get("/health")
def health() -> dict[str, bool]:
    """Say that the service is well."""
    return {"healthy": True}


@app.post("/score")
def score(applicant: Applicant) -> Score:
    """Return the score of one applicant."""
    values = applicant.model_dump()
    linear = MODEL["intercept"] + sum(weight * values[name] for name, weight in MODEL["weights"].items())
    return Score(score=round(1 / (1 + math.exp(-linear)), 4))
