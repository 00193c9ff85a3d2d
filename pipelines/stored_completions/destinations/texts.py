"""Text that a destination cannot store as it is: PostgreSQL has no NUL character (U+0000).

Where one stands, `␀` (U+2400) is stored. That a text of its own with `␀` or the escape character `␛` (U+241B)
is not mistaken for it, these two become `␛n` and `␛e`; so every text is read back exactly as it was, and
different ones stay different.
"""

from stored_completions.tables import Column

_ESCAPES = (("'␛'", "'␛e'"), ("'␀'", "'␛n'"), ("chr(0)", "'␀'"))


EMPTY = "␛0"
"""What stands for an empty text while a loader carries it that would make NULL of it."""


def is_text(column: Column) -> bool:
    return column.type in ("text", "json")


def escaped(column: Column, empty: str = "") -> str:
    """DuckDB's SQL for the column as such a destination takes it; `empty` in place of an empty text."""
    name = f'"{column.name}"'
    if not is_text(column):
        return name
    text = f"{name}::varchar"  # some are stored as ENUM or UUID
    replaced = text
    for what, by in _ESCAPES:
        replaced = f"replace({replaced}, {what}, {by})"
    found = " or ".join(f"contains({text}, {what})" for what, _ in _ESCAPES)
    none = f"when {text} = '' then '{empty}' " if empty else ""
    return f"case {none}when {found} then {replaced} else {text} end as {name}"


def unescaped(column: Column) -> str:
    """DuckDB's SQL for such a column as it was."""
    name = f'"{column.name}"'
    if not is_text(column):
        return name
    replaced = name
    for what, by in reversed(_ESCAPES):
        replaced = f"replace({replaced}, {by}, {what})"
    found = f"contains({name}, '␛') or contains({name}, '␀')"
    return f"case when {found} then {replaced} else {name} end as {name}"
