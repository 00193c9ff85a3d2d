"""How input messages are asked for."""

from dataclasses import dataclass

from stored_completions.errors import UsageError
from stored_completions.messages.attachments import IMAGES, KEEP


@dataclass(frozen=True)
class Asking:
    """`in_flight` requests at a time; `images` keep, drop or once; `most` completions in one run, None: all."""

    in_flight: int = 8
    images: str = KEEP
    most: int | None = None

    def __post_init__(self) -> None:
        if self.images not in IMAGES:
            raise UsageError(
                f"images is {self.images!r}, but it must be {', '.join(IMAGES[:-1])} or {IMAGES[-1]}."
            )
