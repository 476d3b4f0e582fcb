"""The guides of docs/clients as programs: their pieces joined, compiled where the language needs it, and run."""

import asyncio
import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.js_client import FOLDER, need_node
from tests.support.system import ROOT, System

GO_SDK = "github.com/centrifugal/centrifuge-go@v0.12.1"
JVM_PACKAGES = ROOT / "tests" / "java" / "pom.xml"
FETCH_CLASSPATH = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:build-classpath"
KOTLIN_COMPILER = "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler"

FILES = {
    "js": "client.mjs",
    "python": "client.py",
    "go": "client.go",
    "java": "Client1.java",
    "kotlin": "client.kt",
}


class Program:
    """A guide's program, while it runs."""

    def __init__(self, process: subprocess.Popen[bytes], out: Path) -> None:
        self.process, self.out = process, out

    async def until(self, *words: str, times: int = 1, seconds: float = 30) -> str:
        """Return what it printed once every word is there, so many times."""
        deadline = time.monotonic() + seconds
        while any(self.out.read_text().count(word) < times for word in words):
            assert time.monotonic() < deadline, f"{words} not in:\n{self.out.read_text()}"
            await asyncio.sleep(0.05)
        return self.out.read_text()

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def build(guide: str, language: str, folder: Path) -> list[str]:
    """Write the guide's program into the folder; return the words that run it there. Skips what cannot be built."""
    text = (ROOT / "docs" / "clients" / guide).read_text()
    pieces = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    assert pieces
    (folder / FILES[language]).write_text("\n".join(pieces))
    return BUILDERS[language](folder)


def start(command: list[str], folder: Path, system: System, *words: str, **environment: str) -> Program:
    """Run a program that was built there; it prints into the folder."""
    facts = {"SERVER_URL": system.base_url, "PYTHONUNBUFFERED": "1", "NO_PROXY": "127.0.0.1"}
    out = folder / "out"
    with out.open("wb") as file:
        process = subprocess.Popen(
            [*command, *words],
            cwd=folder,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=os.environ | facts | environment,
        )
    return Program(process, out)


def _build_js(folder: Path) -> list[str]:
    need_node()
    (folder / "node_modules").symlink_to((FOLDER / "node_modules").resolve())
    return [_tool("node", "JavaScript"), FILES["js"]]


def _build_python(_folder: Path) -> list[str]:
    return [sys.executable, FILES["python"]]


def _build_go(folder: Path) -> list[str]:
    go = _tool("go", "Go")
    (folder / "go.mod").write_text("module client\n")
    _run([go, "get", GO_SDK], folder, or_skip="Go")
    _run([go, "mod", "tidy"], folder, or_skip="Go")
    _run([go, "build", "-o", "client", "."], folder)
    return [str(folder / "client")]


def _build_java(folder: Path) -> list[str]:
    compiler, runtime, packages = _tool("javac", "Java"), _tool("java", "Java"), _classpath()
    _run([compiler, "-cp", packages, FILES["java"]], folder)
    return [runtime, "-cp", f".:{packages}", "Client1"]


def _build_kotlin(folder: Path) -> list[str]:
    runtime, packages = _tool("java", "Kotlin"), _classpath()
    options = ["-no-stdlib", "-no-reflect", "-cp", packages, "-d", "."]
    _run([runtime, "-cp", packages, KOTLIN_COMPILER, *options, FILES["kotlin"]], folder)
    return [runtime, "-cp", f".:{packages}", "ClientKt"]


BUILDERS: dict[str, Callable[[Path], list[str]]] = {
    "js": _build_js,
    "python": _build_python,
    "go": _build_go,
    "java": _build_java,
    "kotlin": _build_kotlin,
}

_one_fetches = threading.Lock()


def _classpath() -> str:
    """Return the class path of the packages of the Java and Kotlin guides, fetched once a run."""
    with _one_fetches:
        return _fetch_classpath()


@functools.cache
def _fetch_classpath() -> str:
    maven = _tool("mvn", "Java and Kotlin")
    with tempfile.NamedTemporaryFile("r") as told:
        words = ["-q", "-B", "-f", str(JVM_PACKAGES), FETCH_CLASSPATH, f"-Dmdep.outputFile={told.name}"]
        _run([maven, *words], ROOT, or_skip="Java and Kotlin")
        return Path(told.name).read_text().strip()


def _tool(name: str, guide: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"the guide for {guide} needs {name} on PATH")
    return path


def _run(command: list[str], folder: Path, *, or_skip: str = "") -> str:
    """Run a step of a build and return what it printed; a failed download skips the guide, all else fails."""
    told = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=110)
    if told.returncode and or_skip:
        pytest.skip(f"the guide for {or_skip} needs its SDK: {(told.stderr or told.stdout).strip()[-300:]}")
    assert not told.returncode, told.stdout + told.stderr
    return told.stdout
