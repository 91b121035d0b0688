"""Files are complete or missing, have unique names, and are identified by inode."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from rtseg.system import files
from rtseg.system.files import (
    create_part,
    earlier_parts,
    file_id,
    file_ids,
    is_part,
    publish,
    release_lock,
    take_lock,
    try_lock,
    unused_path,
    write_whole,
    written_whole,
)

posix = pytest.mark.skipif(os.name == "nt", reason="links and modes as POSIX has them")


def test_every_part_file_has_a_unique_name(tmp_path: Path) -> None:
    final = tmp_path / "out.mp4"
    parts = [create_part(final) for _ in range(50)]
    assert len(set(parts)) == 50
    assert all(part.suffix == ".mp4" and not part.name.startswith(".") for part in parts)
    assert all(map(is_part, parts))
    assert set(earlier_parts(final)) == set(parts)
    assert create_part(final, keeps_suffix=False).suffix == ".part"


def test_a_name_in_use_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "out.00000001.part.mp4").write_bytes(b"somebody's")
    tokens = iter(["00000001", "00000002"])
    monkeypatch.setattr("secrets.token_hex", lambda _bytes: next(tokens))
    assert create_part(tmp_path / "out.mp4").name == "out.00000002.part.mp4"
    assert (tmp_path / "out.00000001.part.mp4").read_bytes() == b"somebody's"


@pytest.mark.parametrize("name", ["x" * 251 + ".mp4", "é" * 125 + ".mp4", "x" * 255])
def test_a_name_of_the_greatest_length_works(tmp_path: Path, name: str) -> None:
    for keeps_suffix in (True, False):
        part = create_part(tmp_path / name, keeps_suffix=keeps_suffix)
        publish(part, tmp_path / name, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_names_that_only_resemble_part_files_are_not_listed(tmp_path: Path) -> None:
    for name in ("out.part.mp4", "out.mp4", "part.mp4", "out.12345678.mp4", "a.part"):
        assert not is_part(tmp_path / name)


def test_part_files_of_other_outputs_are_not_listed(tmp_path: Path) -> None:
    for name in ("out.part.mp4", "out.0a1b2c3d.part.mp4"):
        (tmp_path / name).touch()
    for name in ("out2.part.mp4", "out.part.mkv", "out.zzzzzzzz.part.mp4", "my-out.part.mp4"):
        (tmp_path / name).touch()
    names = {path.name for path in earlier_parts(tmp_path / "out.mp4")}
    assert names == {"out.part.mp4", "out.0a1b2c3d.part.mp4"}
    assert earlier_parts(tmp_path / "nowhere" / "out.mp4") == ()


def test_publishing_replaces_files_only_if_allowed(tmp_path: Path) -> None:
    final = tmp_path / "out.bin"
    for content in (b"one", b"two"):
        part = create_part(final)
        part.write_bytes(content)
        if content == b"two":
            with pytest.raises(FileExistsError):
                publish(part, final, overwrite=False)
            assert final.read_bytes() == b"one"
            assert part.read_bytes() == b"two"
            publish(part, final, overwrite=True)
        else:
            publish(part, final, overwrite=False)
        assert final.read_bytes() == content
    assert list(tmp_path.iterdir()) == [final]


def test_publishing_works_without_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on FAT and some network shares."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    final = tmp_path / "out.bin"
    publish(create_part(final), final, overwrite=False)
    final.write_bytes(b"kept")
    part = create_part(final)
    with pytest.raises(FileExistsError):
        publish(part, final, overwrite=False)
    assert final.read_bytes() == b"kept"
    assert part.exists()


@posix
def test_a_dangling_link_counts_as_an_existing_file(tmp_path: Path) -> None:
    final = tmp_path / "out.bin"
    final.symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileExistsError):
        write_whole(final, b"x", overwrite=False)
    assert final.is_symlink()


def test_a_failed_write_leaves_the_previous_file(tmp_path: Path) -> None:
    final = tmp_path / "model.bin"
    final.write_bytes(b"before")

    def write_half() -> None:
        with written_whole(final) as part:
            part.write_bytes(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_half()
    assert final.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [final]


def test_readers_never_see_a_partial_file(tmp_path: Path) -> None:
    final = tmp_path / "state.bin"
    contents = [bytes([letter]) * 100_000 for letter in b"ab"]
    write_whole(final, contents[0])
    stop = threading.Event()

    def write_on() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            write_whole(final, contents[number % 2], durable=False)

    writers = [threading.Thread(target=write_on) for _ in range(2)]
    for writer in writers:
        writer.start()
    contents_read = {final.read_bytes() for _ in range(300)}
    stop.set()
    for writer in writers:
        writer.join()
    assert contents_read <= set(contents)
    assert list(tmp_path.iterdir()) == [final]


@posix
def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    umask = os.umask(0o022)
    try:
        write_whole(tmp_path / "mine", b"", mode=0o600)
        write_whole(tmp_path / "usual", b"")
    finally:
        os.umask(umask)
    assert (tmp_path / "mine").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "usual").stat().st_mode & 0o777 == 0o644


def test_files_are_identified_by_inode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(b"same")
    other.write_bytes(b"same")
    monkeypatch.chdir(tmp_path)
    assert file_id(one) == file_id("one") == file_id(tmp_path / "." / "one") is not None
    assert file_id(one) != file_id(other)
    assert file_ids([one, other, tmp_path / "none", tmp_path]) == {file_id(one), file_id(other)}
    assert file_id("a\0b") is None
    with one.open("rb") as file:
        assert file_id(file.fileno()) == file_id(one)
    if os.name != "nt":
        (tmp_path / "link").symlink_to(one)
        os.link(one, tmp_path / "second")
        assert file_id(tmp_path / "link") == file_id(tmp_path / "second") == file_id(one)
        assert file_id(os.devnull) is None


def test_a_lock_has_one_holder_and_is_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "lock_folder", lambda: tmp_path / "cache" / "locks")
    target = tmp_path / "outputs" / "out.mp4"
    lock = try_lock(target)
    assert lock is not None
    assert try_lock(tmp_path / "outputs" / "." / "out.mp4") is None
    assert take_lock(target, timeout_seconds=0.1) is None
    assert try_lock(target.with_name("other.mp4")) is not None
    assert not target.parent.exists()
    # Released by another thread than the one that took it.
    thread = threading.Thread(target=release_lock, args=(lock,))
    thread.start()
    thread.join()
    again = try_lock(target)
    assert again is not None
    release_lock(again)
    if os.name != "nt":
        assert len(list((tmp_path / "cache" / "locks").iterdir())) <= 1  # the other's


def test_an_unused_name_is_found(tmp_path: Path) -> None:
    path = tmp_path / "shot.png"
    assert unused_path(path) == path
    path.touch()
    (tmp_path / "shot-2.png").touch()
    assert unused_path(path) == tmp_path / "shot-3.png"
