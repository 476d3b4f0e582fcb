"""Who waits outside is taken a few per turn, in order, none is reset when the port is left, and a full system waits."""

import asyncio
import errno
import socket

import pytest

from server.process.accepting import Acceptor


class Greeter(asyncio.Protocol):
    """Says hello and closes."""

    def __init__(self, peer):
        assert peer == "127.0.0.1"

    def connection_made(self, transport):
        transport.write(b"hello")
        transport.close()


@pytest.fixture
def listening():
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen(512)
    server.setblocking(False)
    yield server
    server.close()


def knock(listening, count):
    """Connect without waiting for anybody to accept; the kernel does."""
    clients = [socket.create_connection(listening.getsockname()) for _ in range(count)]
    for client in clients:
        client.settimeout(5)
    return clients


async def heard(clients):
    return [await asyncio.to_thread(client.recv, 16) for client in clients]


async def test_a_queue_is_taken_for_a_bounded_time_of_each_turn(listening, monkeypatch):
    monkeypatch.setattr("server.process.accepting.TURN_S", 0.0)  # one per turn
    clients = knock(listening, 10)
    made = []

    def make(peer):
        made.append(1)
        return Greeter(peer)

    acceptor = Acceptor(listening, make)
    acceptor.start()
    per_turn, before = [], 0
    for _ in range(20):
        await asyncio.sleep(0)
        per_turn.append(len(made) - before)
        before = len(made)
    async with asyncio.timeout(5):
        while len(made) < len(clients):
            await asyncio.sleep(0.01)
    assert max(per_turn) == 1
    assert await heard(clients) == [b"hello"] * len(clients)
    acceptor.stop()
    for client in clients:
        client.close()


async def test_nobody_is_taken_while_those_taken_wait(listening):
    behind, made = [True], []

    def make(peer):
        made.append(peer)
        return Greeter(peer)

    clients = knock(listening, 3)
    acceptor = Acceptor(listening, make, lambda: behind[0])
    acceptor.start()
    for _ in range(20):
        await asyncio.sleep(0)
    assert not made
    behind[0] = False
    assert await heard(clients) == [b"hello"] * len(clients)
    acceptor.stop()
    for client in clients:
        client.close()


async def test_who_waits_when_the_port_is_left_is_served_and_nobody_after(listening):
    clients = knock(listening, 6)
    address = listening.getsockname()
    acceptor = Acceptor(listening, Greeter)
    acceptor.start()
    acceptor.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
    assert await heard(clients) == [b"hello"] * len(clients)
    acceptor.start()  # a process that was told to end while it began
    for client in clients:
        client.close()


class Exhausted:
    """A listener of a process that has no descriptor left, for a while."""

    def __init__(self, listening, failures):
        self.listening, self.failures = listening, failures

    def accept(self):
        if self.failures:
            self.failures -= 1
            raise OSError(errno.EMFILE, "too many open files")
        return self.listening.accept()

    def fileno(self):
        return self.listening.fileno()

    def shutdown(self, how):
        self.listening.shutdown(how)

    def close(self):
        self.listening.close()


async def test_without_descriptors_the_queue_waits_and_the_loop_does_not_spin(listening, monkeypatch):
    monkeypatch.setattr("server.process.accepting.EXHAUSTED_PAUSE_S", 0.05)
    clients = knock(listening, 2)
    exhausted = Exhausted(listening, failures=3)
    acceptor = Acceptor(exhausted, Greeter)
    began = asyncio.get_running_loop().time()
    acceptor.start()
    assert await heard(clients) == [b"hello"] * 2
    assert asyncio.get_running_loop().time() - began >= 0.15
    assert exhausted.failures == 0
    acceptor.stop()
    for client in clients:
        client.close()
