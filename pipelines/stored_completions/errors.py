"""What can go wrong, as people need to hear it: one sentence with cause and remedy, and an exit code.

StoredCompletionsError      exit 1   failed, state kept, safe to repeat
├── UsageError              exit 2   a flag or a setting is wrong
├── AccessError             exit 2   the key is wrong, missing or may not do this
├── ServiceError            exit 1   the API failed after every retry, or answered something final
│   ├── NotFound            —        one object is not there (the caller decides)
│   ├── CursorGone          —        the cursor is not known any more (the walk steps back)
│   ├── LimitTooLarge       —        the page size was refused (the walk shrinks it)
│   ├── PageTooHeavy        —        the page has too many bytes (the walk shrinks it)
│   ├── OrderRefused        —        the server does not list newest first (the sync goes oldest first)
│   └── NoProgress          exit 1   pages repeat: the walk would never end
├── WarehouseError          exit 1   a file cannot be read, written or understood
├── Unmet                   exit 3   a check, a budget or an age is not met
├── Busy                    exit 75  another sync holds the lock
└── Stopped                 exit 1   SIGTERM; 130 for Ctrl-C
"""


class StoredCompletionsError(Exception):
    """Its text is one or two sentences for a person: what happened, why, what to do."""

    exit_code = 1


class UsageError(StoredCompletionsError):
    exit_code = 2


class AccessError(StoredCompletionsError):
    exit_code = 2


class ServiceError(StoredCompletionsError):
    pass


class NotFound(ServiceError):
    pass


class CursorGone(ServiceError):
    pass


class LimitTooLarge(ServiceError):
    pass


class PageTooHeavy(ServiceError):
    pass


class OrderRefused(ServiceError):
    pass


class NoProgress(ServiceError):
    pass


class WarehouseError(StoredCompletionsError):
    pass


class Unmet(StoredCompletionsError):
    exit_code = 3


class Busy(StoredCompletionsError):
    exit_code = 75


class Stopped(StoredCompletionsError):
    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code
