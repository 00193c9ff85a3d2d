"""What dlt knows of a destination: its settings and credentials, wherever dlt looks for them, and its tables.

Tables are made, and get columns of newer versions, by dlt from our schema.
"""

from collections.abc import Sequence
from typing import Any

from stored_completions.destinations.kinds import Target
from stored_completions.destinations.units import SHIPPED
from stored_completions.dlt_setup import imported_dlt
from stored_completions.errors import UsageError
from stored_completions.tables import PUBLICATION, Column, Table

TABLES: tuple[Table, ...] = (*SHIPPED, PUBLICATION)
_SCALES = {"decimal": (18, 12), "money": (38, 30)}
_NAME = "stored_completions"


def client(chosen: Target, tables: Sequence[Table] = TABLES) -> Any:
    """dlt's job client of the destination, with its configuration resolved, for these tables; UsageError when that lacks
    something."""
    dlt = imported_dlt()
    from dlt.common.configuration.exceptions import ConfigurationException
    from dlt.common.destination.exceptions import DestinationException

    factory = getattr(dlt.destinations, chosen.name)()
    config = factory.spec()._bind_dataset_name(dataset_name=chosen.dataset)
    try:
        return factory.client(_schema(dlt, tables), config)
    except (ConfigurationException, DestinationException, ValueError) as error:
        raise UsageError(
            f"destination {chosen.name} is not configured: {_lacking(error)}. Its settings are dlt's, in "
            f"[destination.{chosen.name}] of .dlt/config.toml and [destination.{chosen.name}.credentials] of "
            f".dlt/secrets.toml, or in variables DESTINATION__{chosen.name.upper()}__CREDENTIALS__..."
        ) from None


def make_tables(job_client: Any) -> None:
    """Makes what is missing of schema, tables and columns; what is there stays."""
    with job_client:
        job_client.initialize_storage()
        job_client.update_stored_schema()


def _schema(dlt: Any, tables: Sequence[Table]) -> Any:
    from dlt.common.schema.utils import new_table

    schema = dlt.Schema(_NAME)
    for table in tables:
        schema.update_table(new_table(table.name, write_disposition="append", columns=hints(table)))
    return dlt.Schema.from_dict(
        schema.to_dict()
    )  # which makes it a stored one: only such are brought to a destination


def hints(table: Table) -> list[Any]:
    """Its columns as dlt wants them described."""
    return [_column(table, column) for column in table.columns]


def _column(table: Table, column: Column) -> Any:
    described: dict[str, Any] = {
        "name": column.name,
        "data_type": "text" if column.type == "json" else column.type,
    }
    if column.type in _SCALES:
        precision, scale = _SCALES[column.type]
        described |= {"data_type": "decimal", "precision": precision, "scale": scale}
    return described | {"nullable": column.name not in table.key}


def _lacking(error: Exception) -> str:
    fields = getattr(error, "fields", None)
    if fields:
        return f"{', '.join(fields)} {'is' if len(fields) == 1 else 'are'} missing"
    return (str(error).splitlines() or ["its settings cannot be read"])[0].rstrip(".")
