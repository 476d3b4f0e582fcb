"""What a server process has metrics show: sockets, their ends, and passwords that are hashed."""

from handlers.auth.passwords import PasswordHasher
from realtime.endpoints.emulation import Emulation
from realtime.hub import Hub
from server.process.metrics import Metrics


def socket_figures(hub: Hub, emulation: Emulation) -> dict[str, float]:
    """Return the realtime core's counters under the names that metrics show."""
    counters = hub.counters
    streams = emulation.streams_by_transport()
    connections = len(hub.connections)
    return {
        "connections": connections,
        "connections_websocket": max(0, connections - sum(streams.values())),
        **{f"connections_{transport}": count for transport, count in streams.items()},
        "subscriptions": hub.subscriptions(),
        "queue_bytes": hub.bytes_queued(),
        "deliveries": counters.deliveries,
        "slow_cuts": counters.slow_cuts,
        "unvouched_cuts": counters.unvouched_cuts,
        "flood_cuts": counters.flood_cuts,
        **{f"refused_{reason}": count for reason, count in counters.refused.items()},
    }


def follow_process(metrics: Metrics, hub: Hub, emulation: Emulation, hasher: PasswordHasher) -> None:
    """Have metrics show the figures of a process from now on."""
    metrics.follow_passwords(hasher)
    metrics.follow_hooks(hub.hooks)
    metrics.follow_sockets(lambda: socket_figures(hub, emulation))
