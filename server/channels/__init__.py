"""Channels: permissions, the log behind them, long polls, lag, revocations."""
