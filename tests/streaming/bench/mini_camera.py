"""A camera in plain Python: paints, codes and serves RTSP with RTP on the same connection, and fails in every way on request.

with MiniCamera() as camera:
    ... read camera.url ...
    camera.fault("drop", share=0.2, seconds=5).wait()
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import threading
import time
from base64 import b64encode
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tests.streaming.bench.coded import CodedFrame, Coding, Counting, PaintedEncoder, is_idr, is_parameter_set, nal_type
from tests.streaming.bench.faults import KINDS, Faulty, Kind
from tests.streaming.bench.rtp import CLOCK, interleaved, sender_report
from tests.streaming.bench.rtsp_session import Session

_RTP_HEAD, _NAL_HEAD = 12, 3  # what damage spares: packets and fragments stay what they are
_REPORT_EVERY_S = 2.0


class MiniCamera(Counting, Faulty):
    """Live from the first moment on, served from a thread of its own."""

    def __init__(
        self,
        coding: Coding | None = None,
        *,
        port: int = 0,
        seed: int = 1,
        first_counter: int = 0,
        announce_parameter_sets: bool = True,
        on_frame: Callable[[CodedFrame, int], None] | None = None,
    ) -> None:
        Counting.__init__(self, coding, first_counter)
        Faulty.__init__(self, seed, KINDS)
        self._announce = announce_parameter_sets
        self._on_frame = on_frame
        self._encoder = PaintedEncoder(self.coding)
        self._parameter_sets: tuple[bytes, ...] = ()
        self._frames_made = 0
        self._rtp_offset = self.faults.dice.randrange(1 << 31)
        self._held_timestamp: int | None = None
        self._sessions: list[Session] = []
        self._listener: socket.socket | None = None
        self._selector = selectors.DefaultSelector()
        self._stopping = threading.Event()
        self.viewers = 0  # sessions that play
        self.connections = 0  # accepted so far
        self._listen(port)
        self.port = self._listener_port()
        self._thread = threading.Thread(target=self._run, name="mini-camera", daemon=True)
        self._failure: BaseException | None = None

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/camera"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Stop; raises what went wrong inside, if anything did."""
        self._stopping.set()
        self._thread.join(10)
        if self._failure is not None:
            raise RuntimeError("the camera itself failed") from self._failure

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._keep_door()
                self._end_connections()
                due_s = self.began_s + (self._frames_made + 1) / self.rate
                wait_s = min(0.02, max(0.0, due_s - time.monotonic()))
                for key, _ in self._selector.select(wait_s):
                    self._accept() if key.data is None else self._serve(key.data)
                if time.monotonic() >= due_s:
                    self._tick()
        except BaseException as error:
            self._failure = error
        finally:
            for session in list(self._sessions):
                self._drop(session)
            self._close_door()
            self._selector.close()

    # --- the door

    def _listen(self, port: int) -> None:
        listener = socket.create_server(("127.0.0.1", port), backlog=64)
        listener.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ, None)
        self._listener = listener

    def _listener_port(self) -> int:
        assert self._listener is not None
        port: int = self._listener.getsockname()[1]
        return port

    def _close_door(self) -> None:
        if self._listener is not None:
            self._selector.unregister(self._listener)
            self._listener.close()
            self._listener = None

    def _keep_door(self) -> None:
        refuse = self.faults.get("refuse")
        if refuse is not None and self._listener is not None:
            self._close_door()
            self._reset_all()
            refuse.hit += 1
        elif refuse is None and self._listener is None:
            self._listen(self.port)

    def _accept(self) -> None:
        assert self._listener is not None
        with contextlib.suppress(BlockingIOError):
            end, _ = self._listener.accept()
            self.connections += 1
            session = Session(end, self.faults.dice.randrange(1 << 32), self.faults.dice.randrange(1 << 16))
            session.is_mute = self._hits("mute")
            session.is_silent = self._hits("silent")
            self._sessions.append(session)
            self._selector.register(end, selectors.EVENT_READ, session)

    def _hits(self, kind: Kind) -> bool:
        fault = self.faults.get(kind)
        if fault is not None:
            fault.hit += 1
        return fault is not None

    def _serve(self, session: Session) -> None:
        if not session.read(None if self._is_stalled(session) else self._description):
            self._drop(session)

    def _is_stalled(self, session: Session) -> bool:
        stall = self.faults.get("stall")
        if stall is not None and session.began_s < stall.began_s:
            session.is_mute = True  # for ever: the other end has to notice
            stall.hit += 1
        return session.is_mute

    def _drop(self, session: Session, *, reset: bool = False) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(session.end)
        if session in self._sessions:
            self._sessions.remove(session)
        with contextlib.suppress(OSError):
            if reset:
                session.end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            session.end.close()

    def _reset_all(self) -> None:
        for session in list(self._sessions):
            self._drop(session, reset=True)

    def _end_connections(self) -> None:
        if self.faults.take("reset") is not None:
            self._reset_all()
        change = self.faults.take("coding")
        if change is not None:
            if change.values.get("reconnect", False):
                self._reset_all()
            self.coding = change.values["coding"]
            self._encoder = PaintedEncoder(self.coding)
            self._parameter_sets = ()

    def _description(self) -> str:
        """The SDP of this moment."""
        if not self._parameter_sets:
            self._learn_parameter_sets(PaintedEncoder(self.coding).encode(0))
        return sdp(self.coding, self._parameter_sets if self._announce and self.faults.get("keyless") is None else ())

    def _learn_parameter_sets(self, frame: CodedFrame) -> None:
        found = tuple(nal for nal in frame.nals if is_parameter_set(nal, self.coding.codec))
        self._parameter_sets = found or self._parameter_sets

    # --- the picture

    def _tick(self) -> None:
        """The frame that is due; frames that this machine was too slow for are left out, as a camera's are."""
        index = int((time.monotonic() - self.began_s) * self.rate)
        self._frames_made = index
        playing = [session for session in self._sessions if session.is_playing]
        self.viewers = len(playing)
        if not playing or self._hits("blank"):
            return
        keyless = self.faults.get("keyless")
        wants_key = keyless is None and not self.coding.intra_refresh and any(session.needs_key for session in playing)
        frame = self._encoder.encode(self.first_counter + index, key=wants_key)
        if frame.is_key:
            self._learn_parameter_sets(frame)
        timestamp = self._timestamp(index)
        if self._on_frame is not None:
            self._on_frame(frame, timestamp)
        if keyless is not None:
            kept = tuple(nal for nal in frame.nals if not (is_idr(nal, self.coding.codec) or is_parameter_set(nal, self.coding.codec)))
            keyless.hit += len(kept) < len(frame.nals)
            frame = CodedFrame(frame.counter, kept, False)
        for session in playing:
            self._send(session, frame, timestamp)

    def _timestamp(self, index: int) -> int:
        jump = self.faults.take("pts")
        if jump is not None:
            self._rtp_offset += round(jump.values["jump_s"] * CLOCK)
        timestamp = self._rtp_offset + index * CLOCK // self.rate
        if not self._hits("frozen_pts"):
            self._held_timestamp = None
            return timestamp
        self._held_timestamp = timestamp if self._held_timestamp is None else self._held_timestamp
        return self._held_timestamp

    def _send(self, session: Session, frame: CodedFrame, timestamp: int) -> None:
        if session.is_silent or self._is_stalled(session):
            return
        if session.needs_key and not frame.is_key and self.faults.get("keyless") is None and not self.coding.intra_refresh:
            return
        session.needs_key = False
        garbage = self.faults.get("garbage")
        out = bytearray()
        now_s = time.monotonic()
        if now_s >= session.next_report_s:
            session.next_report_s = now_s + _REPORT_EVERY_S
            out += interleaved(sender_report(session.packetizer.ssrc, timestamp, time.time(), 0, 0), 1)
        for packet in session.packetizer.packets(frame.nals, timestamp, self.coding.codec):
            if garbage is not None:
                garbage.hit += 1
                out += self.faults.dice.randbytes(len(packet))
                continue
            arrived = self.faults.on_packet(packet, _RTP_HEAD + _NAL_HEAD)
            if arrived is not None:
                out += interleaved(arrived, 0)
        if not session.write(bytes(out)):
            self._drop(session)


def sdp(coding: Coding, parameter_sets: tuple[bytes, ...]) -> str:
    """What DESCRIBE answers."""
    words = [b64encode(nal).decode() for nal in parameter_sets]
    if coding.codec == "h264":
        name, more = "H264", "packetization-mode=1" + (f";sprop-parameter-sets={','.join(words)}" if words else "")
    else:
        names = {32: "sprop-vps", 33: "sprop-sps", 34: "sprop-pps"}
        name, more = "H265", ";".join(f"{names[nal_type(nal, 'hevc')]}={word}" for nal, word in zip(parameter_sets, words, strict=True))
    lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=painted", "c=IN IP4 0.0.0.0", "t=0 0", "a=control:*", "m=video 0 RTP/AVP 96"]
    lines += [f"a=rtpmap:96 {name}/{CLOCK}", *([f"a=fmtp:96 {more}"] if more else []), f"a=framerate:{coding.rate}", "a=control:track1"]
    return "\r\n".join(lines) + "\r\n"
