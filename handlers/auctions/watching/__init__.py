"""Watch lists, notices to watchers, how many view an auction."""
