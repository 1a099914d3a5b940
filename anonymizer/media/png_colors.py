"""The chunks of a PNG that say how its numbers become light, as values that everybody knows.

Copied as they stand, their free numbers could carry 36 bytes of anything; the nearest known value carries a name.
"""

from __future__ import annotations

import struct

_STEPS = 100_000  # PNG (third edition) 11.3.2: gAMA and cHRM hold values times 100000.
_GAMMAS = (1.0, 1 / 1.8, 1 / 2.0, 1 / 2.2, 1 / 2.4, 1 / 2.6)
_GAMMA_NEAR = 0.011  # share; writers say 1/2.2 as 0.45, 0.4545 and 0.45455
_COORDINATE_NEAR = 150  # of _STEPS: two decimals short of a third
_D65, _D50 = (31270, 32900), (34567, 35850)
_CHROMATICITIES = (  # white, red, green and blue, x and y each
    (*_D65, 64000, 33000, 30000, 60000, 15000, 6000),  # sRGB, Rec. 709
    (*_D65, 68000, 32000, 26500, 69000, 15000, 6000),  # Display P3
    (31400, 35100, 68000, 32000, 26500, 69000, 15000, 6000),  # DCI P3
    (*_D65, 64000, 33000, 21000, 71000, 15000, 6000),  # Adobe RGB (1998)
    (*_D65, 70800, 29200, 17000, 79700, 13100, 4600),  # Rec. 2020
    (*_D65, 63000, 34000, 31000, 59500, 15500, 7000),  # Rec. 601, 525 lines
    (*_D65, 64000, 33000, 29000, 60000, 15000, 6000),  # Rec. 601, 625 lines
    (*_D50, 73470, 26530, 15960, 84040, 3660, 10),  # ProPhoto RGB
)
# ISO/IEC 23091-2; a PNG's samples are RGB, which is matrix 0.
_PRIMARIES, _TRANSFERS = frozenset((1, 4, 5, 6, 7, 8, 9, 10, 11, 12, 22)), frozenset(range(1, 19)) - {2, 3}
COLOR_CHUNKS = frozenset((b"gAMA", b"cHRM", b"sRGB", b"cICP"))


def known_color(name: bytes, content: bytes) -> bytes | None:
    """A colour chunk's content as the known value that it means, or None: it means none."""
    if name == b"gAMA" and len(content) == 4:
        gamma = int.from_bytes(content, "big") / _STEPS
        known = next((one for one in _GAMMAS if abs(gamma - one) <= _GAMMA_NEAR * one + 1e-9), None)
        return None if known is None else round(known * _STEPS).to_bytes(4, "big")
    if name == b"cHRM" and len(content) == 32:
        said = struct.unpack(">8I", content)
        near = next((one for one in _CHROMATICITIES if all(abs(a - b) <= _COORDINATE_NEAR for a, b in zip(said, one, strict=True))), None)
        return None if near is None else struct.pack(">8I", *near)
    if name == b"sRGB" and len(content) == 1 and content[0] <= 3:
        return content
    if name == b"cICP" and len(content) == 4 and content[0] in _PRIMARIES and content[1] in _TRANSFERS and content[2] == 0 and content[3] <= 1:
        return content
    return None
