"""Call the scoring service from Python: `python call.py https://HOST:PORT evidence.json scoring.package`.

The evidence is verified against the package at home; then every connection must prove that it ends in that
enclave, before a byte about the applicant is sent. `--insecure-accept-simulated` is for trying it.
"""

import sys
from pathlib import Path

from sealroom.client import connect, load_policy


def main(url: str, evidence: str, package: str, *options: str) -> None:
    """Score one applicant."""
    with connect(
        url,
        policy=load_policy("up-to-date"),
        evidence=Path(evidence).read_bytes(),
        package=Path(package),
        insecure_accept_simulated="--insecure-accept-simulated" in options,
    ) as service:
        answer = service.post("/score", json={"age": 40, "income": 3.0, "late_payments": 1})
        answer.raise_for_status()
        print(answer.json()["score"])


if __name__ == "__main__":
    main(*sys.argv[1:])
