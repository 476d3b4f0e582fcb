"""The life of a process: settings, wiring, start and stop, logs, metrics."""
