"""What locust's users do, by domain."""
