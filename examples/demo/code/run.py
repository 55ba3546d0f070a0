"""Train one model on the records of all hospitals together.

This file stays readable: every participant can see that records go into `training.train` and that only the
result of it leaves. How the model is trained is the Code Provider's secret, in `training.py`.
"""

import json

from training import train

from sealroom.enclave import Enclave


def main() -> int:
    with Enclave() as enclave:
        tables = [table.read() for table in enclave.read()]
        print(f"{len(tables)} tables, {sum(map(len, tables))} bytes")
        report = train(tables)
        print(f"converged after {report['iterations']} Newton steps")
        enclave.write(json.dumps(report, indent=1).encode(), name="model.json")
    return 0


if __name__ == "__main__":
    main()
