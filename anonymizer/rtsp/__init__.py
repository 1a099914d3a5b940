"""A small RTSP server of our own: every camera's sealed stream at rtsp://host:port/NAME, over TCP.

`server` accepts connections and holds a `feed` per camera; a `session` speaks RTSP with one client; once it plays, a `viewer`
sends it the feed's pictures as RTP. Everything that a client sends is bounded (`limits`), and no viewer waits for another.
"""
