"""The live view: on a terminal a screen, drawn four times a second; elsewhere a plain line every five seconds."""

import asyncio
import time

from rich.console import Console, Group
from rich.layout import Layout
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from load.demo.board import Board, Lot, money
from load.latencies import Latencies

PLAIN_EVERY_S = 5.0
FRAMES_PER_S = 4
_BLOCKS = " ▁▂▃▄▅▆▇█"
_STYLES = {"live": "green", "sold": "bold yellow", "unsold": "dim", "scheduled": "cyan", "cancelled": "red"}


def plain_line(board: Board) -> str:
    """Return the figures of this moment as one line."""
    live = sum(1 for lot in board.lots.values() if lot.status == "live")
    return (
        f"{board.elapsed_s():5.0f} s  {board.users} users  {len(board.lots)} auctions ({live} live)  "
        f"{board.bids} bids, {board.bids_per_s():.1f}/s  place_bid {_short(board.replies)}  "
        f"bid to event {_short(board.sightings)}  {board.deliveries} events seen  "
        f"{sum(board.refusals.values())} refused  {len(board.errors)} errors"
    )


def _short(latencies: Latencies) -> str:
    return f"p50 {latencies.ms(0.5):.0f} p95 {latencies.ms(0.95):.0f} ms"


def curve(values: list[int]) -> str:
    """Return a row of blocks, as high as the values."""
    top = max(values, default=0) or 1
    return "".join(_BLOCKS[(value * 8 + top - 1) // top] for value in values)


def _lots(board: Board) -> Table:
    table = Table(expand=True, box=None, header_style="bold", pad_edge=False)
    table.add_column(
        "lot", min_width=max((len(lot.title) for lot in board.lots.values()), default=0), no_wrap=True
    )
    for name in ("price", "next bid", "leader", "bids", "watching", "ends in"):
        table.add_column(name, justify="left" if name == "leader" else "right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for lot in sorted(board.lots.values(), key=lambda lot: (lot.status != "live", lot.ends_at)):
        table.add_row(
            Text(lot.title, style="bold" if lot.status == "live" else "dim"),
            money(lot.price),
            money(lot.minimum_bid) if lot.status == "live" else "",
            (lot.leader or "").removeprefix("bidder_"),
            str(lot.bid_count),
            str(lot.watchers),
            _remaining(lot),
            Text(lot.status, style=_STYLES.get(lot.status, "")),
        )
    return table


def _remaining(lot: Lot) -> Text:
    if lot.status != "live":
        return Text("")
    left_s = lot.ends_at - time.time()
    style = "bold red" if left_s < 10 else "yellow" if left_s < 30 else ""
    longer = f" +{lot.extensions}" if lot.extensions else ""
    return Text(f"{max(left_s, 0.0):.0f} s{longer}", style=style)


def _figures(board: Board) -> Table:
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(no_wrap=True)
    rows = {
        "bids": f"{board.bids:,}   now {board.bids_per_s():.1f}/s",
        "place_bid": board.replies.in_words(),
        "bid to event": board.sightings.in_words(),
        "events seen": f"{board.deliveries:,}",
        "refused": ", ".join(f"{word} {count}" for word, count in board.refusals.items()) or "0",
        "beside bidding": _errands(board),
        "retried, reconnected": f"{board.retries}, {board.reconnects}",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    style = "bold red" if board.errors else "green"
    table.add_row("errors", Text(str(len(board.errors)), style=style))
    return table


def _errands(board: Board) -> str:
    return ", ".join(f"{name} {count}" for name, count in board.errands.most_common()) or "nothing"


def draw(board: Board, seconds: int) -> Layout:
    """Return the screen of this moment."""
    title = (
        f"[bold]Mnbara demo[/]  {board.users} users  {board.elapsed_s():.0f} of {seconds} s  Ctrl-C ends it"
    )
    recent = Text.from_markup("\n".join(board.recent) or "the doors open …")
    layout = Layout()
    layout.split_column(
        Layout(Panel(_lots(board), title=title, title_align="left"), name="lots", ratio=3),
        Layout(name="below", size=12),
    )
    bids = Text(curve(board.curve()), style="green")
    layout["below"].split_row(
        Layout(Panel(Group(_figures(board), bids), title="figures", title_align="left")),
        Layout(Panel(recent, title="just now", title_align="left")),
    )
    return layout


async def show(board: Board, seconds: int, stop: asyncio.Event, console: Console) -> None:
    """Show the board until `stop` is set."""
    if not console.is_terminal:
        while not await _wait(stop, PLAIN_EVERY_S):
            console.print(plain_line(board), soft_wrap=True, highlight=False)
        return
    with Live(draw(board, seconds), console=console, screen=True, auto_refresh=False) as live:
        while not await _wait(stop, 1 / FRAMES_PER_S):
            live.update(draw(board, seconds), refresh=True)


async def _wait(stop: asyncio.Event, seconds: float) -> bool:
    """Return True when `stop` was set within the time."""
    try:
        async with asyncio.timeout(seconds):
            return await stop.wait()
    except TimeoutError:
        return False


def print_summary(board: Board, console: Console) -> None:
    """Print how it ended."""
    console.print(_lots(board))
    lasted_s = max(board.elapsed_s(), 1e-9)
    console.print(
        f"\n{board.users} users placed {board.bids:,} durable bids ({board.bids / lasted_s:.1f}/s) "
        f"on {len(board.lots)} auctions and saw {board.deliveries:,} events in {lasted_s:.0f} s",
        highlight=False,
        soft_wrap=True,
    )
    for name, latencies in (("place_bid", board.replies), ("bid to event", board.sightings)):
        console.print(f"{name:13} {latencies.in_words()}", highlight=False)
    refused = ", ".join(f"{word} {count}" for word, count in board.refusals.items()) or "none"
    console.print(
        f"refused       {refused}; retried {board.retries}, reconnected {board.reconnects}", highlight=False
    )
    console.print(f"beside it     {_errands(board)}", highlight=False)
    if board.errors:
        console.print(f"[bold red]{len(board.errors)} errors[/]")
        for sentence in board.errors[:10]:
            console.print(f"  {sentence}", highlight=False, markup=False)
    else:
        console.print(
            "[bold green]no errors[/]: event numbers without a gap, no price fell, every acknowledged bid was seen",
            soft_wrap=True,
        )
