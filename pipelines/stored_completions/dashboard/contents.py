"""What is on the page, from top to bottom: the one list to add to."""

from stored_completions.dashboard import answers, spending
from stored_completions.dashboard.asked import Asked
from stored_completions.dashboard.section import Section


def sections(asked: Asked) -> list[Section]:
    return [
        spending.spend_over_time(asked),
        spending.spend_by_model(asked),
        answers.tokens_over_time(),
        *(spending.spend_by_metadata(key, at, asked) for at, key in enumerate(asked.metadata_keys, 1)),
        spending.what_costs_rest_on(),
        spending.without_a_price(asked),
        spending.costliest(asked),
        answers.finish_reasons(asked),
        answers.tools(asked),
        answers.confidence(asked),
    ]
