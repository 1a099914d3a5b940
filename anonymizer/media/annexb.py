"""Coded pictures as a live stream carries them: NAL units behind start codes (H.264 and H.265, Annex B)."""

from __future__ import annotations

from collections.abc import Iterable

from anonymizer.types import StreamFormat

START_CODE = b"\x00\x00\x00\x01"
_PARAMETER_SETS = {"h264": (7, 8), "hevc": (32, 33, 34)}  # SPS, PPS; VPS, SPS, PPS
_DELIMITERS = {"h264": 9, "hevc": 35}  # access unit delimiter
_SPS = {"h264": 7, "hevc": 33}


def nal_units(data: bytes) -> list[bytes]:
    """The NAL units of one or more coded frames, without start codes.

    >>> nal_units(b"\\0\\0\\0\\1\\x67\\x42\\0\\0\\1\\x68")
    [b'gB', b'h']
    """
    # A NAL unit never ends in a zero byte: zeros there belong to the next start code, or are padding.
    return [unit for piece in data.split(b"\x00\x00\x01")[1:] if (unit := piece.rstrip(b"\x00"))]


def nal_type(unit: bytes, codec: str) -> int:
    """The type in a NAL unit's header, as ITU-T H.264 table 7-1 or H.265 table 7-1 counts them."""
    return unit[0] & 0x1F if codec == "h264" else unit[0] >> 1 & 0x3F


def joined(units: Iterable[bytes]) -> bytes:
    """NAL units behind start codes."""
    return b"".join(START_CODE + unit for unit in units)


def parameter_sets_of(data: bytes, codec: str) -> bytes:
    """The parameter sets in a coded frame, behind start codes; empty where there are none."""
    return joined(unit for unit in nal_units(data) if nal_type(unit, codec) in _PARAMETER_SETS[codec])


def sample_of(data: bytes, codec: str) -> bytes:
    """A coded frame as MP4 keeps it (ISO/IEC 14496-15): lengths for start codes, parameter sets and delimiters left out."""
    left_out = (*_PARAMETER_SETS[codec], _DELIMITERS[codec])
    return b"".join(len(unit).to_bytes(4) + unit for unit in nal_units(data) if nal_type(unit, codec) not in left_out)


def codec_string(stream: StreamFormat) -> str:
    """How browsers and playlists name the coding (RFC 6381): "avc1.64001f", "hvc1.1.6.L93.B0"."""
    sps = next((unit for unit in nal_units(stream.parameter_sets) if nal_type(unit, stream.codec) == _SPS[stream.codec]), None)
    if sps is None:
        raise ValueError("a stream's parameter sets hold no sequence parameter set")
    if stream.codec == "h264":
        return f"avc1.{sps[1:4].hex()}"
    # Two bytes of header, one of identifiers, then profile_tier_level (H.265, 7.3.3); annex E of ISO/IEC 14496-15.
    body = sps.replace(b"\x00\x00\x03", b"\x00\x00")[3:]
    space, tier, profile = body[0] >> 6, body[0] >> 5 & 1, body[0] & 0x1F
    compatibility = int(f"{int.from_bytes(body[1:5]):032b}"[::-1], 2)
    constraints = body[5:11].rstrip(b"\x00")
    parts = [f"{['', 'A', 'B', 'C'][space]}{profile}", f"{compatibility:x}", f"{'LH'[tier]}{body[11]}", *(f"{byte:X}" for byte in constraints)]
    return "hvc1." + ".".join(parts)
