"""Numbers in sentences."""


def counted(number: int, one: str, many: str | None = None) -> str:
    """`1 completion`, `1,200 completions`; `many` where it is not `one` and an s."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
