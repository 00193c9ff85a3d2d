"""Price data and the user's own prices -> dated rows that SQL prices completions with.

The way of the data: `library` (genai-prices) and `overrides` (built-in and the user's) -> `lists` (what holds
when) -> `sets` (the `rows` of the price tables). The set without the user's own prices is `shipped`, ready made.
`changes` and `texts` say what a set means to a person.
"""
