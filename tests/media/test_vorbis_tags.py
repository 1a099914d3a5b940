"""Vorbis carries tags and cover art inside its headers: sound that is kept comes without them."""

from pathlib import Path

import av
import pytest

from anonymizer.config import load_config
from anonymizer.equipment import Equipment
from anonymizer.media.tracks import vorbis_headers
from anonymizer.pipeline import anonymize_video
from tests.conftest import write_clip

FIRST, LAST = b"\1vorbis" + bytes(23), b"\5vorbis" + bytes(400)
TAG = b"METADATA_BLOCK_PICTURE=somebody at home" * 20
COMMENTS = b"\3vorbis" + bytes(4) + (1).to_bytes(4, "little") + len(TAG).to_bytes(4, "little") + TAG + b"\1"
LACED = bytes([2, 30, *[255] * (len(COMMENTS) // 255), len(COMMENTS) % 255]) + FIRST + COMMENTS + LAST
SIZED = b"".join(len(header).to_bytes(2, "big") + header for header in (FIRST, COMMENTS, LAST))


@pytest.mark.parametrize("private", [LACED, SIZED], ids=["laced", "sized"])
def test_tags_are_cut_out_and_the_rest_is_kept(private: bytes) -> None:
    headers = vorbis_headers(private)
    assert TAG not in headers
    assert FIRST in headers
    assert headers.endswith(LAST)
    assert vorbis_headers(headers) == headers


@pytest.mark.parametrize("private", [b"", b"\2", b"\2\xff", LACED[:40], SIZED[:50], b"\0\x1e", bytes(500)])
def test_odd_headers_are_not_copied(private: bytes) -> None:
    assert vorbis_headers(private) == b""


def with_tags(clip: Path, path: Path) -> Path:
    """The clip with a tag put into its sound's headers."""
    with av.open(str(clip)) as source, av.open(str(path), "w") as target:
        streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        sound = streams[source.streams.audio[0].index]
        plain = vorbis_headers(bytes(source.streams.audio[0].codec_context.extradata or b""))
        last = plain[plain.index(b"\5vorbis") :]
        sound.codec_context.extradata = LACED[: -len(FIRST + COMMENTS + LAST)] + plain[3:33] + COMMENTS + last
        for packet in source.demux():
            if packet.size:
                packet.stream = streams[packet.stream_index]
                target.mux(packet)
    return path


def test_kept_sound_brings_no_tags(tmp_path: Path) -> None:
    source, target = tmp_path / "in.mkv", tmp_path / "out.mkv"
    with_tags(write_vorbis(tmp_path / "plain.mkv"), source)
    assert TAG in source.read_bytes()
    anonymize_video(source, target, Equipment.of(load_config({"detect": [], "zones": ["0,0,9,9"], "audio": "keep"}).config))
    assert TAG not in target.read_bytes()
    with av.open(str(target)) as container:
        assert container.streams.audio[0].codec_context.name == "vorbis"
        assert sum(frame.samples for frame in container.decode(audio=0)) > 10_000


def write_vorbis(path: Path) -> Path:
    """A clip with Vorbis sound: FFmpeg's own encoder wants to be told that it is an experiment."""
    clip = write_clip(path.with_suffix(".mp4"), audio="aac")
    with av.open(str(clip)) as source, av.open(str(path), "w") as target:
        video = target.add_stream_from_template(source.streams.video[0])
        sound = target.add_stream("vorbis", rate=48000, layout="stereo", options={"strict": "-2"})
        for packet in source.demux():
            if packet.stream_index == source.streams.video[0].index:
                if packet.size:
                    packet.stream = video
                    target.mux(packet)
                continue
            for frame in packet.decode():
                assert isinstance(frame, av.AudioFrame)
                target.mux(sound.encode(frame))
        target.mux(sound.encode(None))
    return path
