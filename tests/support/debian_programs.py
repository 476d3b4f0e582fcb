"""Programs of Debian's packages, unpacked below `.local` and not installed: no service starts, nothing else changes."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.system import ROOT

FOLDER = ROOT / ".local" / "programs"


def need_program(package: str, path: str) -> str:
    """Return a program that is installed, or unpacked from its package; skip the test when neither can be."""
    found = shutil.which(Path(path).name)
    unpacked = FOLDER / package / path
    if found is None and not unpacked.exists():
        _unpack(package)
    if found is None and not unpacked.exists():
        pytest.skip(f"{Path(path).name} is not installed, and apt-get cannot fetch the package {package}")
    return found or str(unpacked)


def _unpack(package: str) -> None:
    if shutil.which("apt-get") is None:
        return
    folder = FOLDER / package
    folder.mkdir(parents=True, exist_ok=True)
    for words in (["apt-get", "download", package], ["sh", "-c", "dpkg-deb -x ./*.deb ."]):
        if subprocess.run(words, cwd=folder, capture_output=True, check=False, timeout=120).returncode:
            return
