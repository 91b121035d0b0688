"""The view that a run draws, and what a person may change about it while it runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, get_args

from rtseg.frames import Frame, Segmentation
from rtseg.settings import ViewName, ViewSettings

if TYPE_CHECKING:
    from rtseg.runtime.pipeline import LiveStatistics
    from rtseg.sinks.base import Picture

OPACITY_STEP = 0.1


class LiveView:
    """Draws frames by settings that a key may change from one frame to the next.

    Args:
        settings: what is drawn at first.
        alpha: whether a cutout may be transparent.
        statistics: asked for the HUD's figures.
        notice: lines shown under the HUD's, whatever `--hud` says (a help line, "recording").
    """

    def __init__(
        self,
        settings: ViewSettings,
        *,
        alpha: bool,
        statistics: Callable[[], LiveStatistics],
        notice: Callable[[], tuple[str, ...]] = tuple,
    ) -> None:
        self.settings = settings
        self._alpha = alpha
        self._statistics = statistics
        self._notice = notice
        self.last_picture: Picture | None = None

    def __call__(self, frame: Frame, segmentation: Segmentation) -> Picture:
        """The frame as it is shown."""
        from rtseg.views import render

        lines = self._hud_lines(segmentation) if self.settings.hud else ()
        self.last_picture = render(
            frame, segmentation, self.settings, alpha=self._alpha, hud=(*lines, *self._notice())
        )
        return self.last_picture

    def _hud_lines(self, segmentation: Segmentation) -> tuple[str, ...]:
        live = self._statistics()
        count = len(segmentation.faces)
        line = f"{live.frames_per_second:.1f} FPS   {live.latency_ms:.0f} ms"
        if live.dropped:
            line += f"   {live.dropped} dropped"
        if live.reconnects:
            line += f"   {live.reconnects} reconnects"
        return line, f"{self.settings.view}   {count} face{'' if count == 1 else 's'}"

    def next_view(self) -> None:
        """Go on to the next view of the same picture size."""
        wide = self.settings.view == "side-by-side"
        names = [name for name in get_args(ViewName) if (name == "side-by-side") == wide]
        place = names.index(self.settings.view)
        self._change(view=names[(place + 1) % len(names)])

    def change_opacity(self, steps: int) -> None:
        """More or less colour, within 0..1."""
        opacity = round(self.settings.opacity + steps * OPACITY_STEP, 3)
        self._change(opacity=min(1.0, max(0.0, opacity)))

    def toggle(self, name: str) -> None:
        """Switch `hud` or `legend`."""
        self._change(**{name: not getattr(self.settings, name)})

    def _change(self, **changes: object) -> None:
        self.settings = dataclasses.replace(self.settings, **changes)  # type: ignore[arg-type]
