"""What the operating system says about processes: CPU, memory, cores, descriptors. Linux only."""

import contextlib
import os
import resource
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_CORES = sorted(os.sched_getaffinity(0))
"""The cores we may use."""


def raise_descriptor_limit() -> int:
    """Let this process and its children open as many sockets as the hard limit allows; return that number."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def free_port() -> int:
    """Return a loopback port nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def pin(pid: int, core: int) -> None:
    """Keep a process on one core, where there are two: else generator and server measure each other's moves."""
    if len(_CORES) > 1:
        for thread in os.scandir(f"/proc/{pid or os.getpid()}/task"):
            os.sched_setaffinity(int(thread.name), {_CORES[core]})


def unpin(pid: int) -> None:
    """Let a process run anywhere again."""
    os.sched_setaffinity(pid, _CORES)


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of one process, ended children included (ours excluded); 0 when it has gone."""
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ended_children = [] if pid == os.getpid() else words[13:15]
        return sum(int(word) for word in (*words[11:13], *ended_children)) / _TICKS
    return 0.0


def exact_cpu_s(pid: int) -> float:
    """Return the CPU seconds of one living process to the microsecond, as the scheduler counts its threads."""
    try:
        threads = [Path(entry.path, "schedstat") for entry in os.scandir(f"/proc/{pid}/task")]
        return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9
    except OSError:
        return cpu_s(pid)  # a kernel without these figures: hundredths of a second


def memory_kb(pid: int) -> int:
    """Return the resident memory of one process in KiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def shared_memory_kb(pid: int) -> int:
    """Return the memory of one process in KiB, pages it shares with others divided among them."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def socket_buffers_kb() -> int:
    """Return the memory that the kernel holds in buffers of all TCP sockets, in KiB."""
    for line in Path("/proc/net/sockstat").read_text().splitlines():
        if line.startswith("TCP:"):
            return int(line.split()[-1]) * os.sysconf("SC_PAGE_SIZE") // 1024
    return 0


def families(roots: Iterable[int]) -> dict[int, list[int]]:
    """Return each root pid with all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                stat = Path(entry.path, "stat").read_text()
                children.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry.name))
    found = {}
    for root in roots:
        family = [root]
        for member in family:  # grows while it is walked
            family += children.get(member, [])
        found[root] = family
    return found


class CpuMeter:
    """CPU that groups of processes use between two moments; a group is a name and its root pids."""

    def __init__(self, groups: Mapping[str, Iterable[int]]) -> None:
        """Begin now."""
        self._groups = {name: list(pids) for name, pids in groups.items()}
        self._before = self._read()

    def _read(self) -> dict[str, float]:
        members = families(pid for pids in self._groups.values() for pid in pids)
        ours = os.getpid()  # everything we started descends from us: we are counted alone
        return {
            name: sum(cpu_s(member) for pid in pids for member in ([pid] if pid == ours else members[pid]))
            for name, pids in self._groups.items()
        }

    def used_s(self) -> dict[str, float]:
        """Return the CPU seconds of each group since the beginning."""
        now = self._read()
        return {name: now[name] - self._before[name] for name in now}
