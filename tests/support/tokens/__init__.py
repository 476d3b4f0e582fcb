"""Contracts that tests of the settlement deal with."""

from pathlib import Path

SOURCES = Path(__file__).parent
