"""Joins everything: settings, wiring, the pipeline, the doors, the worker, the command line. Nothing imports it."""
