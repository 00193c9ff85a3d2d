"""Price data as rows: the library's selection flattened, overrides on top, written when they changed."""

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import product
from pathlib import Path

import duckdb
import pytest
from genai_prices.data import providers
from genai_prices.types import ModelInfo, TieredPrices

from given import rows
from reference.prices import text
from stored_completions import __version__, blank, models
from stored_completions.errors import UsageError
from stored_completions.prices import overrides as price_overrides
from stored_completions.prices import sets as prices
from stored_completions.prices import shipped
from stored_completions.prices.overrides import Overrides, parsed
from stored_completions.prices.rows import PriceRow, PriceRule, PriceSet
from stored_completions.prices.sets import Explanation

OPENAI = next(provider for provider in providers if provider.id == "openai")
BUILT_IN = prices.flattened(price_overrides.NONE)
LISTED = {
    "input": "input_mtok",
    "cached_input": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "audio_input": "input_audio_mtok",
    "output": "output_mtok",
    "reasoning_output": "output_reasoning_mtok",
    "audio_output": "output_audio_mtok",
}
DAYS = [
    day + timedelta(days=days)
    for day in map(
        date.fromisoformat,
        ("2023-01-01", "2025-06-10", "2026-07-30", "2026-08-21", "2026-10-12", "2026-10-14", "2026-10-19"),
    )
    for days in (-1, 0)
] + [date(2030, 1, 1)]
CONTEXTS = {
    "standard": {"service_tier": "default"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "fast"},
    "batch": {"processing": "batch"},
}


def in_force(price_set: PriceSet, id: str, tier: str, day: date, tokens: int = 0) -> PriceRow | None:
    found = [row for row in price_set.prices if row.price_model_id == id and row.holds(tier, day, tokens)]
    assert len(found) <= 1
    return found[0] if found else None


def knows(model: ModelInfo, tier: str, day: date) -> bool:
    at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    return tier == "standard" or any(
        variant.when == CONTEXTS[tier] and (variant.constraint is None or variant.constraint.active(at))
        for variant in model.price_variants or ()
    )


def listed_rates(model: ModelInfo, tier: str, day: date, tokens: int) -> dict[str, Decimal]:
    at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    selected = model.get_prices(at, CONTEXTS[tier])
    found = {}
    for name, key in LISTED.items():
        value = getattr(selected, key)
        if isinstance(value, TieredPrices):
            [tier_price] = value.tiers
            value = tier_price.price if tokens > tier_price.start else value.base
        if value is not None:
            found[name] = value / 1_000_000
    return found


def test_every_listed_price_is_the_one_that_the_library_selects() -> None:
    compared = 0
    for model, tier, day, tokens in product(OPENAI.models, CONTEXTS, DAYS, (0, 272_000, 272_001)):
        row = in_force(BUILT_IN, model.id, tier, day, tokens)
        rates = listed_rates(model, tier, day, tokens)
        has_price = {"input", "output"} <= rates.keys()
        if row is None:
            assert not has_price or not knows(model, tier, date.max)
        elif row.price_basis == "listed":
            assert knows(model, tier, day)
            assert {name: getattr(row, name) for name in LISTED if getattr(row, name) is not None} == rates
            compared += 1
        elif row.price_basis == "tier_backdated":
            assert not knows(model, tier, day)
    assert compared == 5754


def test_fast_is_priority_to_the_library_too() -> None:
    at = datetime(2026, 11, 1, tzinfo=UTC)
    for model in OPENAI.models:
        fast, priority = ({"service_tier": tier} for tier in ("fast", "priority"))
        assert model.get_prices(at, fast) == model.get_prices(at, priority)


def test_ranges_never_overlap_and_rates_fit_their_columns() -> None:
    connection = duckdb.connect()
    prices.load(connection)
    models.create_reference_tables(connection)
    overlaps = next(check for check in models.models("checks") if check.name == "price_overlaps")
    assert connection.execute(overlaps.sql).fetchall() == []
    assert prices.stored(connection) == BUILT_IN


def test_eleven_models_have_cache_writes_above_their_input() -> None:
    dearer = {
        row.price_model_id for row in BUILT_IN.prices if row.cache_write and row.cache_write > row.input
    }
    assert len(dearer) == 11


def test_models_billed_by_the_hour_or_not_at_all_have_rules_but_no_prices() -> None:
    unpriced = {rule.price_model_id for rule in BUILT_IN.rules} - {
        row.price_model_id for row in BUILT_IN.prices
    }
    assert {"whisper-1", "gpt-live-1", "gpt-transcribe", "tts-1", "moderation"} <= unpriced
    assert not any(id.startswith(("gpt-4", "gpt-5", "o1", "o3", "o4")) for id in unpriced)


def test_every_built_in_override_says_where_it_is_from() -> None:
    found = [row for row in BUILT_IN.prices if row.price_basis == "override"]
    assert len(found) == 13
    assert all("built-in: " in row.source and "https://" in row.source for row in found)
    assert {entry.id for entry in price_overrides.built_in().entries} == {row.price_model_id for row in found}


@pytest.mark.parametrize(
    ("id", "day", "rates"),
    [
        ("gpt-4o-audio-preview", "2026-11-01", {"input": "2.5", "audio_input": "40", "audio_output": "80"}),
        ("gpt-4o-audio-preview-2024-10-01", "2024-10-17", {"audio_input": "100", "audio_output": "200"}),
        ("gpt-4o-mini-audio-preview", "2026-11-01", {"audio_input": "10", "audio_output": "20"}),
        ("ft:gpt-4o-mini", "2026-11-01", {"input": "0.3", "cached_input": "0.15", "output": "1.2"}),
        ("ft:gpt-4o", "2026-11-01", {"input": "3.75", "cached_input": "1.875", "output": "15"}),
        ("ft:gpt-4.1", "2026-11-01", {"input": "3", "cached_input": "0.75", "output": "12"}),
        ("ft:gpt-4.1-mini", "2026-11-01", {"input": "0.8", "cached_input": "0.2", "output": "3.2"}),
        ("ft:gpt-4.1-nano", "2026-11-01", {"input": "0.2", "cached_input": "0.05", "output": "0.8"}),
        ("ft:o4-mini", "2026-11-01", {"input": "4", "cached_input": "1", "output": "16"}),
        ("o1-mini", "2025-01-31", {"input": "3", "cached_input": "1.5", "output": "12"}),
        ("o3", "2025-06-09", {"input": "10", "cached_input": "2.5", "output": "40"}),
        ("gpt-4o-search-preview", "2026-11-01", {"per_request": "25000"}),
        ("gpt-4o-mini-search-preview", "2026-11-01", {"per_request": "25000", "input": "0.15"}),
    ],
)
def test_built_in_overrides(id: str, day: str, rates: dict[str, str]) -> None:
    row = in_force(BUILT_IN, id, "standard", date.fromisoformat(day))
    assert row is not None
    assert row.price_basis == "override"
    assert {name: getattr(row, name) * 1_000_000 for name in rates} == {
        name: Decimal(rate) for name, rate in rates.items()
    }


def own(text: str) -> Overrides:
    return parsed(text, "prices.toml")


def test_the_example_file_means_what_it_says() -> None:
    price_set = prices.price_set(price_overrides.read(price_overrides.EXAMPLE))
    standard = [
        (
            row.price_model_id,
            str(row.valid_from),
            str(row.valid_to),
            row.min_input_tokens,
            row.input * 1_000_000,
        )
        for row in price_set.prices
        if row.price_model_id in ("acme-large", "acme-search", "gpt-4.1") and row.tier == "standard"
    ]
    assert standard == [
        ("gpt-4.1", "None", "2026-01-01", None, Decimal("2")),
        ("gpt-4.1", "2026-01-01", "2027-01-01", None, Decimal("1.8")),
        ("gpt-4.1", "2027-01-01", "None", None, Decimal("2")),
        ("acme-large", "None", "2026-06-01", None, Decimal("2")),
        ("acme-large", "2026-06-01", "None", None, Decimal("1.6")),
        ("acme-search", "None", "None", None, Decimal("2")),
        ("acme-search", "None", "None", 272_000, Decimal("4")),
    ]
    day = date(2026, 11, 1)
    assert in_force(price_set, "acme-large", "batch", day) is None
    assert in_force(price_set, "acme-search", "flex", day) is None
    unchanged = in_force(price_set, "gpt-4.1", "priority", date(2026, 5, 1))
    assert unchanged
    assert (unchanged.input, unchanged.price_basis) == (Decimal("0.0000035"), "tier_backdated")
    assert [(rule.kind, rule.pattern) for rule in price_set.rules[:3]] == [
        ("equals", "acme-large"),
        ("starts_with", "acme-large-"),
        ("equals", "acme-search"),
    ]
    assert [vars(multiplier) for multiplier in price_set.multipliers] == [
        {
            "source": "eu",
            "valid_from": date(2026, 2, 1),
            "valid_to": None,
            "multiplier": Decimal("1.10"),
            "reason": "data residency",
        }
    ]
    assert [(rule.source, rule.metadata_key, rule.metadata_value) for rule in price_set.batch_rules] == [
        ("default", "job", "nightly")
    ]


def test_the_users_rules_come_first_then_the_built_in_ones_then_the_library() -> None:
    price_set = prices.price_set(
        own('[[model]]\nid="mine"\nmatch="ft:gpt-4.1-x"\nsource="s"\nrates=[{input=1, output=2}]')
    )
    sources = [rule.source.partition(" ")[0] for rule in price_set.rules]
    assert list(dict.fromkeys(sources)) == ["prices.toml:", "built-in:", "genai-prices"]
    assert [rule.rule_no for rule in price_set.rules] == list(range(1, len(sources) + 1))
    mine = prices.explain(price_set, "FT:gpt-4.1-x", None, date(2026, 1, 1))
    assert (mine.rule and mine.rule.rule_no, mine.basis) == (1, "override")


def test_an_override_goes_onto_the_built_in_one_and_keeps_what_it_does_not_name() -> None:
    price_set = prices.price_set(
        own(
            '[[model]]\nid="o3"\nsource="deal"\nrates=[{input=9}, {from=2026-01-01, until=2026-02-01, tier=["flex", "batch"], output=3}]'
        )
    )
    assert [
        (
            row.tier,
            str(row.valid_from),
            row.input * 1_000_000,
            row.cached_input * 1_000_000,
            row.output * 1_000_000,
        )
        for row in price_set.prices
        if row.price_model_id == "o3" and row.tier in ("standard", "flex") and row.cached_input
    ] == [
        ("standard", "None", 9, Decimal("2.5"), 40),
        ("standard", "2025-06-10", 9, Decimal("0.5"), 8),
        ("flex", "None", 5, Decimal("1.25"), 20),
        ("flex", "2025-06-10", 1, Decimal("0.25"), 4),
        ("flex", "2026-01-01", 1, Decimal("0.25"), 3),
        ("flex", "2026-02-01", 1, Decimal("0.25"), 4),
        ("flex", "2026-10-12", 1, Decimal("0.25"), 4),
    ]
    patched = in_force(price_set, "o3", "flex", date(2026, 1, 15))
    assert patched
    assert patched.price_basis == "tier_backdated"
    assert patched.source.startswith("output: prices.toml: deal; the rest: ratio of flex to standard")


def test_a_reckoned_rate_is_rounded_half_even_to_12_places() -> None:
    text = """
    [[model]]
    id = "m"
    match = "m"
    based_on = "o4-mini"
    source = "s"
    """
    row = in_force(prices.price_set(own(text)), "m", "flex", date(2026, 1, 1))
    assert row
    assert (row.price_basis, row.cached_input) == ("tier_backdated", Decimal("0.000000138"))


MODEL = '[[model]]\nid = "m"\nmatch = "m"\nsource = "s"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[model", "prices.toml is not valid TOML"),
        (
            "[[modle]]",
            "prices.toml has 'modle', which is nothing that a price file says: did you mean 'model'?",
        ),
        ("[model]", "prices.toml: model is {}, but it has to be written [[model]] with two brackets."),
        ("[[model]]", 'prices.toml, model 1 has no id: write id = "…".'),
        (MODEL, "prices.toml, model 1 (m) has no rates: write rates = [{ input = 2.00, output = 8.00 }]."),
        (MODEL + "rates = 3", "rates is 3, but it has to be written rates = [{ … }]."),
        (MODEL + "rates = [{ input = 1 }]", "model 1 (m), rates 1 needs input and output"),
        (
            MODEL + "rates = [{ inptu = 1 }]",
            "rates 1 has 'inptu', which is nothing that a price file says: did you",
        ),
        (MODEL + "rates = [{ input = 1, output = -1 }]", "output is -1, but it has to be a number"),
        (MODEL + "rates = [{ input = 1, output = nan }]", "it has to be a number from 0 to 10,000."),
        (MODEL + "rates = [{ input = 1, output = true }]", "output is True, but it has to be a number"),
        (MODEL + 'rates = [{ input = "1", output = 1 }]', "input is '1', but it has to be a number"),
        (
            MODEL + "rates = [{ input = 10001, output = 1 }]",
            "input is 10001, but it has to be a number from 0 to",
        ),
        (
            MODEL + "rates = [{ input = 0.0000001, output = 1 }]",
            "input is 1E-7, but it may have 6 digits after the point, not more.",
        ),
        (
            MODEL + 'rates = [{ tier = "fast", input = 1, output = 1 }]',
            "tier is 'fast', but each is one of standard",
        ),
        (MODEL + "rates = [{ tier = [], input = 1, output = 1 }]", "tier is [], but each is one of"),
        (
            MODEL + 'rates = [{ from = "2026-01-01", input = 1, output = 1 }]',
            "from is '2026-01-01', but it has to be a day: from = 2026-01-31.",
        ),
        (MODEL + "rates = [{ from = 2026-01-01T00:00:00Z, input = 1, output = 1 }]", "it has to be a day"),
        (
            MODEL + "rates = [{ from = 2026-01-02, until = 2026-01-02, input = 1, output = 1 }]",
            "ends on 2026-01-02, not after it begins",
        ),
        (
            MODEL + "rates = [{ input = 1, output = 1 }, { input = 2, output = 2 }]",
            "rates 2 begins when another of tier standard does: give one of them another from.",
        ),
        (
            MODEL + "rates = [{ above_input_tokens = 0, input = 1, output = 1 }]",
            "has to be a whole number above 0",
        ),
        ('[[model]]\nid = "m"\nmatch = []\nsource = "s"', "match is empty. Name at least one model"),
        ('[[model]]\nid = "m"\nmatch = 3\nsource = "s"', "match has 3. Write a model's name"),
        ('[[model]]\nid = "m"\nmatch = { like = "m" }\nsource = "s"', "match has {'like': 'm'}. Write"),
        ('[[model]]\nid = "m"\nmatch = { regex = "(" }\nsource = "s"', "the regex '(', which cannot be used"),
        ('[[model]]\nid = "m"\nmatch = { regex = "(?=x)" }\nsource = "s"', "no look-around"),
        ('[[model]]\nid = "m"\nbased_on = "o3"\nsource = "s"', "has no match, so nothing would use it"),
        (
            MODEL + 'tiers = ["flex"]\nrates = [{ input = 1, output = 1 }]',
            "tiers says what it shares with based_on",
        ),
        ('[[model]]\nid = "m"\nmatch = "m"\nrates = []', 'has no source: write source = "…".'),
        (
            '[[model]]\nid = "gpt-4-1"\nsource = "s"\nrates = [{ input = 1 }]',
            "has no match, so it changes the prices of 'gpt-4-1', and no prices are known under that id: did you mean",
        ),
        (
            MODEL + 'based_on = "gpt4o"',
            "prices.toml, model 1 (m) is based on 'gpt4o', and no prices are known under that id: did you mean 'gpt-4o'?",
        ),
        (
            '[[model]]\nid = "o3"\nmatch = "o3"\nsource = "s"\nrates = [{ input = 1, output = 1 }]',
            "there are prices under that id already: leave match out",
        ),
        (
            '[[model]]\nid = "gpt-4o"\nsource = "s"\nrates = [{ tier = "flex", input = 1 }]',
            "gives only input for tier flex, of which no other price is known: give input and output too.",
        ),
        (
            MODEL + "rates = [{ input = 1, output = 1 }]\n" + MODEL + "rates = [{ input = 1, output = 1 }]",
            "model 2 (m) has the id of an entry before it",
        ),
        (
            '[[multiplier]]\nsource = "eu"\nreason = "r"',
            "multiplier 1: factor is None, but it has to be a number",
        ),
        ('[[multiplier]]\nsource = "eu"\nreason = "r"\nfactor = 0', "factor is 0, but it must be above 0."),
        (
            '[[multiplier]]\nsource = "eu"\nreason = "r"\nfactor = 1.1234567',
            "may have 6 digits after the point",
        ),
        (
            '[[multiplier]]\nsource = "eu"\nreason = "r"\nfactor = 1.1\n' * 2,
            "two multipliers of source 'eu' hold on the same days.",
        ),
        (
            '[[batch]]\nreason = "r"',
            "batch 1 would take every completion for a batch: name a source, a model or",
        ),
        ('[[batch]]\nreason = "r"\nmetadata = { a = "b", c = "d" }', "metadata takes one pair"),
        ('[[batch]]\nreason = "r"\nmetadata = { a = 1 }', "metadata takes one pair"),
        ('[[batch]]\nsource = "s"', 'batch 1 has no reason: write reason = "…".'),
    ],
)
def test_a_file_that_cannot_be_right_is_refused_with_a_remedy(text: str, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        prices.price_set(own(text))
    assert said in str(refused.value)
    assert str(refused.value).startswith("prices.toml")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"The price file .*none\.toml cannot be read \(No such file or directory\)"
    ):
        price_overrides.read(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b"# \xe9")
    with pytest.raises(UsageError, match="it is not UTF-8 text"):
        price_overrides.read(tmp_path / "latin.toml")


def test_the_set_that_comes_with_the_package_is_the_one_made_here() -> None:
    assert shipped.PATH.read_text(encoding="utf-8") == text(), "shipped.json is behind: run `make prices`"
    assert shipped.read(prices.fingerprint()) == BUILT_IN == prices.price_set()


def test_a_shipped_set_of_other_prices_or_code_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text(shipped.text("old", BUILT_IN), encoding="utf-8")
    assert shipped.read("old", tmp_path / "old.json") == BUILT_IN
    assert shipped.read(prices.fingerprint(), tmp_path / "old.json") is None
    assert prices.fingerprint(own(MODEL + "rates = [{ input = 1, output = 2 }]")) != prices.fingerprint()


def test_a_new_warehouse_gets_its_prices_without_the_library() -> None:
    program = (
        "import sys, duckdb\n"
        "from stored_completions.prices import sets\n"
        "assert sets.load(duckdb.connect())\n"
        "print(sorted({'genai_prices', 'pydantic'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_prices_are_written_when_they_changed_and_every_set_is_noted() -> None:
    connection = duckdb.connect()
    mine = own(MODEL + "rates = [{ input = 1, output = 2 }]")
    assert [prices.load(connection, given) for given in (price_overrides.NONE,) * 2 + (mine,) * 2] == [
        True,
        False,
        True,
        False,
    ]
    assert prices.stored(connection) == prices.price_set(mine)
    assert prices.load(connection)
    assert prices.stored(connection) == BUILT_IN
    noted = rows(
        connection, "select * exclude (fingerprint, loaded_at) from chat.price_sets order by loaded_at"
    )
    assert noted == [
        {
            "genai_prices_version": "0.2.3",
            "stored_completions_version": __version__,
            "rules": len(price_set.rules),
            "prices": len(price_set.prices),
            "overrides": given.text,
        }
        for given, price_set in (
            (price_overrides.NONE, BUILT_IN),
            (mine, prices.price_set(mine)),
            (price_overrides.NONE, BUILT_IN),
        )
    ]
    marks = rows(connection, "select fingerprint from chat.price_sets order by loaded_at")
    assert [row["fingerprint"] for row in marks] == [
        prices.fingerprint(given) for given in (price_overrides.NONE, mine, price_overrides.NONE)
    ]


def test_prices_that_are_replaced_leave_the_descriptions_of_their_tables(tmp_path: Path) -> None:
    connection = duckdb.connect()
    blank.fill(connection, tmp_path)
    described = (
        "select table_name, column_name, comment from duckdb_columns() where comment is not null order by all"
    )
    before = rows(connection, described)
    assert "model_prices" in {row["table_name"] for row in before}
    assert prices.load(connection)
    assert prices.load(connection, own(MODEL + "rates = [{ input = 1, output = 2 }]"))
    assert rows(connection, described) == before


def test_overrides_that_cannot_be_applied_leave_the_prices_as_they_were() -> None:
    connection = duckdb.connect()
    prices.load(connection)
    with pytest.raises(UsageError):
        prices.load(connection, own('[[model]]\nid = "none"\nsource = "s"\nrates = [{ input = 1 }]'))
    assert prices.stored(connection) == BUILT_IN
    assert not prices.load(connection)


def explained(model: str, tier: str | None, day: str, tokens: int = 0) -> Explanation:
    return prices.explain(BUILT_IN, model, tier, date.fromisoformat(day), tokens)


def test_an_explanation_says_rule_row_basis_and_source() -> None:
    found = explained("gpt-5-2025-08-07", "flex", "2026-01-20")
    assert found.rule == PriceRule(
        next(rule.rule_no for rule in BUILT_IN.rules if rule.pattern == "gpt-5-2025-08-07"),
        "equals",
        "gpt-5-2025-08-07",
        "gpt-5",
        "genai-prices 0.2.3",
    )
    assert found.price
    assert (found.price.tier, found.price.input, found.price.valid_to) == (
        "flex",
        Decimal("0.000000625"),
        date(2026, 10, 12),
    )
    assert found.basis == "tier_backdated"
    assert found.source == (
        "ratio of flex to standard when first listed (2026-10-12), on standard: genai-prices 0.2.3, gpt-5"
    )
    assert found.unpriced_reason is None


@pytest.mark.parametrize(
    ("model", "tier", "tokens", "expected"),
    [
        ("gpt-5.4", None, 272_000, "2.5"),
        ("gpt-5.4", "auto", 272_001, "5"),
        ("gpt-5.4", "batch", 272_001, "2.5"),
        ("gpt-5.4", "fast", 0, "5"),
        ("gpt-5.4", "scale", 0, "no_price_for_tier"),
        ("gpt-4o", "flex", 0, "no_price_for_tier"),
        ("whisper-1", None, 0, "no_token_price"),
        ("llama", None, 0, "unknown_model"),
    ],
)
def test_an_explanation_knows_tiers_bands_and_reasons(
    model: str, tier: str | None, tokens: int, expected: str
) -> None:
    found = explained(model, tier, "2026-11-01", tokens)
    per_million = found.price and (found.price.input * 1_000_000).normalize()
    assert str(found.unpriced_reason or per_million) == expected
