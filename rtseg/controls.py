"""Control a running pipeline: views, opacity, snapshots, recording, and on-screen messages."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rtseg.errors import RtsegError
from rtseg.frames import Picture
from rtseg.segmenter import Segmenter
from rtseg.sinks.base import Event, Sink, ViewChange
from rtseg.sinks.images import write_picture
from rtseg.sinks.web.page_state import PageState
from rtseg.system.files import unused_path
from rtseg.view_controls import ViewControls, described
from rtseg.views.hud import draw_hud
from rtseg.wiring import Run

HELP_LINE = (
    "q quit   space pause   s snapshot   v view   +/- opacity   "
    "h HUD   l legend   r record   ? help"
)
NOTICE_SECONDS = 2.5


_log = logging.getLogger("rtseg")


class Controls:
    """Handles a user's requests during a run, except quitting and pausing.

    Pass `handle` to `Run.run` as `on_event`. Messages shown in the picture are also written to the
    log `rtseg`.

    Args:
        run: the run to control; it must draw a view.
        record: makes the sink for a recording with the given name.
        show: shows a picture immediately, without a frame; used for messages while the source is
            away.
    """

    def __init__(
        self,
        run: Run,
        *,
        record: Callable[[str], Sink],
        show: Callable[[Picture], None] | None = None,
    ) -> None:
        assert run.view is not None
        self.view = run.view
        self._run = run
        segmenter = run.segment if isinstance(run.segment, Segmenter) else None
        self._backend = "" if segmenter is None else described(segmenter.backend)
        self._view_controls = ViewControls(run.view, segmenter)
        self.view.notice = self.notice
        self._source = run.source
        self._sink = run.sink
        self._size = (run.width, run.height)
        self._record = record
        self._show = show
        self._drawn_status = ""
        self._status_picture: Picture
        self._recording: Sink | None = None
        self._message = ""
        self._message_until = 0.0
        self._help = False

    def notice(self) -> tuple[str, ...]:
        """The lines to show now: help, the effect of the last key, "recording"."""
        lines = [HELP_LINE] if self._help else []
        if self._recording is not None:
            lines.append("● recording")
        if time.monotonic() < self._message_until:
            lines.append(self._message)
        return tuple(lines)

    def handle(self, event: Event) -> None:
        """Handle a key's event."""
        match event:
            case "next-view":
                self.view.next_view()
            case "more-opacity":
                self.view.change_opacity(+1)
            case "less-opacity":
                self.view.change_opacity(-1)
            case "hud" | "legend":
                self.view.toggle(event)
            case "help":
                self._help = not self._help
            case "snapshot":
                self._snapshot()
            case "record":
                self._toggle_recording()
            case ViewChange():
                self._change(event.fields)

    def page_state(self) -> PageState:
        """The run's state for a web page. Safe from any thread."""
        figures = self._run.pipeline.statistics
        return PageState(
            settings=self.view.settings,
            frames_per_second=figures.frames_per_second,
            dropped=figures.dropped,
            reconnects=figures.reconnects,
            backend=self._backend,
            status=self._source.status,
            notices=(self._message,) if time.monotonic() < self._message_until else (),
            is_paused=self._run.pipeline.is_paused,
            is_recording=self._recording is not None,
            effects=self._view_controls.choices,
            chosen_effects=self._view_controls.effects,
        )

    def _change(self, fields: Mapping[str, Any]) -> None:
        try:
            self._view_controls.change(fields)
        except RtsegError as error:
            self._say(str(error))

    def show_status(self) -> None:
        """While the source is away, show its status instead of a frozen picture.

        Must be called repeatedly, because a frame still in the pipeline would replace it.
        """
        status = self._source.status
        if not status or self._show is None:
            return
        if status != self._drawn_status:
            self._drawn_status, self._status_picture = status, self._drawn(status)
        self._show(self._status_picture)

    def _drawn(self, status: str) -> Picture:
        width, height = self._size
        picture = np.full((height, width, 3), 32, np.uint8)
        draw_hud(picture, (self._source.info.name, status), frame_width=width)
        return picture

    def _say(self, message: str) -> None:
        self._message = message
        self._message_until = time.monotonic() + NOTICE_SECONDS
        _log.info("%s", message)

    def _new_name(self, suffix: str) -> str:
        return str(unused_path(Path(time.strftime(f"rtseg-%Y%m%d-%H%M%S{suffix}"))))

    def _snapshot(self) -> None:
        if self.view.last_picture is None:
            return
        path = self._new_name(".png")
        try:
            write_picture(path, self.view.last_picture)
        except RtsegError as error:
            self._say(str(error))
        else:
            self._say(f"wrote {path}")

    def _toggle_recording(self) -> None:
        """Start or finish a recording; an error ends only the recording."""
        try:
            if self._recording is not None:
                recording, self._recording = self._recording, None
                self._sink.remove(recording)
                self._say(f"wrote {recording.describe()}")
                return
            recording = self._record(self._new_name(".mp4"))
            width, height = self._size
            self._sink.add(recording, self._source.info, width=width, height=height)
            self._recording = recording
            self._say("recording")
        except RtsegError as error:
            self._say(str(error))
