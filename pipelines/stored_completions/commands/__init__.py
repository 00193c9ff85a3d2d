"""The larger commands, one module each, and the options that commands share; `cli` puts them together."""
