"""Whether the books add up: checked all the time, shown to operators, and in metrics."""
