"""Joins everything: settings, wiring, pipeline, doors, worker, command line. Nothing imports it."""
