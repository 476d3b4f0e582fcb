"""Fifty simulated users on a running server, with the official Python SDK; what they see is checked as they go."""
