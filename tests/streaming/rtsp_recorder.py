"""GStreamer's RTSP server in RECORD mode: run by the system's Python, which has its bindings. Prints its port; writes MPEG-TS."""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_service("0")
factory = GstRtspServer.RTSPMediaFactory()
factory.set_transport_mode(GstRtspServer.RTSPTransportMode.RECORD)
factory.set_launch(f"( rtph264depay name=depay0 ! h264parse ! mpegtsmux ! filesink location={sys.argv[1]} sync=false )")
server.get_mount_points().add_factory("/anon", factory)
server.attach(None)
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
