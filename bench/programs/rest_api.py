"""What somebody would write with dlt alone: its `rest_api` source, its nesting, parquet, merge on id."""

import sys

import dlt
from dlt.sources.rest_api import rest_api_source

base_url, warehouse = sys.argv[1:]

source = rest_api_source(
    {
        "client": {
            "base_url": base_url,
            "auth": {"type": "bearer", "token": dlt.secrets["api_key"]},
            "paginator": {
                "type": "cursor",
                "cursor_path": "last_id",
                "cursor_param": "after",
                "has_more_path": "has_more",
            },
        },
        "resource_defaults": {"primary_key": "id", "write_disposition": "merge"},
        "resources": [
            {
                "name": "completions",
                "endpoint": {
                    "path": "chat/completions",
                    "params": {"limit": 100, "order": "asc"},
                    "data_selector": "data",
                },
            }
        ],
    }
)
pipeline = dlt.pipeline(
    "rest_api_bench",
    pipelines_dir="dlt",
    destination=dlt.destinations.duckdb(warehouse),
    dataset_name="chat",
)
pipeline.run(source, loader_file_format="parquet")
