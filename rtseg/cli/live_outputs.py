"""Live outputs other than files: the web page (`--web`) and the virtual camera."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rtseg.controls import Controls
    from rtseg.media.info import SourceInfo
    from rtseg.settings import ModelSettings, VirtualCameraSettings, WebSettings
    from rtseg.sinks.base import Sink
    from rtseg.sinks.web.sink import WebSink

web_option = click.option(
    "--web",
    metavar="[HOST:]PORT",
    help="Show the result live on a page at http://HOST:PORT; without HOST, only to this machine.",
)

virtual_camera_option = click.option(
    "--virtual-camera",
    metavar="[DEVICE]",
    is_flag=False,
    flag_value="auto",
    help="Act as a webcam for video calls; DEVICE is its path or name, by default the first free "
    "one.",
)


class LiveOutputs:
    """Makes the sinks for `--web` and `--virtual-camera`, for `open_run`.

    Args:
        web: the page's address, or None.
        virtual_camera: the device, `auto`, or None.
        page, camera: the settings of each.
        model: the model settings, whose threads are shared.
        quiet: do not print the page's address, unless its token was generated.
    """

    def __init__(
        self,
        *,
        web: str | None,
        virtual_camera: str | None = None,
        page: WebSettings,
        camera: VirtualCameraSettings | None = None,
        model: ModelSettings,
        quiet: bool,
    ) -> None:
        self._quiet = quiet
        self._page: WebSink | None = None
        self.makers: list[Callable[[SourceInfo], Sink]] = []
        if web is not None:
            from rtseg.sinks.web import open_web_sink
            from rtseg.system.threads import half, shares_processor

            threads = half(model.threads) if shares_processor(model) else model.threads
            opened = self._page = open_web_sink(web, settings=page, threads=threads)
            opened.on_open = self._print_address
            self.makers.append(lambda _info: opened)
        if virtual_camera is not None:
            from rtseg.sinks.virtual_camera import VirtualCameraSink

            device = None if virtual_camera == "auto" else virtual_camera
            self.makers.append(lambda _info: VirtualCameraSink(device, settings=camera))

    def connect(self, controls: Controls) -> None:
        """Make the page show the controls' state."""
        if self._page is not None:
            self._page.state = controls.page_state

    def _print_address(self, url: str) -> None:
        if not self._quiet or "token=" in url:
            click.echo(f"live at {url}", err=True)
