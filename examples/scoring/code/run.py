"""Score a table of customers with a model that nobody else may see; their owner gets the scores.

The weights lie in `model/weights.csv`, a sealed file of the program's archive.
"""

import numpy as np
import pandas as pd

from sealroom.enclave import Enclave

with Enclave() as enclave:
    with enclave.open_code_file("model/weights.csv") as file:
        weights = pd.read_csv(file, index_col="column")["weight"]
    (customers,) = enclave.inputs
    with customers.open() as file:
        table = pd.read_csv(file)
    columns = [column for column in weights.index if column != "intercept"]
    odds = table[columns].to_numpy() @ weights[columns].to_numpy() + weights["intercept"]
    table["score"] = np.round(1 / (1 + np.exp(-odds)), 6)
    enclave.write(table[["customer", "score"]].to_csv(index=False).encode(), name="scores.csv")
