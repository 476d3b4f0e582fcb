"""What every process has: settings, logs, metrics, a way in for connections, garbage collected at quiet times."""
