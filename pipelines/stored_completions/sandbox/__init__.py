"""A local copy of the stored-completions API with an account to try things on, and to test with."""

from .account import Account
from .faults import Fault
from .rules import Rules
from .server import Sandbox

__all__ = ["Account", "Fault", "Rules", "Sandbox"]
