"""The tools that the invented company offers its models, and what those make of them."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Tool:
    """A function that the model may call: the names and kinds of its parameters, and sample arguments."""

    name: str
    description: str
    parameters: dict[str, str]
    samples: tuple[dict[str, Any], ...]

    @property
    def declared(self) -> dict[str, Any]:
        properties = {name: {"type": kind} for name, kind in self.parameters.items()}
        schema = {"type": "object", "properties": properties, "required": list(properties)}
        function = {"parameters": schema, "description": self.description, "name": self.name}
        return {"type": "function", "function": function}


TOOLS = {
    tool.name: tool
    for tool in (
        Tool(
            "find_order",
            "Look up an order by its number",
            {"order_number": "string"},
            ({"order_number": "A-20417"}, {"order_number": "A-31188"}, {"order_number": "B-00752"}),
        ),
        Tool(
            "stock_level",
            "How many pieces of an article are in stock",
            {"article": "string", "warehouse": "string"},
            (
                {"article": "oak desk", "warehouse": "Gent"},
                {"article": "Regenjacke größe M", "warehouse": "Köln"},
                {"article": "テント", "warehouse": "大阪"},
            ),
        ),
        Tool(
            "book_slot",
            "Book a delivery slot",
            {"date": "string", "hour": "integer", "floor": "integer"},
            ({"date": "2026-11-24", "hour": 9, "floor": 3}, {"date": "2026-12-02", "hour": 17, "floor": 0}),
        ),
        Tool(
            "open_ticket",
            "Open a ticket for a colleague",
            {"title": "string", "urgent": "boolean"},
            (
                {"title": "Parcel arrived open", "urgent": True},
                {"title": 'Customer asks for "gift wrap" \\ card', "urgent": False},
            ),
        ),
    )
}
RUN_SQL = {
    "type": "custom",
    "custom": {"name": "run_sql", "description": "Runs one statement", "format": {"type": "text"}},
}
STATEMENTS = (
    "select count(*)\nfrom orders\nwhere shipped_at is null",
    "select warehouse, sum(pieces) as pieces from stock group by warehouse order by 2 desc",
    "-- late parcels\nselect order_number from parcels where promised_on < current_date and delivered_at is null",
)
BROKEN_ARGUMENTS = (
    '{"order_number": "A-20417", "with_lines": tr',
    '{"article": "oak desk", "warehouse": ',
    '{"order_number": 31188, "date": "2026-11-24", "hour": "nine", "floor": 0}',
    "",
    "{'date': '2026-11-24', 'hour': 9}",
    '{"title": "Parcel arrived open"}',
)
