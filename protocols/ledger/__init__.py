"""The words of the transparency log."""
