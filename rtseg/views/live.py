"""Draw a run's view with settings that a user can change while it runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Protocol

from rtseg.frames import Frame, Image, Picture, Segmentation
from rtseg.settings import ViewSettings
from rtseg.view_registry import views_of_equal_size
from rtseg.views import render

OPACITY_STEP = 0.1

Effect = Callable[[Frame, Segmentation], Image]
"""An effect applied before the view is drawn: takes a frame and its segmentation, returns a new
uint8 RGB image of the frame's size."""


class Figures(Protocol):
    """The statistics in the head-up display."""

    @property
    def frames_per_second(self) -> float:
        """The rate over the last two seconds."""
        ...

    @property
    def latency_ms(self) -> float:
        """The age of the last written frame in milliseconds."""
        ...

    @property
    def dropped(self) -> int:
        """Number of frames replaced by newer ones."""
        ...

    @property
    def reconnects(self) -> int:
        """How many times a live source went away and came back."""
        ...


class LiveView:
    """Draws frames with settings that may change between frames.

    Called on the thread that writes the output. Effects are applied first, one after the other,
    then the view is drawn over the result.

    Args:
        settings: the initial view settings.
        alpha: whether a cutout may be transparent.
        statistics: returns the HUD's figures.
        effects: changes the picture before the view is drawn.

    Attributes:
        settings: the current view settings; changed by the methods below, or assigned.
        effects: as above; may be replaced between frames.
        notice: returns extra lines (help, "recording"), shown even if the HUD is off.
        last_picture: the last picture drawn, None before the first.
    """

    def __init__(
        self,
        settings: ViewSettings,
        *,
        alpha: bool,
        statistics: Callable[[], Figures],
        effects: Sequence[Effect] = (),
    ) -> None:
        self.settings = settings
        self.effects = tuple(effects)
        self.notice: Callable[[], tuple[str, ...]] = tuple
        self._alpha = alpha
        self._statistics = statistics
        self.last_picture: Picture | None = None

    def __call__(self, frame: Frame, segmentation: Segmentation) -> Picture:
        """Draw a frame."""
        for effect in self.effects:
            frame = dataclasses.replace(frame, image=effect(frame, segmentation))
        lines = self._hud_lines(segmentation) if self.settings.hud else ()
        self.last_picture = render(
            frame, segmentation, self.settings, alpha=self._alpha, hud=(*lines, *self.notice())
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
        """Switch to the next view with the same picture size."""
        names = views_of_equal_size(self.settings.view)
        place = names.index(self.settings.view)
        self._change(view=names[(place + 1) % len(names)])

    def change_opacity(self, steps: int) -> None:
        """Change the opacity, clipped to 0..1."""
        opacity = round(self.settings.opacity + steps * OPACITY_STEP, 3)
        self._change(opacity=min(1.0, max(0.0, opacity)))

    def toggle(self, name: str) -> None:
        """Toggle `hud` or `legend`."""
        self._change(**{name: not getattr(self.settings, name)})

    def _change(self, **changes: object) -> None:
        self.settings = dataclasses.replace(self.settings, **changes)  # type: ignore[arg-type]
