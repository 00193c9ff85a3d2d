"""Delta tables on S3 for a Spark that has no jars for either: a data source in Python, one task a file.

The driver reads a table's log with `deltalake`; each file of it is fetched and decoded by the executor whose
task it is. Where the jars are to be had (`hadoop-aws` and Delta's own), `using delta` does all of this.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from pyarrow import fs
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType


@dataclass
class File(InputPartition):
    uri: str


def source(name: str, uri: str) -> type[DataSource]:
    """The table at `uri`, as the data source of that name; how to get in stands in the environment."""

    class Table(DataSource):
        @classmethod
        def name(cls) -> str:
            return name

        def schema(self) -> StructType:
            return from_arrow_schema(pa.schema(_delta(uri).schema().to_arrow()))

        def reader(self, schema: StructType) -> "Files":
            return Files(_delta(uri).file_uris(), schema.names)

    return Table


def _delta(uri: str) -> DeltaTable:
    access = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    return DeltaTable(uri, storage_options=access)


class Files(DataSourceReader):
    def __init__(self, uris: list[str], columns: list[str]) -> None:
        self._uris, self._columns = uris, columns

    def partitions(self) -> list[InputPartition]:
        return [File(uri) for uri in self._uris]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """A table without a file still gets one task, with no file in it."""
        if isinstance(partition, File):
            endpoint = urlsplit(os.environ["AWS_ENDPOINT_URL"])
            server = fs.S3FileSystem(scheme=endpoint.scheme, endpoint_override=endpoint.netloc)
            with server.open_input_file(partition.uri.removeprefix("s3://")) as file:
                for batch in pq.ParquetFile(file).iter_batches():
                    yield batch.select(self._columns)
