"""Soak: load for minutes while processes are killed, restarted and stormed; every event and every answer counts.

`./mnbara soak [NAME…] [--minutes N]`.
"""
