"""The shell script before Python: it fills `.venv` once, again when it must, and says what it cannot do."""

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NEEDED = [
    "cat",
    "cksum",
    "cut",
    "dirname",
    "env",
    "flock",
    "grep",
    "mkdir",
    "readlink",
    "rm",
    "sleep",
    "tail",
    "tr",
]
REPORT = """
import sys
print(sys.argv[1:], sys.prefix)
"""


def make_clone(folder):
    """Make a clone in a folder with a space, with empty locks and a command line that reports how it was called."""
    clone = folder / "a clone"
    (clone / "server").mkdir(parents=True)
    (clone / "server" / "cli").mkdir()
    (clone / "server" / "cli" / "__main__.py").write_text(REPORT)
    shutil.copy(ROOT / "mnbara", clone)
    for lock in ("requirements.lock", "requirements-dev.lock"):
        (clone / lock).write_text("# nothing\n")
    return clone


@pytest.fixture
def clone(tmp_path):
    return make_clone(tmp_path)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A clone whose `.venv` two at once have filled, one after the other."""
    clone = make_clone(tmp_path_factory.mktemp("filled"))
    both = [
        subprocess.Popen([clone / "mnbara", verb], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for verb in ("up", "migrate")
    ]
    told = [one.communicate(timeout=100) for one in both]
    assert [one.returncode for one in both] == [0, 0], told
    assert sum("creating .venv" in errors for _, errors in told) == 1
    return clone


@pytest.fixture
def bare_path(tmp_path):
    """A PATH with what Debian's essential packages bring, and no Python, apt or sudo."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in NEEDED:
        (folder / name).symlink_to(shutil.which(name))
    return folder


def add_program(folder, name, text):
    (folder / name).write_text(textwrap.dedent(text))
    (folder / name).chmod(0o755)


def run(clone, *words, path=None, cwd="/"):
    environment = {
        **os.environ,
        "PATH": str(path) if path else f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    return subprocess.run(
        [clone / "mnbara", *words], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def test_filled_venv_is_used_without_a_word(filled):
    told = run(filled, "up", "a b")
    assert (told.stdout.strip(), told.stderr) == (f"['up', 'a b'] {filled}/.venv", "")


@pytest.mark.slow
def test_a_new_lock_is_installed_and_a_failed_installation_is_told_and_repeated(filled):
    lock = filled / "requirements.lock"
    before = lock.read_text()
    lock.write_text("no-such-package-of-mnbara\n")  # no hash: refused before any download
    for _ in range(2):
        told = run(filled, "up")
        assert told.returncode == 1
        assert told.stderr.strip().endswith("could not install the Python packages of requirements.lock")
    assert not list((filled / ".venv").glob("*.installed"))
    lock.write_text(before)
    told = run(filled, "up")
    assert told.returncode == 0
    assert "installing" in told.stderr
    assert "creating" not in told.stderr


@pytest.mark.slow
def test_a_moved_clone_makes_its_venv_again(filled, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(filled, moved, symlinks=True)
    told = run(moved, "up")
    assert told.stdout.strip() == f"['up'] {moved}/.venv"
    assert "creating .venv" in told.stderr


def test_linked_venv_is_used_as_it_is(clone):
    (clone / ".venv").symlink_to(Path(sys.executable).parent.parent)
    told = run(clone, "test")
    assert (told.returncode, told.stderr) == (0, "")


def test_without_python_apt_root_or_sudo_it_says_what_to_do(clone, bare_path):
    told = run(clone, "up", path=bare_path)
    assert told.returncode == 1
    assert "Python 3.11 or newer" in told.stderr
    add_program(bare_path, "apt-get", "#!/bin/sh\n")
    add_program(bare_path, "id", "#!/bin/sh\necho 1000\n")
    told = run(clone, "up", path=bare_path)
    assert told.returncode == 1
    assert "apt-get install python3 python3-venv postgresql postgresql-postgis redis-server" in told.stderr


@pytest.mark.slow
def test_without_python_it_installs_debians_and_goes_on(clone, bare_path):
    add_program(bare_path, "id", "#!/bin/sh\necho 1000\n")
    add_program(bare_path, "sudo", '#!/bin/sh\nexec "$@"\n')
    add_program(
        bare_path,
        "apt-get",
        f"""\
        #!/bin/sh
        echo "$*" >> "{bare_path}/calls"
        case "$*" in *install*) readlink -f "{sys.executable}" > "{bare_path}/target" ;; *) exit 0 ;; esac
        printf '#!/bin/sh\\nexec %s "$@"\\n' "$(cat "{bare_path}/target")" > "{bare_path}/python3"
        {shutil.which("chmod")} 755 "{bare_path}/python3"
        """,
    )
    told = run(clone, "up", path=bare_path)
    assert told.returncode == 0, told.stderr
    calls = (bare_path / "calls").read_text().splitlines()
    assert calls[0].endswith("update")
    assert calls[1].endswith("--no-install-recommends install python3 python3-venv")
    assert len(calls) == 2
    assert told.stderr.index("installing the packages") < told.stderr.index("creating .venv")


def test_failing_apt_is_told_with_its_last_words(clone, bare_path):
    add_program(bare_path, "id", "#!/bin/sh\necho 0\n")
    add_program(bare_path, "apt-get", "#!/bin/sh\necho 'E: no network' >&2\nexit 100\n")
    told = run(clone, "up", path=bare_path)
    assert told.returncode == 1
    assert "E: no network" in told.stderr
