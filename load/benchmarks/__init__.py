"""Benchmarks: one module each, the baseline measured in the same run. `./mnbara bench [NAME…]` prints the table."""
