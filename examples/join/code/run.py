"""Join the Parquet files of two providers inside, and let out one row for each group.

DuckDB reads the sealed inputs where they are: only the chunks that the query touches are decrypted.
"""

import duckdb
from query import QUERY

from sealroom.enclave import Enclave

with Enclave() as enclave, duckdb.connect() as database:
    database.register_filesystem(enclave.filesystem())
    rows = database.execute(QUERY).fetchall()
    lines = ["region,people,mean"] + [f"{region},{people},{mean:.2f}" for region, people, mean in rows]
    enclave.write("\n".join([*lines, ""]).encode(), name="by-region.csv")
