"""Files are written completely or not at all, and nothing but a regular file is ever replaced."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from guestlist import ConfigError
from guestlist.files import create_file, replace_file


def write(path: Path, *, private: bool = False) -> None:
    with replace_file(path, private=private) as file:
        file.write(b"new")


def test_a_regular_file_keeps_its_permissions_unless_the_content_is_private(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o640)
    write(path)
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new", 0o640)
    write(path, private=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_failure_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def fail() -> None:
        with replace_file(path) as file:
            file.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("content", ["old", None])
def test_a_symbolic_link_stays_and_its_target_is_written(
    tmp_path: Path, content: str | None
) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    if content:
        target.write_text(content)
    link.symlink_to("target")
    write(link)
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_a_pipe_is_written_to_and_stays(tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link):
        read: list[str] = []
        reader = threading.Thread(target=lambda read=read: read.append(pipe.read_text()))
        reader.start()
        write(path, private=True)
        reader.join(5)
        assert read == ["new"]
    assert pipe.is_fifo()
    assert sorted(os.listdir(tmp_path)) == ["link", "pipe"]


def test_a_device_is_written_to_and_stays(tmp_path: Path) -> None:
    """As root, replacing /dev/null would remove it for the whole machine."""
    device = tmp_path / "null"
    try:
        os.mknod(device, stat.S_IFCHR | 0o600, os.makedev(1, 3))
        write(device)
    except (OSError, ConfigError):
        pytest.skip("this folder has no devices")
    assert device.is_char_device()
    assert os.listdir(tmp_path) == ["null"]


def test_a_folder_and_a_loop_of_links_cannot_be_written(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for path in (tmp_path, loop, tmp_path / "no" / "folder"):
        with pytest.raises(ConfigError, match=f"^{path} cannot be written"):
            write(path)


def test_creating_a_file_replaces_nothing(tmp_path: Path) -> None:
    path, link = tmp_path / "file", tmp_path / "link"
    create_file(path, "first")
    link.symlink_to(tmp_path / "nothing")
    for existing in (path, link):
        with pytest.raises(ConfigError, match="exists already"):
            create_file(existing, "second")
    assert path.read_text() == "first"
    assert not (tmp_path / "nothing").exists()


def test_a_file_that_could_not_be_created_completely_is_removed(tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        create_file(tmp_path / "file", "\ud800")
    assert os.listdir(tmp_path) == []
