"""Figures, the table they are printed in, and the JSON file they are kept in."""

import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured number, its baseline of the same run, and the target it is held against."""

    benchmark: str
    what: str
    value: float
    unit: str
    baseline: float | None = None
    baseline_is: str = ""
    target: float | None = None
    better: Literal["higher", "lower"] = "lower"
    against: Literal["value", "ratio"] = "value"
    """Whether the target is one for the value, or for value divided by baseline."""
    notes: dict[str, float | int | str] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """Value divided by baseline."""
        return self.value / self.baseline if self.baseline else None

    @property
    def is_met(self) -> bool | None:
        """Whether the target is met; None when there is none."""
        held = self.ratio if self.against == "ratio" else self.value
        if self.target is None or held is None:
            return None
        return held >= self.target if self.better == "higher" else held <= self.target

    def target_in_words(self) -> str:
        """Return such as `≥ 15,000` or `≤ 1.15x`."""
        if self.target is None:
            return ""
        sign = "≥" if self.better == "higher" else "≤"
        return f"{sign} {number(self.target)}{'x' if self.against == 'ratio' else ''}"


def number(value: float) -> str:
    """Return a number with as many digits as it deserves."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def print_table(figures: Sequence[Figure], console: Console | None = None) -> None:
    """Print one row per figure, and its notes below."""
    table = Table(title="Mnbara benchmarks", title_justify="left", show_lines=False, header_style="bold")
    for name in ("benchmark", "what", "value", "unit", "baseline", "ratio", "target", ""):
        right = name in {"value", "baseline", "ratio", "target"}
        table.add_column(name, justify="right" if right else "left", no_wrap=not right and name != "what")
    for figure in figures:
        verdict = {None: "", True: "[green]met[/]", False: "[red]missed[/]"}[figure.is_met]
        table.add_row(
            figure.benchmark,
            figure.what,
            number(figure.value),
            figure.unit,
            "" if figure.baseline is None else number(figure.baseline),
            "" if figure.ratio is None else f"{figure.ratio:.2f}x",
            figure.target_in_words(),
            verdict,
        )
    out = console or Console(width=None if os.isatty(1) else 150)
    out.print(table)
    for figure in figures:
        notes = [f"{name} {number(v) if isinstance(v, float) else v}" for name, v in figure.notes.items()]
        if figure.baseline_is:
            notes.insert(0, f"baseline: {figure.baseline_is}")
        if notes:
            out.print(
                f"  {figure.benchmark}, {figure.what}: {' · '.join(notes)}", style="dim", soft_wrap=True
            )


def keep(figures: Sequence[Figure], path: Path) -> None:
    """Write the figures of this run as JSON, with what is needed to judge them later."""
    told = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "system": platform.release(),
            "load_average": os.getloadavg()[0],
        },
        "figures": [asdict(f) | {"ratio": f.ratio, "is_met": f.is_met} for f in figures],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told, indent=1) + "\n")
