"""Sound, subtitles, data, tags, chapters and attachments: dropped, unless asked for by name; and then in step."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from anonymizer.media import CarryPolicy
from anonymizer.media.disguise import Disguise
from tests.media.clips import Clip, run, side_packets, times_s, write

ALL = frozenset({"subtitles", "data", "metadata", "chapters", "attachments"})


def heard(path: Path) -> tuple[np.ndarray, float]:
    """All samples of the first audio stream, mono at 48 kHz, and when they begin."""
    pieces, start = [], None
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=48000)
        for frame in container.decode(audio=0):
            if start is None and frame.pts is not None:
                start = float(frame.pts * frame.time_base)
            pieces += [piece.to_ndarray()[0] for piece in resampler.resample(frame)]
    return np.concatenate(pieces), start or 0.0


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".ts", ".flv"])
@pytest.mark.parametrize("offset_s", [0.0, 0.24])
def test_kept_sound_is_the_same_and_in_step(suffix: str, offset_s: float, tmp_path: Path) -> None:
    source = write(Clip(f"in{suffix}", frames=25, audio=("aac", "aac") if suffix != ".flv" else ("aac",), audio_offset_s=offset_s), tmp_path)
    done = run(source, tmp_path / f"out{suffix}", carry=CarryPolicy(audio="keep"))
    before, after = side_packets(source, "audio"), side_packets(done.path, "audio")
    moved = times_s(done.path)[0] - times_s(source)[0]
    assert len(before) == len(after)
    for theirs, ours in zip(before, after, strict=True):
        theirs = theirs[len(theirs) - len(ours) :]  # Where nothing can come before 0, the encoder's priming is left out.
        assert [payload for _, payload in ours] == [payload for _, payload in theirs]
        assert [time - moved for time, _ in ours] == pytest.approx([time for time, _ in theirs], abs=0.0021)
    assert {carrier.fate for carrier in done.carriers if carrier.kind == "audio"} == {"copied"}


@pytest.mark.parametrize(
    ("audio", "suffix", "codec"),
    [
        ("aac", ".webm", "opus"),
        ("pcm_s16le", ".mp4", "aac"),
        ("flac", ".ts", "aac"),
        ("libopus", ".avi", "mp3"),
        ("flac", ".mpg", "mp2"),
        ("libmp3lame", ".mp4", "mp3"),
    ],
)
def test_sound_that_a_file_type_cannot_hold_is_encoded_again_and_said(audio: str, suffix: str, codec: str, tmp_path: Path) -> None:
    source = write(Clip("in.mkv", frames=25, audio=(audio,)), tmp_path)
    done = run(source, tmp_path / f"out{suffix}", carry=CarryPolicy(audio="keep"))
    with av.open(str(done.path)) as container:
        assert container.streams.audio[0].codec_context.codec.canonical_name == codec
    again = codec != {"libopus": "opus", "libmp3lame": "mp3"}.get(audio, audio)
    assert any("encoded again" in sentence for sentence in done.warnings) == again
    assert [carrier.fate for carrier in done.carriers if carrier.kind == "audio"] == ["converted" if again else "copied"]
    assert len(heard(done.path)[0]) == pytest.approx(48000, abs=4800)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".ts", ".avi"])
def test_masked_sound_lasts_as_long_and_begins_when_the_source_does(suffix: str, tmp_path: Path) -> None:
    codec = "libvpx" if suffix == ".webm" else "libx264"
    source = write(Clip(f"in{suffix}", codec=codec, frames=50, audio=("libopus" if suffix == ".webm" else "libmp3lame",)), tmp_path)
    done = run(source, tmp_path / f"out{suffix}", carry=CarryPolicy(audio="mask"))
    assert [carrier.fate for carrier in done.carriers if carrier.kind == "audio"] == ["masked"]
    (theirs, first), (ours, start) = heard(source), heard(done.path)
    moved = times_s(done.path)[0] - times_s(source)[0]
    assert start - moved == pytest.approx(first, abs=0.06)
    assert len(ours) == pytest.approx(len(theirs), abs=4800)
    assert np.abs(ours).max() > 0.01


def test_a_disguise_keeps_neither_phase_nor_pitch() -> None:
    """What it says depends on the loudness of twelve bands alone: a wave turned upside down gives the same samples."""
    time = np.arange(48000) / 48000
    voice = (0.3 * np.sign(np.sin(2 * np.pi * 140 * time))).astype(np.float32)[None]

    def disguised(samples: np.ndarray) -> np.ndarray:
        disguise = Disguise(48000, 1)
        parts = [disguise.process(samples[:, start : start + 1000]) for start in range(0, samples.shape[1], 1000)]
        return np.concatenate([*parts, disguise.flush()], axis=1)

    one, other = disguised(voice), disguised(-voice)
    assert one.shape == voice.shape
    assert np.array_equal(one, other)
    # No harmonic of 140 Hz stands out any more: the spectrum is flat within a band.
    spectrum = np.abs(np.fft.rfft(one[0][8192 : 8192 + 16384] * np.hanning(16384)))
    hertz = np.fft.rfftfreq(16384, 1 / 48000)
    band = (hertz > 1000) & (hertz < 1300)
    harmonics = np.abs(hertz - 1120) < 6
    assert spectrum[harmonics].mean() < 3 * spectrum[band].mean()
    assert spectrum[hertz > 9000].max() < 0.02 * spectrum.max()


def test_a_disguise_is_as_long_as_its_sound_and_silent_where_that_is() -> None:
    disguise = Disguise(16000, 2)
    sound = np.zeros((2, 16000), np.float32)
    sound[:, 8000:] = np.random.default_rng(1).uniform(-0.4, 0.4, (2, 8000))
    said = np.concatenate([disguise.process(sound), disguise.flush()], axis=1)
    assert said.shape == sound.shape
    assert np.abs(said[:, :7000]).max() < 1e-3
    assert np.abs(said[:, 9500:]).max() > 0.05


@pytest.mark.parametrize("audio", ["keep", "mask"])
def test_a_span_cuts_the_sound_with_the_picture(audio: str, tmp_path: Path) -> None:
    source = write(Clip("in.mp4", frames=75, audio=("aac",), options={"g": "10"}), tmp_path)
    done = run(source, tmp_path / "out.mp4", carry=CarryPolicy(audio=audio), span_s=(1.0, 2.0))
    assert len(done.frames) == 25
    assert times_s(done.path)[0] == 0
    (packets,) = side_packets(done.path, "audio")
    assert -0.05 < packets[0][0] < 0.03
    assert 0.95 < packets[-1][0] < 1.05


def test_a_broken_sound_track_never_stops_the_picture(tmp_path: Path) -> None:
    source = write(Clip("in.mkv", frames=50, audio=("flac",)), tmp_path)
    (packets,) = side_packets(source, "audio")
    data = source.read_bytes()
    for _, payload in packets[5:20]:
        data = data.replace(payload, b"\x11" * len(payload))
    source.write_bytes(data)
    for policy in ("keep", "mask"):
        done = run(source, tmp_path / f"{policy}.mp4", carry=CarryPolicy(audio=policy))
        assert len(done.frames) == 50
        assert not any(frame.damaged for frame in done.frames)


def test_what_is_named_is_kept_and_the_rest_is_not(tmp_path: Path) -> None:
    source = write(Clip("in.mkv", frames=25, audio=("aac",), tags={"title": "holiday", "artist": "Ben"}, chapters=3, attachment=b"guests"), tmp_path)
    bare = run(source, tmp_path / "bare.mkv")
    with av.open(str(bare.path)) as container:
        assert [stream.type for stream in container.streams] == ["video"]
        assert container.chapters() == []
        assert set(container.metadata) <= {"ENCODER", "encoder"}

    full = run(source, tmp_path / "full.mkv", carry=CarryPolicy(audio="keep", keep=ALL))
    with av.open(str(full.path)) as container:
        assert sorted(stream.type for stream in container.streams) == ["attachment", "audio", "video"]
        assert [chapter["metadata"]["title"] for chapter in container.chapters()] == ["part 0", "part 1", "part 2"]
        assert container.metadata["title"] == "holiday"
        assert next(stream for stream in container.streams if stream.type == "attachment").data == b"guests"
    fates = {(carrier.kind, carrier.name): carrier.fate for carrier in full.carriers}
    assert fates["tag", "title"] == fates["chapter", "1"] == fates["audio", "0:1"] == "copied"

    span = run(source, tmp_path / "span.mkv", carry=CarryPolicy(keep=frozenset({"chapters"})), span_s=(0.12, 0.8))
    with av.open(str(span.path)) as container:
        assert [(chapter["start"] * chapter["time_base"], chapter["metadata"]["title"]) for chapter in container.chapters()] == [
            (0, "part 1"),
            (Fraction(8, 100), "part 2"),
        ]


def test_a_place_that_was_asked_for_is_called_kept_in_every_form(tmp_path: Path) -> None:
    source = write(Clip("in.mp4", tags={"location": "+52.5200+013.4050/"}), tmp_path)
    for kept, fate in ((frozenset({"metadata"}), "copied"), (frozenset[str](), "dropped")):
        done = run(source, tmp_path / f"{fate}.mp4", carry=CarryPolicy(keep=kept))
        places = {carrier.name: carrier.fate for carrier in done.carriers if "place" in carrier.detail or carrier.name.startswith("location")}
        assert {"location", "moov/udta/loci"} <= places.keys()
        assert set(places.values()) == {fate}
        assert (b"loci" in done.path.read_bytes()) == (fate == "copied")


def test_late_sound_that_a_file_type_cannot_say_is_warned_about(tmp_path: Path) -> None:
    source = write(Clip("in.mp4", frames=50, audio=("libmp3lame",), audio_offset_s=0.64), tmp_path)
    for name, words in (("out.avi", "begins 0.6"), ("out.mkv", "")):
        done = run(source, tmp_path / name, carry=CarryPolicy(audio="keep"))
        assert [words in warning for warning in done.warnings] == ([True] if words else [])


SPANS = [
    pytest.param((0.12, 0.15), {"part 1": (0, 30)}, id="inside-one"),
    pytest.param((0.04, 0.2), {"part 0": (0, 60), "part 1": (60, 160)}, id="ends-where-one-begins"),
    pytest.param((0.0, 0.24), {"part 0": (0, 100), "part 1": (100, 200), "part 2": (200, 240)}, id="cuts-the-last"),
    pytest.param((0.24, None), {"part 2": (0, 60)}, id="to-the-end"),
    pytest.param((0.4, 0.8), {}, id="behind-all"),
]


@pytest.mark.parametrize(("span_s", "kept"), SPANS)
@pytest.mark.parametrize("name", ["out.mkv", "out.mp4"])
def test_chapters_are_cut_to_the_span_and_only_those_in_it_are_called_kept(
    name: str, span_s: tuple[float, float | None], kept: dict[str, tuple[int, int]], tmp_path: Path
) -> None:
    source = write(Clip("in.mkv", frames=25, chapters=3), tmp_path)
    done = run(source, tmp_path / name, carry=CarryPolicy(keep=frozenset({"chapters"})), span_s=span_s)
    with av.open(str(done.path)) as container:
        found = {
            entry["metadata"]["title"]: tuple(round(entry[edge] * entry["time_base"] * 1000) for edge in ("start", "end")) for entry in container.chapters()
        }
    assert found == kept
    fates = {carrier.detail: carrier.fate for carrier in done.carriers if carrier.kind == "chapter"}
    assert fates == {f"part {number}": "copied" if f"part {number}" in kept else "dropped" for number in range(3)}


@pytest.mark.parametrize("name", ["out.avi", "out.ts", "out.wmv"])
def test_chapters_are_called_kept_only_where_the_file_type_holds_them(name: str, tmp_path: Path) -> None:
    done = run(write(Clip("in.mkv", frames=5, chapters=2), tmp_path), tmp_path / name, carry=CarryPolicy(keep=frozenset({"chapters"})))
    with av.open(str(done.path)) as container:
        found = len(container.chapters())
    fates = {carrier.fate for carrier in done.carriers if carrier.kind == "chapter"}
    assert (found, fates) == ((2, {"copied"}) if name == "out.wmv" else (0, {"dropped"}))
    assert any("hold no chapters" in warning for warning in done.warnings) == (name != "out.wmv")


def test_subtitles_are_copied_where_the_file_type_takes_them(tmp_path: Path) -> None:
    source = tmp_path / "in.mkv"
    clip = write(Clip("plain.mkv", frames=50), tmp_path)
    with av.open(str(clip)) as picture, av.open(str(source), "w") as container:
        video = container.add_stream_from_template(picture.streams.video[0], opaque=True)
        words = container.add_mux_stream("subrip")
        words.time_base = Fraction(1, 1000)
        packets = [packet for packet in picture.demux(video=0) if packet.size]
        for packet in packets[:1]:
            packet.stream = video
            container.mux(packet)
        for number in range(3):
            line = av.Packet(f"Anna says {number}".encode())
            line.stream, line.time_base, line.pts, line.dts, line.duration = words, Fraction(1, 1000), number * 500, number * 500, 400
            container.mux(line)
        for packet in packets[1:]:
            packet.stream = video
            container.mux(packet)
    kept = run(source, tmp_path / "kept.mkv", carry=CarryPolicy(keep=frozenset({"subtitles"})))
    (lines,) = side_packets(kept.path, "subtitle")
    assert [(round(time, 3), payload) for time, payload in lines] == [(0.5 * number, f"Anna says {number}".encode()) for number in range(3)]
    refused = run(source, tmp_path / "refused.ts", carry=CarryPolicy(keep=frozenset({"subtitles"})))
    assert side_packets(refused.path, "subtitle") == []
    assert any("cannot hold" in sentence for sentence in refused.warnings)
    assert b"Anna says" not in run(source, tmp_path / "dropped.mkv").path.read_bytes()


def test_a_policy_knows_its_words() -> None:
    with pytest.raises(ValueError, match="thumbnails is none of"):
        CarryPolicy(keep=frozenset({"thumbnails"}))
