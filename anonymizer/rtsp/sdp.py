"""Session descriptions (RFC 8866): what DESCRIBE answers."""

from __future__ import annotations

import base64

from anonymizer.rtsp.rtp import PAYLOAD_TYPE, nal_type, nal_units
from anonymizer.types import StreamFormat

TRACK = "track1"
_ENCODINGS = {"h264": "H264", "hevc": "H265"}
_H264_SPS, _H264_PPS = 7, 8
_HEVC_SETS = {32: "sprop-vps", 33: "sprop-sps", 34: "sprop-pps"}


def description(title: str, stream: StreamFormat, session_id: int) -> bytes:
    """The one video track of a camera."""
    name = "".join(character if character.isprintable() else " " for character in title).strip()
    lines = [
        "v=0",
        f"o=- {session_id} 1 IN IP4 0.0.0.0",
        f"s={name or '-'}",
        "c=IN IP4 0.0.0.0",
        "t=0 0",
        "a=control:*",
        "a=range:npt=now-",
        f"m=video 0 RTP/AVP {PAYLOAD_TYPE}",
        f"a=rtpmap:{PAYLOAD_TYPE} {_ENCODINGS[stream.codec]}/90000",
        f"a=fmtp:{PAYLOAD_TYPE} {_parameters(stream)}" if _parameters(stream) else "",
        f"a=framerate:{stream.frame_rate:.3f}" if 0 < stream.frame_rate < 1000 else "",
        f"a=control:{TRACK}",
    ]
    return ("\r\n".join(line for line in lines if line) + "\r\n").encode()


def _parameters(stream: StreamFormat) -> str:
    """How a decoder is set up before the first packet."""
    units: dict[int, list[bytes]] = {}
    for unit in nal_units(stream.parameter_sets):
        units.setdefault(nal_type(stream.codec, unit), []).append(unit)
    if stream.codec == "hevc":
        return ";".join(f"{name}={_base64(units[kind])}" for kind, name in _HEVC_SETS.items() if kind in units)
    values = ["packetization-mode=1"]
    if _H264_SPS in units and _H264_PPS in units:
        values += [f"profile-level-id={units[_H264_SPS][0][1:4].hex().upper()}", f"sprop-parameter-sets={_base64(units[_H264_SPS] + units[_H264_PPS])}"]
    return ";".join(values)


def _base64(units: list[bytes]) -> str:
    return ",".join(base64.b64encode(unit).decode() for unit in units)
