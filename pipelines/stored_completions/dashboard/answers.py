"""The sections on what was asked and answered: tokens, endings, tool calls, confidence."""

from stored_completions.dashboard import palette, summaries
from stored_completions.dashboard.asked import Asked
from stored_completions.dashboard.folding import folded
from stored_completions.dashboard.section import Column, Section, Stack


def tokens_over_time() -> Section:
    return Section(
        id="tokens-over-time",
        title="Tokens over time by kind",
        sql="""
with kinds as (
    select
        page_usage.*,
        coalesce(
            page_usage.usage_basis = 'full',
            page_usage.completions_without_details = 0 and page_usage.unpriced_reason <> 'inconsistent_usage'
        ) as is_split,
        coalesce(page_usage.cached_tokens, 0) as cached,
        coalesce(page_usage.cache_write_tokens, 0) as cache_write,
        coalesce(page_usage.prompt_audio_tokens, 0) as audio_input,
        coalesce(page_usage.reasoning_tokens, 0) as reasoning,
        coalesce(page_usage.completion_audio_tokens, 0) as audio_output
    from page_usage
    where page_usage.is_current
),
sums as (
    select
        day,
        sum(prompt_tokens - cached - cache_write - audio_input) filter (is_split) as input,
        sum(cached) filter (is_split) as cached,
        sum(cache_write) filter (is_split) as cache_write,
        sum(audio_input) filter (is_split) as audio_input,
        sum(prompt_tokens) filter (not is_split) as input_unsplit,
        sum(completion_tokens - reasoning - audio_output) filter (is_split) as output,
        sum(reasoning) filter (is_split) as reasoning,
        sum(audio_output) filter (is_split) as audio_output,
        sum(completion_tokens) filter (not is_split) as output_unsplit
    from kinds
    group by day
)
select day, series, value
from (unpivot sums on columns(* exclude (day)) into name series value value)
qualify sum(value) over (partition by series) > 0
""",
        stack=Stack("count", palette.TOKENS),
        summary=summaries.tokens_over_time,
        empty="No completion of this period says how many tokens it took.",
        note="The API lists most stored completions with their totals only: which of those tokens were read from "
        "the cache or spent on reasoning is not known. They are shown as “kind not known”.",
    )


def finish_reasons(asked: Asked) -> Section:
    return Section(
        id="finish-reasons",
        title="How answers end",
        sql=f"""
select *, choices / sum(choices) over () as share
from ({folded("select finish_reason as name, choices from page_endings", ("choices",), asked.top, "choices")})
order by is_rest, choices desc, name
""",
        columns=(
            Column("name", "Finish reason"),
            Column("choices", "Answers", "count", bar=True),
            Column("share", "Share", "share"),
        ),
        summary=summaries.finish_reasons,
        empty="No completion of this period has an answer.",
    )


def tools(asked: Asked) -> Section:
    sums = ("calls", "invalid", "unfit", "repeated")
    return Section(
        id="tools",
        title="Tool calls",
        sql=f"""
select *
from ({folded("select * from page_tools", sums, asked.top, "calls")})
order by is_rest, calls desc, name
""",
        columns=(
            Column("name", "Tool"),
            Column("calls", "Calls", "count", bar=True),
            Column("invalid", "Not JSON", "count"),
            Column("unfit", "Not fitting", "count"),
            Column("repeated", "Repeated", "count"),
        ),
        summary=summaries.tools,
        empty="No tool was called in this period.",
        note="Not fitting: JSON that does not fit the schema which the request gave for the tool. Repeated: the same "
        "arguments once more in one answer.",
    )


def confidence(asked: Asked) -> Section:
    sums = ("answers", "tokens", "outside", "logprobs", "weighed", "entropies")
    return Section(
        id="confidence",
        title="How sure the models were",
        sql=f"""
select *, exp(-logprobs / nullif(tokens - outside, 0)) as perplexity, entropies / nullif(weighed, 0) as entropy
from ({folded("select * from page_confidence", sums, asked.top, "tokens")})
order by is_rest, tokens desc, name
""",
        columns=(
            Column("name", "Model", is_name=True),
            Column("tokens", "Tokens", "count", bar=True),
            Column("perplexity", "Perplexity", "number"),
            Column("entropy", "Entropy", "number"),
            Column("answers", "Answers", "count"),
            Column("outside", "Outside the top", "count"),
        ),
        summary=summaries.confidence,
        empty="No answer of this period has logprobs.",
        note="Perplexity: 1 is sure, 2 as unsure as a fair coin at each token. Entropy of the listed alternatives, in "
        "nats, is a lower bound. Tokens outside the top have no known probability and are left out of both.",
    )
