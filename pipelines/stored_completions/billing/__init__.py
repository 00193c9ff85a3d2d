"""The organization's bill: what its admin API says was used and charged, beside what is stored.

`settings` who may read it and from when; `reading` its pages; `pages`, `reports` and `line_items` what
stands in them; `storing` the tables; `syncing` the whole of it, as part of a sync.
"""
