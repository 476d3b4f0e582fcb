"""Benchmarks: one module each, with the baseline measured in the same run. `./mnbara bench [NAME…]` prints the table."""
