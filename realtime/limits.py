"""Every bound of the realtime core, with its unit and its reason. Tests may use others."""

from dataclasses import dataclass

from protocols.budgets import Rule

MESSAGE_BYTES_MAX = 65_536
"""The largest message a client may send, over all its fragments, in bytes ."""

FRAGMENTS_MAX = 1024
"""Frames of one message: even 64 KiB in pieces of 64 bytes fit."""

FRAGMENT_BYTES_MIN = 128
"""A fragment that is not the last and carries less takes from the budget of frames; larger ones are bounded by the
size of their message, and messages by the budgets of commands."""

FRAMES_RULE = Rule("frames", count=600, period_s=60, burst=255)
"""One websocket's frames that are no command: pings, pongs, closes, small fragments, and whatever comes after the
server's close frame. 10 a second, 256 at once; browsers and proxies send one every few seconds."""

TURN_FRAMES_MAX = 64
"""Frames of one websocket handled in one turn of the event loop, some 0.2 ms when they are empty; the rest waits for
the next turn, so that every other connection has its own in between."""

TURN_BYTES_MAX = 65_536
"""Bytes of one websocket after which its turn ends too; also ends the event loop's own row of reads, which is 8 MB."""

DISCARDED_BYTES_MAX = 16 << 20
"""Bytes read from a peer that broke a rule, so that it sees the close frame; then it is cut. More than the buffers of
both systems hold."""

FRAME_BYTES_AIM = 32_768
"""Publications of one tick share a frame up to this size: fewer frames, yet small ones for mobile clients."""

COMMANDS_RULE = Rule("commands", count=3000, period_s=60, burst=599)
"""Units of one connection's commands other than RPC, which has its user's budget: 50 a second, 600 at once. A client
that reconnects with all its 128 subscriptions to recover takes 260."""

REFUSALS_RULE = Rule("refusals", count=600, period_s=60, burst=255)
"""Refusals because of a spent budget, and pongs without a ping: 10 a second, 256 at once. Above it the client is
disconnected."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one hub and its connections."""

    commands_per_frame_max: int = 256
    """An optimistic first frame carries a connect and up to 128 subscribes."""
    channels_per_connection_max: int = 128
    channel_name_max: int = 255
    """Bytes of a channel's name."""
    rpcs_in_flight_max: int = 64
    """RPCs of one connection that wait for an answer; then its socket is not read."""
    commands: Rule | None = COMMANDS_RULE
    refusals: Rule | None = REFUSALS_RULE
    """None for both lets every connection send as fast as it can."""
    outgoing_bytes_max: int = 1 << 20
    """Bytes of pushes waiting for one slow reader, the transport's buffer included."""
    replies_bytes_max: int = 262_144
    """Unsent bytes above which a connection's next command waits until it has read its answers."""

    connections_max: int = 19_500
    """Sockets and streams of one process together; more are refused until some leave (20,000 descriptors)."""
    lag_max_s: float = 0.5
    """A process whose event loop is later than this refuses new connections: the existing ones would notice each."""
    lag_step_s: float = 0.1
    """How often that is measured."""
    unsent_bytes_max: int = 256 << 20
    """Bytes waiting for all slow readers together; above it new connections are refused."""
    connects_at_once_max: int = 1_000
    """Connects that wait for the database or the bus; when both work, tens of thousands a second are served."""
    opens_at_once: int = 2
    """Batches of channels that open at the same time; further channels share the query of the next batch."""
    stream_high_water_bytes: int = 65_536
    """Unsent bytes of a streamed answer above which its connection waits, as a websocket's transport makes it."""
    stream_inbox_bytes_max: int = 262_144
    """Posted bytes kept for one stream while its connection is busy; above it the client is disconnected (3013)."""

    ring_entries_max: int = 10_000
    """Publications of one channel kept in memory, and the most one recovery carries."""
    ring_bytes_max: int = 4 << 20
    """Their bytes, likewise."""
    rings_bytes_max: int = 256 << 20
    """Bytes of all rings of the process; above it the largest rings are cut in half (the log has it all)."""
    values_max: int = 10_000
    """Keys of one latest channel kept in memory; above it the longest unchanged one is dropped."""
    held_max: int = 10_000
    """Publications of one channel held while an earlier one is missing; later ones come from the log."""
    page_entries: int = 1_000
    """Entries asked of the log at a time."""
    presence_members_max: int = 1_000
    """Clients one answer lists; larger channels can be counted only."""
    publish_bytes_max: int = 32_768
    """Bytes of one publication of a client."""
    history_entries_max: int = 1_000
    history_bytes_max: int = 1 << 20

    gap_wait_s: float = 0.02
    """How long a missing number may be on its way from another process before the log is asked."""
    announce_wait_s: float = 0.1
    """Likewise after the relay announced a number that has not arrived."""
    retry_min_s: float = 0.05
    retry_max_s: float = 2.0
    """Back-off while the log is out of reach."""
    fills_at_once: int = 8
    """Channels filled from the log at the same time."""
    sweep_s: float = 10.0
    """Every active replayed channel is compared with the log once in this time."""
    sweep_batch: int = 500
    silent_sweep_s: float = 0.25
    """Pause between comparisons of all channels, latest ones too, while the bus is silent."""
    silent_sweep_rest: float = 3.0
    """That pause is at least so many times what a comparison took: many channels must not load the database."""
    vouch_step_s: float = 0.5
    unvouched_max_s: float = 10.0
    """How long bus and log may be out of reach together before clients are told that channels may be behind. A restart
    of an engine takes less."""
    linger_s: float = 15.0
    """A channel without subscribers stays this long: clients that reconnect find its ring."""

    presence_repeat_s: float = 20.0
    """How often presence, offset reports and viewer counts are written again; entries live three times as long."""
    ping_s: float = 25.0
    pong_timeout_s: float = 10.0
    connect_timeout_s: float = 10.0
    expiry_grace_s: float = 25.0
    """A connection outlives its token by this, so that a refresh can cross the network."""
    tick_s: float = 1.0
    """Step of the timer wheel for all deadlines."""
    finish_commands_s: float = 5.0
    """How long a stopping process waits for commands under way, after the grace time of `Hub.drain`."""
    close_timeout_s: float = 5.0
    """How long a closing socket may take to answer before its transport is aborted."""
