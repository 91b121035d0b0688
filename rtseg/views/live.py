"""The view that a run draws, and what a person may change about it while it runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Protocol, get_args

from rtseg.frames import Frame, Image, Picture, Segmentation
from rtseg.settings import ViewName, ViewSettings
from rtseg.views import render

OPACITY_STEP = 0.1

Effect = Callable[[Frame, Segmentation], Image]
"""Changes a picture before the view is drawn: takes a frame and its segmentation, returns a new
RGB image, uint8, of the frame's size."""


class Figures(Protocol):
    """What the head-up display shows of a run."""

    @property
    def frames_per_second(self) -> float:
        """Over the last two seconds."""
        ...

    @property
    def latency_ms(self) -> float:
        """The age of the last written frame."""
        ...

    @property
    def dropped(self) -> int:
        """Frames that gave way to newer ones."""
        ...

    @property
    def reconnects(self) -> int:
        """How often a live source was away and came back."""
        ...


class LiveView:
    """Draws frames by settings that may change from one frame to the next.

    Called on the thread that writes the output. Effects are applied first, each to what the one
    before it made, then the view is drawn over the result.

    Args:
        settings: what is drawn at first.
        alpha: whether a cutout may be transparent.
        statistics: asked for the HUD's figures.
        effects: what is done to the picture before the view is drawn.

    Attributes:
        settings: what is drawn; replaced by the methods below, or by any other group.
        effects: as above; may be replaced between two frames.
        notice: asked for lines that are shown under the HUD's, whether the HUD is on or off (a
            help line, "recording").
        last_picture: the newest drawn picture, None before the first.
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
        """The frame as it is shown."""
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
