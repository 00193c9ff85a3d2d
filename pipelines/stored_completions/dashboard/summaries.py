"""What each section says in words, from its own rows: what a reader of the chart would see in it."""

from typing import Any

from stored_completions.dashboard import basis, shown
from stored_completions.dashboard.section import added

Rows = list[dict[str, Any]]


def spend_over_time(rows: Rows) -> str:
    by_day = _summed(rows, "day")
    total = added(by_day.values())
    if total is None:
        return "No completion of this period has a price, so what was spent is not known."
    day = max(by_day, key=lambda day: by_day[day] or 0)
    by_model = _summed(rows, "series")
    model = max(by_model, key=lambda name: by_model[name] or 0)
    share = shown.share(shown.part(by_model[model], total))
    return (
        f"{shown.usd(total)} in all. The costliest day was {shown.day(day)} with {shown.usd(by_day[day], total)}; "
        f"{shown.text(model)} took the largest part, {share}."
    )


def spend_by_model(rows: Rows) -> str:
    models = sum(row["names"] for row in rows)
    if rows[0]["cost_usd"] is None:
        return f"{_several(models, 'model')}, none with a price."
    risen = [row for row in rows if not row["is_rest"] and (row["change"] or 0) > 0]
    text = f"{_several(models, 'model')}; {shown.text(rows[0]['name'])} comes first with {shown.usd(rows[0]['cost_usd'])}."
    if risen:
        most = max(risen, key=lambda row: row["cost_usd"] - row["cost_before"])
        rise = shown.usd(most["cost_usd"] - most["cost_before"])
        text += f" The largest rise: {shown.text(most['name'])}, {rise} more than in the period before."
    return text


def tokens_over_time(rows: Rows) -> str:
    kinds = _summed(rows, "series")
    whole = added(kinds.values())
    inputs = added(
        kinds.get(name) for name in ("input", "cached", "cache_write", "audio_input", "input_unsplit")
    )
    unsplit = added(kinds.get(name) for name in ("input_unsplit", "output_unsplit"))
    text = (
        f"{shown.short_count(_whole(whole))} tokens, {shown.share(shown.part(inputs, whole))} of them input."
    )
    if unsplit:
        text += f" Of {shown.share(shown.part(unsplit, whole))} the kind is not known."
    return text


def spend_by_metadata(rows: Rows) -> str:
    values = sum(row["names"] for row in rows if row["is_rest"] or row["name"] is not None)
    if not values:
        return "No completion of this period has this key."
    missing = next((row for row in rows if row["name"] is None and not row["is_rest"]), None)
    text = _several(values, "value") + "."
    named = [row for row in rows if row["name"] is not None and row["cost_usd"] is not None]
    if named:
        text += f" {named[0]['name']} comes first with {shown.usd(named[0]['cost_usd'])}, {shown.share(named[0]['share'])}."
    if missing:
        text += f" {_several(missing['completions'], 'completion')} without this key."
    return text


def what_costs_rest_on(rows: Rows) -> str:
    bases = _summed(rows, "series")
    whole = added(bases.values())
    parts = [
        f"{shown.usd(bases[name], whole)} ({shown.share(shown.part(bases[name], whole))}) is {words}"
        for name, words in basis.PHRASES.items()
        if bases.get(name)
    ]
    return f"Of {shown.usd(whole)}, {_listed(parts)}." if parts else "Nothing was spent."


def without_a_price(rows: Rows) -> str:
    completions = int(rows[0]["all_completions"])
    text = f"{_several(completions, 'completion')} in no sum, because what they cost cannot be known."
    groups = rows[0]["groups"]
    return text if groups == len(rows) else f"{text} These are the {len(rows)} largest of {groups} groups."


def costliest(rows: Rows) -> str:
    if len(rows) == 1:
        return f"One completion, {shown.usd(rows[0]['cost_usd'])}."
    total = shown.usd(added(row["cost_usd"] for row in rows))
    first, last = (shown.usd(rows[at]["cost_usd"]) for at in (0, -1))
    return f"The {len(rows)} costliest, from {last} to {first} each, {total} in all."


def finish_reasons(rows: Rows) -> str:
    whole = sum(row["choices"] for row in rows)
    text = f"{_several(whole, 'answer')}; {shown.share(rows[0]['share'])} ended with {shown.text(rows[0]['name'])}."
    cut = next((row for row in rows if row["name"] == "length"), None)
    if cut:
        text += (
            f" {_several(cut['choices'], 'answer')} ({shown.share(cut['share'])}) ran into the token limit."
        )
    return text


def tools(rows: Rows) -> str:
    calls, invalid, unfit = (int(sum(row[name] for row in rows)) for name in ("calls", "invalid", "unfit"))
    names = sum(row["names"] for row in rows)
    text = f"{_several(calls, 'call')} of {_several(names, 'tool')}; {shown.text(rows[0]['name'])} is called most."
    if invalid or unfit:
        text += f" The arguments of {_several(invalid, 'call')} are not JSON, those of {unfit:,} do not fit their schema."
    return text


def confidence(rows: Rows) -> str:
    answers, tokens = (int(sum(row[name] for row in rows)) for name in ("answers", "tokens"))
    text = f"{_several(answers, 'answer')} with logprobs, {_several(tokens, 'token')}."
    known = [row for row in rows if not row["is_rest"] and row["perplexity"] is not None]
    if len(known) > 1:
        least = max(known, key=lambda row: row["perplexity"])
        text += f" {shown.text(least['name'])} is least sure, with a perplexity of {shown.number(least['perplexity'])}."
    return text


def _summed(rows: Rows, name: str) -> dict[Any, Any]:
    values: dict[Any, list[Any]] = {}
    for row in rows:
        values.setdefault(row[name], []).append(row["value"])
    return {key: added(found) for key, found in values.items()}


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)


def _several(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
