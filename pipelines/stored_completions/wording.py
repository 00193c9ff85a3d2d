"""Numbers and times in sentences."""


def counted(number: int, one: str, many: str | None = None) -> str:
    """`1 completion`, `1,200 completions`; `many` where it is not `one` and an s."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def moment(text: str | None) -> str:
    """A time of ISO 8601 as a person reads it, e.g. 2026-11-23 18:59:35."""
    return "?" if text is None else text[:19].replace("T", " ")
