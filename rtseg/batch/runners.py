"""Choose what runs a batch: processes of this machine, or a Ray cluster."""

from __future__ import annotations

import os

from rtseg.batch.base import Runner
from rtseg.batch.local_runner import LocalRunner
from rtseg.batch.ray_runner import RayRunner
from rtseg.errors import SettingError
from rtseg.media.urls import url_scheme


def runner_of(on: str, *, threads: int, tries: int) -> Runner:
    """Make the runner for `local:N`, `ray`, `ray://HOST:PORT` or `HOST:PORT`.

    Raises:
        SettingError: it is none of these.
    """
    kind, _, count = on.partition(":")
    if kind == "local" and (not count or count.isdigit()):
        processes = int(count) if count else os.cpu_count() or 1
        if processes < 1:
            raise SettingError(f"`on` {on}: local:N takes one process or more")
        return LocalRunner(processes, tries=tries)
    if on == "ray":
        return RayRunner(None, threads=threads, tries=tries)
    host, _, port = on.rpartition(":")
    if url_scheme(on) == "ray" or (host and port.isdigit() and url_scheme(on) is None):
        return RayRunner(on, threads=threads, tries=tries)
    raise SettingError(f"`on` {on!r} is unknown; allowed: local:N, ray, ray://HOST:PORT, HOST:PORT")
