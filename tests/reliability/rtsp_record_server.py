"""An RTSP server that accepts a stream (RECORD), with GStreamer. Runs under the system's Python.

    /usr/bin/python3 tests/reliability/rtsp_record_server.py PORT

Prints `ready` once it listens, then one line per packet: `video` or `audio`. Debian packages:
gir1.2-gst-rtsp-server-1.0, python3-gi and gstreamer1.0-plugins-{base,good,bad}.
"""

import sys

import gi  # type: ignore[import-not-found]

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # type: ignore[import-not-found]  # noqa: E402

PIPELINE = (
    "( rtph264depay name=depay0 ! h264parse ! identity name=video signal-handoffs=true "
    "! fakesink sync=false "
    "rtpmp4gdepay name=depay1 ! identity name=audio signal-handoffs=true ! fakesink sync=false )"
)
VIDEO_ONLY = PIPELINE.partition("rtpmp4gdepay")[0] + ")"


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def count(_factory: object, media: object) -> None:
    for name in ("video", "audio"):
        element = media.get_element().get_by_name(name)  # type: ignore[attr-defined]
        if element is not None:
            element.connect("handoff", lambda _element, _buffer, name=name: say(name))


def main() -> None:
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(sys.argv[1])
    for path, pipeline in (("/live", VIDEO_ONLY), ("/sound", PIPELINE)):
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(pipeline)
        factory.set_transport_mode(GstRtspServer.RTSPTransportMode.RECORD)
        factory.connect("media-configure", count)
        server.get_mount_points().add_factory(path, factory)
    if not server.attach(None):
        sys.exit("the port is taken")
    for element in ("rtph264depay", "h264parse", "rtpmp4gdepay"):
        if Gst.ElementFactory.find(element) is None:
            sys.exit(f"no {element}")
    say("ready")
    GLib.MainLoop().run()


main()
