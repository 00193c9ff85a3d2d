"""What `bench.analysts` asks each view, and the query by hand that gives the same answer."""

from dataclasses import dataclass
from hashlib import md5

DAY = "2026-10-01"
MODEL = "gpt-4o-2024-08-06"
FILTER = f"created_date = date '{DAY}' and model = '{MODEL}'"
PROMPT = md5(b"prompt 7 2", usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class Questions:
    """Of one view: a filtered one, one over everything, and the latter by hand; the last two agree."""

    view: str
    one_day: str
    everything: str
    by_hand: str


def of(view: str, everything: str, by_hand: str, one_day: str = f"where {FILTER}") -> Questions:
    return Questions(view, f"select * from marts.{view} {one_day}", everything, by_hand)


_COSTS = """
select sum(usage.prompt_tokens * prices.input + usage.completion_tokens * prices.output
    - coalesce(usage.cached_tokens, 0) * (prices.input - coalesce(prices.cached_input, prices.input)))
from chat.completions
join chat.usage on usage.completion_id = completions.completion_id and usage.created_date = completions.created_date
join (
    select names.model, model_prices.*
    from (select distinct model from chat.completions) as names
    join lateral (
        select price_model_id from chat.model_price_rules
        where case kind when 'equals' then names.model = pattern when 'starts_with' then starts_with(names.model, pattern)
            when 'contains' then contains(names.model, pattern) else regexp_matches(names.model, pattern) end
        order by rule_no limit 1
    ) as rules on true
    join chat.model_prices on model_prices.price_model_id = rules.price_model_id
) as prices on prices.model = completions.model
    and prices.tier = case completions.service_tier when 'flex' then 'flex' else 'standard' end
    and coalesce(prices.valid_from, date '0001-01-01') <= completions.created_date
    and coalesce(prices.valid_to, date '9999-01-01') > completions.created_date
    and coalesce(prices.min_input_tokens, -1) < usage.prompt_tokens
    and coalesce(prices.max_input_tokens, 9223372036854775807) >= usage.prompt_tokens
"""
_SUM = "select sum("
_ENDINGS = _COSTS.replace(_SUM, "select choices.finish_reason, sum(").replace(
    "join chat.usage",
    "join chat.choices on choices.completion_id = completions.completion_id"
    " and choices.created_date = completions.created_date and choices.choice_index = 0\njoin chat.usage",
)
_COST_OF_EACH = _COSTS.replace(_SUM, "select completions.completion_id, completions.created_date, (").replace(
    ")))\nfrom", "))) as cost\nfrom"
)
_TURNS = """
select completion_id, message_count, coalesce(links.links, 0) as turn_index
from chat.prompts
left join (
    select messages.completion_id, count(*) as links
    from chat.messages
    join chat.prompts on prompts.prompt_hash = messages.history_hash
    join chat.choices on choices.completion_id = prompts.completion_id and choices.answer_hash = messages.message_hash
    where messages.role = 'assistant'
    group by messages.completion_id
) as links using (completion_id)
"""
QUESTIONS = (
    of("completion_costs", "select sum(cost_usd) from marts.completion_costs", _COSTS),
    of(
        "completions_wide",
        "select finish_reason, sum(cost_usd) from marts.completions_wide group by finish_reason order by finish_reason",
        f"{_ENDINGS} group by choices.finish_reason order by choices.finish_reason",
    ),
    of("daily_usage", "select sum(cost_usd) from marts.daily_usage", _COSTS),
    of(
        "metadata_usage",
        "select count(*), sum(total_tokens) from marts.metadata_usage where metadata_key = 'team'",
        "select count(distinct (metadata.created_date, completions.model, metadata.value)), sum(usage.total_tokens)"
        " from chat.metadata join chat.usage using (completion_id) join chat.completions using (completion_id)"
        " where metadata.key = 'team'",
        f"where {FILTER} and metadata_key = 'team'",
    ),
    of(
        "unpriced_models",
        "select sum(completions) from marts.unpriced_models",
        f"select (select count(*) from chat.completions) - count(priced) from ({_COSTS.replace('select sum(', 'select (', 1)}) as costs (priced)",
        f"where model = '{MODEL}'",
    ),
    of(
        "choices_wide",
        "select model, count(*), sum(content_length), avg(perplexity) from marts.choices_wide group by model order by model",
        "select model, count(*), sum(length(content)), avg(exp(-mean)) from chat.choices"
        " join chat.completions using (completion_id, created_date) left join"
        " (select completion_id, choice_index, avg(logprob) filter (logprob > -9999) as mean from chat.logprobs group by all)"
        " using (completion_id, choice_index) group by model order by model",
    ),
    of(
        "tool_calls_wide",
        "select model, count(*) as calls from marts.tool_calls_wide group by model order by model",
        "select model, count(*) as calls from chat.tool_calls join chat.completions using (completion_id, created_date)"
        " group by model order by model",
    ),
    of(
        "tool_usage",
        "select tool_name, sum(calls), sum(cost_usd) from marts.tool_usage group by tool_name order by tool_name",
        "select name, sum(calls), sum(cost) from (select name, completion_id, created_date, count(*) as calls"
        f" from chat.tool_calls group by all) left join ({_COST_OF_EACH}) using (completion_id, created_date)"
        " group by name order by name",
    ),
    of(
        "finish_reasons",
        "select model, finish_reason, sum(choices) from marts.finish_reasons group by all order by all",
        "select model, finish_reason, count(*) from chat.choices join chat.completions using (completion_id, created_date)"
        " group by all order by all",
    ),
    of(
        "answer_rates",
        "select model, sum(truncated) from marts.answer_rates group by model order by model",
        "select model, count(*) filter (finish_reason = 'length') from chat.choices"
        " join chat.completions using (completion_id, created_date) group by model order by model",
    ),
    of(
        "choice_confidence",
        "select model, avg(perplexity), avg(mean_entropy) from marts.choice_confidence group by model order by model",
        "select model, avg(perplexity), avg(entropy) from (select completion_id, choice_index,"
        " exp(-avg(logprob) filter (logprob > -9999)) as perplexity from chat.logprobs group by all)"
        " join (select completion_id, choice_index, avg(entropy) as entropy from (select completion_id, choice_index,"
        " token_index, -sum(exp(logprob) * logprob) as entropy from chat.top_logprobs group by all) group by all)"
        " using (completion_id, choice_index) join chat.completions using (completion_id) group by model order by model",
    ),
    of(
        "token_confidence",
        "select avg(probability), avg(entropy) from marts.token_confidence",
        "select (select avg(exp(logprob)) from chat.logprobs where logprob > -9999), avg(entropy)"
        " from (select -sum(exp(logprob) * logprob) as entropy from chat.top_logprobs"
        " group by completion_id, choice_index, kind, token_index)",
    ),
    of(
        "turns",
        "select turn_index, count(*), sum(message_count) from marts.turns group by turn_index order by turn_index",
        f"select turn_index, count(*), sum(message_count) from ({_TURNS}) group by turn_index order by turn_index",
    ),
    of(
        "threads",
        "select count(*), sum(turns), max(longest_turns) from marts.threads",
        f"select count(*) filter (turn_index = 0), count(*), max(turn_index) + 1 from ({_TURNS})",
    ),
    of(
        "prompts",
        "select count(*), sum(answers), sum(distinct_answers) from marts.prompts",
        "select count(*), sum(answers), sum(distinct_answers) from (select prompt_hash, count(*) as answers,"
        " count(distinct answer_hash) as distinct_answers from chat.prompts"
        " join chat.choices using (completion_id, created_date) group by prompt_hash)",
        f"where prompt_hash = '{PROMPT}'",
    ),
    of(
        "reconciliation",
        "select sum(billed_usd), sum(stored_usd), sum(stored_completions) from marts.reconciliation",
        f"select (select sum(amount_usd) from chat.organization_costs), ({_COSTS}), count(*) from chat.completions",
        f"where usage_date = date '{DAY}' and model = '{MODEL}'",
    ),
    of(
        "stored_list_costs",
        "select sum(quantity), sum(cost_usd) from marts.stored_list_costs where measure = 'request'",
        f"select (select count(*) from chat.completions), ({_COSTS})",
    ),
    of(
        "billed_list_costs",
        "select sum(quantity), sum(cached_tokens) from marts.billed_list_costs where measure = 'input'",
        "select sum(input_tokens), sum(input_cached_tokens) from chat.organization_usage",
        f"where usage_date = date '{DAY}' and model = '{MODEL}'",
    ),
    of(
        "cached_shares",
        "select sum(input_cached_tokens) from marts.cached_shares",
        "select sum(input_cached_tokens) from chat.organization_usage",
        f"where usage_date = date '{DAY}' and model = '{MODEL}'",
    ),
    of(
        "bill_projects",
        "select count(*) from marts.bill_projects",
        "select count(distinct project_id) from chat.organization_usage",
        "",
    ),
    of(
        "listed_prices",
        "select count(distinct model) from marts.listed_prices",
        "select count(distinct model) from chat.completions",
        f"where model = '{MODEL}'",
    ),
    of(
        "freshness",
        "select source, completions, deleted_completions, newest_completion_at from marts.freshness",
        "select source, count(*), count(deleted_at), max(created_at) from chat.completions group by source",
        "",
    ),
)  # fmt: skip
