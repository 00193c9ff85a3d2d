"""dlt's context of a run as a sync needs it: without what dlt starts for its own logs and telemetry."""

from dlt.common.configuration.container import Container
from dlt.common.configuration.resolve import resolve_configuration
from dlt.common.configuration.specs import PluggableRunContext, RuntimeConfiguration
from dlt.common.runtime.run_context import RunContext


class Context(RunContext):
    """dlt's own context of a run, its settings in the same places. It sets up no HTTP client, which dlt itself would
    use for telemetry and would import requests for, and looks for no plugins among all that is installed."""

    def initialize_runtime(self, runtime_config: RuntimeConfiguration | None = None) -> None:
        self._runtime_config = runtime_config or resolve_configuration(RuntimeConfiguration())


def settle() -> None:
    """Makes it dlt's, unless dlt has one already, as in a program that used dlt before it called a sync."""
    if PluggableRunContext not in Container():
        Container()[PluggableRunContext] = PluggableRunContext(Context(None))
