"""Load tools: the demo, locust scenarios and benchmarks. They speak the public words only, like any client."""
