"""Logs are set aside by size and age, while a process goes on writing; a few are kept."""

import shutil

import pytest

from server.local import rotation
from server.local.disk import Disk
from server.local.rotation import KEPT, LogRotation, set_aside


@pytest.fixture(autouse=True)
def _always_look(monkeypatch):
    monkeypatch.setattr(rotation, "LOOK_EVERY_S", 0.0)


def test_a_large_log_is_set_aside_and_its_writer_goes_on(tmp_path):
    rotating = LogRotation(tmp_path, bytes_max=100)
    with (tmp_path / "server-0.log").open("ab", buffering=0) as stream:
        for number in range(KEPT + 3):
            stream.write(b"%d" % number * 101)
            rotating.look()
        stream.write(b"after")
        rotating.look()
    assert (tmp_path / "server-0.log").read_bytes() == b"after"
    kept = sorted(tmp_path.glob("server-0.log.*"))
    assert [path.read_bytes()[:1] for path in kept] == [b"%d" % (KEPT + 2 - n) for n in range(KEPT)]


def test_an_old_log_is_set_aside_when_it_has_lines(tmp_path):
    (tmp_path / "a.log").write_text("x")
    (tmp_path / "empty.log").touch()
    LogRotation(tmp_path, age_s_max=-1.0).look()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.log", "a.log.1", "empty.log"]
    assert (tmp_path / "a.log.1").stat().st_mode & 0o777 == (tmp_path / "a.log").stat().st_mode & 0o777


def test_on_a_full_disk_a_large_log_is_emptied(tmp_path, monkeypatch):
    def fail(_source, target):
        target.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", fail)
    (tmp_path / "a.log").write_text("x" * 101)
    LogRotation(tmp_path, bytes_max=100).look()
    assert [(path.name, path.stat().st_size) for path in tmp_path.iterdir()] == [("a.log", 0)]


def test_a_disk_is_freed_once_after_it_was_full(tmp_path, monkeypatch):
    free = [50_000, 0, 1_000, 50_000, 50_000]  # blocks of a KiB

    class Status:
        f_frsize = 1024

        def __init__(self):
            self.f_bavail = free.pop(0)

    monkeypatch.setattr("os.statvfs", lambda _folder: Status())
    (tmp_path / "nats.log").touch()
    disk = Disk(tmp_path / "nats.log", tmp_path)
    assert [disk.was_freed() for _ in range(5)] == [False, False, False, True, False]


def test_a_disk_that_was_full_between_two_looks_is_told_by_the_log(tmp_path):
    log = tmp_path / "nats.log"
    log.write_text("write 1.blk: no space left on device\n")  # of an earlier life
    disk = Disk(log, tmp_path)
    assert not disk.was_freed()
    for text in ("started\n", "write 2.blk: no space left on device\n"):
        with log.open("a") as stream:
            stream.write(text)
        assert disk.was_freed() is ("space" in text)
        assert not disk.was_freed()
    set_aside(log)
    assert not disk.was_freed()
    log.write_text("write 3.blk: no space left on device\n")
    assert disk.was_freed()
