"""What dlt alone costs, imports included: one row into DuckDB, as parquet. WAREHOUSE."""

import sys

import dlt
import pyarrow as pa

pipeline = dlt.pipeline(
    "one_row",
    pipelines_dir="dlt",
    destination=dlt.destinations.duckdb(sys.argv[1]),
    dataset_name="chat",
)
pipeline.run(pa.table({"number": [1]}), table_name="rows", loader_file_format="parquet")
