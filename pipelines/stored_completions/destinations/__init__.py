"""A second home of a warehouse: a dataset on PostgreSQL, kept equal row for row.

A sync works on the local file as always; `shipping` then brings what changed to the destination, package
by package, each all or nothing. `changes` knows what changed, `opening` which destination is meant.
"""
