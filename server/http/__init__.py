"""The REST door: HTTP requests into commands, answers and refusals out, and the operators' pages."""
