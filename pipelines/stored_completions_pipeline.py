"""Stored completions as a plain dlt pipeline; `stored-completions sync` does more around the same source."""

import dlt

from stored_completions.source import stored_completions

if __name__ == "__main__":
    # dlt's own working folder is one for all projects of a user: this folder's pipeline gets its own.
    folder = ".stored_completions/pipelines"
    pipeline = dlt.pipeline("stored_completions_pipeline", folder, destination="duckdb", dataset_name="chat")
    print(pipeline.run(stored_completions(), loader_file_format="parquet"))  # noqa: T201
