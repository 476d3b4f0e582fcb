"""Nodes on loopback: py-evm behind a small JSON-RPC server, and anvil where npm brings it."""

import fcntl
import functools
import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.evm import Evm

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".local" / "anvil"
PINNED = ROOT / "tests" / "anvil"
KEY = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
"""Of anvil's first account, which is rich; everybody knows it."""
POOR_KEY = "11" * 32


# -- a server that a test writes the answers of ---------------------------------------------------------------

Answer = Callable[[str, list[Any]], Any]
"""Makes the result of a call, or raises RpcError; bytes are sent as they are."""


class RpcError(Exception):
    """Is answered as the error of a call."""


@contextmanager
def serve_rpc(answer: Answer) -> Iterator[str]:
    """Serve JSON-RPC on loopback; return its URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            call = json.loads(self.rfile.read(int(self.headers["content-length"])))
            told: dict[str, Any] = {"jsonrpc": "2.0", "id": call["id"]}
            try:
                told["result"] = answer(call["method"], call["params"])
            except RpcError as error:
                told["error"] = {"code": -32000, "message": str(error)}
            except ConnectionError:
                self.close_connection = True
                return
            result = told.get("result")
            body = result if isinstance(result, bytes) else json.dumps(told).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def answer_by(evm: Evm) -> Answer:
    """Return what answers calls by py-evm; every transaction is in a block at once."""
    from web3 import EthereumTesterProvider, Web3

    provider = EthereumTesterProvider(evm.tester)
    web3 = Web3(provider, middleware=[])
    ask = provider.request_func(web3, web3.middleware_onion)
    lock = threading.Lock()

    def answer(method: str, params: list[Any]) -> Any:
        with lock:
            try:
                told = ask(method, params)
            except Exception as error:  # noqa: BLE001 - eth-tester and py-evm have a dozen, all of them a "no"
                raise RpcError(str(error)) from None
        if told.get("error"):
            raise RpcError(str(told["error"]))
        return _as_nodes_say(told["result"])

    return answer


def _as_nodes_say(value: Any) -> Any:
    """Return a value with its numbers and bytes in hexadecimal."""
    if isinstance(value, dict):
        return {
            name: hex_bloom(each) if name == "logsBloom" else _as_nodes_say(each)
            for name, each in value.items()
        }
    if isinstance(value, list | tuple):
        return [_as_nodes_say(each) for each in value]
    if isinstance(value, bool | str | None):
        return value
    return hex(value) if isinstance(value, int) else "0x" + bytes(value).hex()


def hex_bloom(value: Any) -> str:
    return f"0x{value:0512x}" if isinstance(value, int) else value


# -- anvil ----------------------------------------------------------------------------------------------------


@functools.cache
def find_anvil() -> str:
    """Return the program, fetched by npm if it is not here. Skips the test when it cannot be had."""
    if on_path := shutil.which("anvil"):
        return on_path
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:  # several workers of the tests may want it at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _fetched():
            _fetch()
    return str(_fetched()[0])


def _fetch() -> None:
    """Fetch what the lock pins, checked by its hashes, and run nothing of it."""
    if shutil.which("npm") is None:
        pytest.skip("anvil is not here, and neither is npm to fetch it")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(PINNED / name, FOLDER)
    command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode or not _fetched():
        pytest.skip(f"npm cannot fetch anvil: {(done.stderr or done.stdout).strip()[-200:]}")


def _fetched() -> list[Path]:
    return sorted(FOLDER.glob("node_modules/@foundry-rs/anvil-*/bin/anvil"))


class Anvil:
    """A running anvil; it makes blocks when it is told to. Two blocks make one final."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [
            find_anvil(),
            *("--host", "127.0.0.1", "--port", str(self.port)),
            *("--no-mining", "--order", "fees", "--silent", "--slots-in-an-epoch", "1"),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while True:
            try:
                self.call("eth_chainId")
            except OSError:
                assert self._process.poll() is None, "anvil ended"
                assert time.monotonic() < deadline, "anvil does not answer"
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None

    def call(self, method: str, *params: Any) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        request = urllib.request.Request(self.url, body, {"content-type": "application/json"})  # noqa: S310 - ours
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - ours
            told = json.load(answer)
        if "error" in told:
            raise RpcError(told["error"]["message"])
        return told["result"]

    def mine(self, blocks: int = 1) -> None:
        for _ in range(blocks):
            self.call("evm_mine")

    @property
    def pool(self) -> list[dict[str, Any]]:
        """The transactions that wait for a block."""
        waiting = self.call("txpool_content")["pending"]
        return [transaction for by_nonce in waiting.values() for transaction in by_nonce.values()]


class Gate:
    """A way to a node that a test closes, or changes the answers of."""

    def __init__(self, ask: Answer) -> None:
        self.down = False
        self.changed: dict[str, Answer] = {}
        """By method: what answers instead of the node."""
        self.calls: list[str] = []
        self._ask = ask

    def __call__(self, method: str, params: list[Any]) -> Any:
        if self.down:
            raise ConnectionError
        self.calls.append(method)
        return self.changed.get(method, self._ask)(method, params)
