"""A local copy of the stored-completions API with an account to try things on, and to test with."""

from stored_completions.sandbox.account import Account
from stored_completions.sandbox.faults import Fault
from stored_completions.sandbox.rules import Rules
from stored_completions.sandbox.server import Sandbox

__all__ = ["Account", "Fault", "Rules", "Sandbox"]
