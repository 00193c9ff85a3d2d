"""Stored chat completions of the OpenAI API, synced into DuckDB for SQL."""

__version__ = "0.1.0"
