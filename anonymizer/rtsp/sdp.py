"""Session descriptions (RFC 8866): what DESCRIBE answers."""

from __future__ import annotations

import base64

from anonymizer.rtsp.rtp import PAYLOAD_TYPE, SOUND_PAYLOAD_TYPE, nal_type, nal_units
from anonymizer.types import SoundFormat, StreamFormat

TRACK, SOUND_TRACK = "track1", "track2"
_ENCODINGS = {"h264": "H264", "hevc": "H265"}
_H264_SPS, _H264_PPS = 7, 8
_HEVC_SETS = {32: "sprop-vps", 33: "sprop-sps", 34: "sprop-pps"}


def description(title: str, stream: StreamFormat, session_id: int) -> bytes:
    """A camera's picture and, where there may be any, its sound."""
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
        *([] if stream.sound is None else _sound(stream.sound)),
    ]
    return ("\r\n".join(line for line in lines if line) + "\r\n").encode()


def _sound(sound: SoundFormat) -> list[str]:
    """RFC 3640, section 4.1, for AAC-hbr."""
    kind = SOUND_PAYLOAD_TYPE
    modes = f"streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config={sound.config.hex().upper()}"
    return [f"m=audio 0 RTP/AVP {kind}", f"a=rtpmap:{kind} MPEG4-GENERIC/{sound.rate}/{sound.channels}", f"a=fmtp:{kind} {modes}", f"a=control:{SOUND_TRACK}"]


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
