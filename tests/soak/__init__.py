"""The long test: syncs that are killed, stopped and doubled while an account changes and readers look on."""
