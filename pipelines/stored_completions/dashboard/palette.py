"""Which colour stands for what, on the whole page: models by their spend, kinds of tokens.

The colours themselves are in page.css: seven for models and a grey, at least 3:1 against the page and
told apart by people who do not see red, green or blue (tests/test_dashboard_colours.py reckons it).
"""

from collections.abc import Sequence

from stored_completions.dashboard.section import OTHERS, Series

MODELS_AT_MOST = 7

TOKENS = (
    Series("input", "Input", "input"),
    Series("cached", "Cached input", "cached"),
    Series("cache_write", "Cache writes", "cached", "crossed"),
    Series("audio_input", "Audio input", "input", "crossed"),
    Series("input_unsplit", "Input, kind not known", "input", "hatched"),
    Series("output", "Output", "output"),
    Series("reasoning", "Reasoning", "reasoning"),
    Series("audio_output", "Audio output", "output", "crossed"),
    Series("output_unsplit", "Output, kind not known", "output", "hatched"),
)


def models(names: Sequence[str | None]) -> tuple[Series, ...]:
    """A series for each of the first models, and one for the others; `names` by falling spend."""
    own = [
        Series(name, "(none)" if name is None else name, f"model-{place}")
        for place, name in enumerate(names[:MODELS_AT_MOST], 1)
    ]
    rest = len(names) - len(own)
    return (*own, Series(OTHERS, f"{rest} other model{'' if rest == 1 else 's'}", "rest"))
