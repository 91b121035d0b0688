"""Where a batch's files are stored: a folder of this machine, or anything that fsspec supports."""

from __future__ import annotations

import secrets
import shutil
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from rtseg.errors import SettingError, SinkError, SourceError
from rtseg.media.urls import display_name, local_path, url_scheme
from rtseg.sinks.disk_space import cannot_write, is_full
from rtseg.system.files import publish, write_whole

FFMPEG_SCHEMES = frozenset({"http", "https", "rtsp", "rtmp", "tcp", "udp", "file"})
"""The schemes that FFmpeg reads itself; others are first fetched through fsspec."""


class Storage(ABC):
    """A folder of results. A file gets its name there only once it is complete.

    A name may also be that of a folder of numbered pictures, except in `read` and `write`.
    """

    @abstractmethod
    def exists(self, name: str) -> bool:
        """Whether something with that name exists."""

    @abstractmethod
    def read(self, name: str) -> bytes | None:
        """Read a small file; None if there is none."""

    @abstractmethod
    def write(self, name: str, data: bytes) -> None:
        """Write a small file completely or not at all, replacing an existing one."""

    @abstractmethod
    def put(self, local: Path, name: str) -> None:
        """Move a complete file there under that name, replacing an existing one."""

    @abstractmethod
    def get(self, name: str, into: Path) -> Path:
        """Return a file to read: itself if it is on this machine, else a copy in a folder."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove it if it exists."""

    @abstractmethod
    def scratch(self) -> Path | None:
        """A working folder on the same file system; None if any temporary folder will do."""


class FolderStorage(Storage):
    """A folder that every worker can access."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if is_full(error):
                raise cannot_write(folder, error) from None
            raise SinkError(f"{folder}: cannot be created: {error.strerror}") from None

    def exists(self, name: str) -> bool:
        """See `Storage`."""
        return (self.folder / name).exists()

    def read(self, name: str) -> bytes | None:
        """See `Storage`."""
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SinkError(f"{self.folder / name}: cannot be read: {error.strerror}") from None

    def write(self, name: str, data: bytes) -> None:
        """See `Storage`."""
        path = self.folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, data)
        except OSError as error:
            raise cannot_write(path, error) from None

    def put(self, local: Path, name: str) -> None:
        """See `Storage`."""
        path = self.folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if local.is_dir() and path.is_dir():
                # a folder cannot be replaced in one step; the working folder is removed at the end
                path.rename(local.with_name(f"{local.name}.replaced"))
            publish(local, path, overwrite=True)
        except OSError as error:
            raise cannot_write(path, error) from None

    def get(self, name: str, into: Path) -> Path:
        """See `Storage`."""
        path = self.folder / name
        if not path.exists():
            raise SinkError(f"{path}: no longer exists")
        return path

    def remove(self, name: str) -> None:
        """See `Storage`."""
        path = self.folder / name
        try:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise cannot_write(path, error) from None

    def scratch(self) -> Path | None:
        """See `Storage`."""
        return self.folder


class RemoteStorage(Storage):
    """A folder identified by a URL for fsspec."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._files, self._root = filesystem(self.url)

    def exists(self, name: str) -> bool:
        """See `Storage`."""
        return bool(self._tried(lambda: self._files.exists(self._path(name)), name))

    def read(self, name: str) -> bytes | None:
        """See `Storage`."""
        try:
            data: bytes = self._files.cat_file(self._path(name))
        except FileNotFoundError:
            return None
        except Exception as error:  # noqa: BLE001  every storage has its own errors
            raise self._error(name, error) from None
        return data

    def write(self, name: str, data: bytes) -> None:
        """See `Storage`."""
        path = self._path(name)
        self._tried(lambda: self._files.makedirs(path.rpartition("/")[0], exist_ok=True), name)
        self._tried(lambda: self._files.pipe_file(path, data), name)

    def put(self, local: Path, name: str) -> None:
        """See `Storage`."""
        if local.is_dir():
            self.remove(name)
            for file in sorted(local.iterdir()):
                self.put(file, f"{name}/{file.name}")
            return
        path = self._path(name)
        # object stores show only complete files; others may not, so it is renamed there
        part = f"{path}.{secrets.token_hex(4)}.part"
        self._tried(lambda: self._files.makedirs(path.rpartition("/")[0], exist_ok=True), name)
        self._tried(lambda: self._files.put_file(str(local), part), name)
        self._tried(lambda: self._files.mv(part, path), name)
        local.unlink()

    def get(self, name: str, into: Path) -> Path:
        """See `Storage`."""
        local = into / Path(name).name
        if self._tried(lambda: self._files.isdir(self._path(name)), name):
            self._tried(lambda: self._files.get(self._path(name), str(local), recursive=True), name)
        else:
            self._tried(lambda: self._files.get_file(self._path(name), str(local)), name)
        return local

    def remove(self, name: str) -> None:
        """See `Storage`."""
        if self.exists(name):
            self._tried(lambda: self._files.rm(self._path(name), recursive=True), name)

    def scratch(self) -> Path | None:
        """See `Storage`."""
        return None

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _tried(self, work: Any, name: str) -> Any:
        try:
            return work()
        except Exception as error:  # noqa: BLE001  every storage has its own errors
            raise self._error(name, error) from None

    def _error(self, name: str, error: Exception) -> SinkError:
        place = f"{display_name(self.url)}/{name}"
        if isinstance(error, OSError) and is_full(error):
            return cannot_write(place, error)
        return SinkError(f"{place}: cannot be reached: {reason_of(error)}")


def open_storage(folder: str) -> Storage:
    """Open the folder or URL for the results.

    Raises:
        SettingError: the URL's scheme is unknown, or fsspec is not installed.
        SinkError: the folder cannot be created.
    """
    path = local_path(folder)
    return FolderStorage(path) if path is not None else RemoteStorage(folder)


def fetch(source: str, into: Path) -> str:
    """Return what to open for an input: itself, or a copy in `into` if only fsspec reaches it.

    Raises:
        SettingError: the URL's scheme is unknown, or fsspec is not installed.
        SourceError: it cannot be fetched.
    """
    if local_path(source) is not None or url_scheme(source) in FFMPEG_SCHEMES:
        return source
    files, path = filesystem(source)
    local = into / (Path(display_name(source)).name or "input")
    try:
        files.get_file(path, str(local))
    except Exception as error:  # noqa: BLE001  every storage has its own errors
        if isinstance(error, OSError) and is_full(error):
            raise cannot_write(local, error) from None
        shown = display_name(source)
        raise SourceError(f"{shown}: cannot be fetched: {reason_of(error)}") from None
    return str(local)


def filesystem(url: str) -> tuple[Any, str]:
    """Return the file system of fsspec for a URL, and the path there.

    Raises:
        SettingError: the URL's scheme is unknown, or fsspec is not installed.
    """
    shown = display_name(url)
    try:
        import fsspec
    except ImportError:
        raise SettingError(
            f"{shown}: needs fsspec; pip install fsspec, and the package of its scheme"
        ) from None
    try:
        files, path = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise SettingError(f"{shown}: {reason_of(error)}") from None
    return files, str(path).rstrip("/")


def reason_of(error: Exception) -> str:
    """The message of a storage's own error, in one line."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def remove_folder(folder: Path) -> None:
    """Remove a working folder and everything in it."""
    shutil.rmtree(folder, ignore_errors=True)
