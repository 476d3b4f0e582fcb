"""When a silent provider is asked again, and when a person has to look."""

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

UNKNOWN_WAITS_MS = (5 * MINUTE_MS, HOUR_MS, *(DAY_MS,) * 5)
"""Before each question about a call whose outcome is unknown."""

PENDING_WAITS_MS = (5 * MINUTE_MS, HOUR_MS, DAY_MS)
"""Before each question about what the provider says is under way."""


def next_check_ms(checks: int, *, is_known: bool) -> int | None:
    """Return the wait before the next question, given how many there were; None when a person has to look."""
    waits = PENDING_WAITS_MS if is_known else UNKNOWN_WAITS_MS
    return waits[checks] if checks < len(waits) else None
