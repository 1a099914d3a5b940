"""Channels, packet sockets, clocks and back-off: what processes are joined by."""

from __future__ import annotations

import errno
import itertools
import os
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonymizer.ipc.channel import Channel, ChannelClosedError
from anonymizer.ipc.packets import MOST_QUEUED_BYTES, PacketReceiver, PacketSender, SenderClosedError, packet_sockets
from anonymizer.ipc.process import MOST_BACKOFF_S, Backoff
from anonymizer.streaming.clock import SmoothClock
from anonymizer.types import EncodedPacket, StreamFormat

FORMAT = StreamFormat("h264", (640, 360), 25.0, b"\0\0\0\1g")


def test_message_and_open_file_arrive() -> None:
    ours, theirs = Channel.pair()
    with ours, theirs:
        read, write = os.pipe()
        assert ours.send({"do": "x", "name": "ü"}, [write])
        found = theirs.receive(1)
        assert found is not None
        message, (fd,) = found
        assert message == {"do": "x", "name": "ü"}
        os.write(fd, b"!")
        assert os.read(read, 1) == b"!"
        for number in (read, write, fd):
            os.close(number)


def test_channel_never_waits_and_tells_the_end() -> None:
    ours, theirs = Channel.pair()
    with ours:
        while ours.send({"fill": "x" * 10000}):
            pass
        theirs.close()
        with pytest.raises(ChannelClosedError):
            ours.send({})
        with pytest.raises(ChannelClosedError):
            ours.receive(0)


def test_channel_that_takes_no_more_files_is_full_and_not_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> int:
        raise OSError(errno.ETOOMANYREFS, os.strerror(errno.ETOOMANYREFS))

    ours, theirs = Channel.pair()
    with ours, theirs:
        monkeypatch.setattr(socket, "send_fds", refuse)
        assert not ours.send({"do": "x"}, [0])


NONSENSE = [
    pytest.param(b"+", "pipe", id="file-is-a-pipe"),
    pytest.param(b"+", "/", id="file-is-a-folder"),
    pytest.param(b"+", "huge", id="file-is-huge"),
    pytest.param(b"[" * 5000, "/dev/null", id="nested"),
    pytest.param(b"[]", "/dev/null", id="no-table"),
]


@pytest.mark.parametrize(("data", "beside"), NONSENSE)
def test_nonsense_is_a_value_error_and_keeps_no_file_open(data: bytes, beside: str) -> None:
    ours, theirs = Channel.pair()
    with ours, theirs:
        if beside == "pipe":
            fds = list(os.pipe())
        elif beside == "huge":
            fds = [os.memfd_create("huge")]
            os.truncate(fds[0], 1 << 40)
        else:
            fds = [os.open(beside, os.O_RDONLY)]
        before = len(os.listdir("/proc/self/fd"))
        socket.send_fds(theirs._end, [data], [*fds[1:], fds[0]])
        with pytest.raises(ValueError, match="is no message"):
            ours.receive(1)
        assert len(os.listdir("/proc/self/fd")) == before
        for fd in fds:
            os.close(fd)


def sender_and_receiver() -> tuple[PacketSender, PacketReceiver]:
    ours, theirs = packet_sockets()
    for end in (ours, theirs):
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            end.setsockopt(socket.SOL_SOCKET, option, 20_000)
    return PacketSender(ours), PacketReceiver(theirs)


def test_sink_begins_with_the_format_and_a_key_frame() -> None:
    sender, receiver = sender_and_receiver()
    sender.offer(FORMAT)
    sender.offer(EncodedPacket(1, False, b"lost"))
    key = EncodedPacket(2, True, b"key")
    sender.offer(key)
    assert receiver.receive(1) == FORMAT
    assert receiver.receive(1) == key
    assert receiver.receive(0) is None
    assert sender.lost == 1
    sender.close()
    with pytest.raises(EOFError):
        receiver.receive(1)
    receiver.close()


def test_slow_sink_loses_groups_and_nothing_is_torn() -> None:
    sender, receiver = sender_and_receiver()
    sender.offer(FORMAT)
    for at in range(40):
        sender.offer(EncodedPacket(at * 90_000, at % 10 == 0, bytes([at]) * 300_000))
    assert sender.lost > 0
    found = []
    for at in range(40, 52):
        sender.offer(EncodedPacket(at * 90_000, at % 10 == 0, bytes([at]) * 300_000))
        while sender.is_waiting or (item := receiver.receive(0)) is not None:
            sender.push()
            if (item := receiver.receive(0)) is not None:
                found.append(item)
    packets = [item for item in found if isinstance(item, EncodedPacket)]
    assert all(packet.data == bytes([packet.data[0]]) * 300_000 for packet in packets)
    gaps = [at for at in range(1, len(packets)) if packets[at].pts != packets[at - 1].pts + 90_000]
    assert gaps
    assert all(packets[at].is_key for at in gaps)
    sender.close()
    receiver.close()


def test_queue_of_a_sink_that_never_reads_is_bounded() -> None:
    sender, receiver = sender_and_receiver()
    sender.offer(FORMAT)
    for at in range(200):
        sender.offer(EncodedPacket(at * 3600, at % 10 == 0, bytes(200_000)))
        assert sender._queued <= MOST_QUEUED_BYTES + 200_100
    receiver.close()
    with pytest.raises(SenderClosedError):
        sender.offer(EncodedPacket(200 * 3600, True, bytes(200_000)))
    sender.close()


@given(st.lists(st.tuples(st.floats(-1e4, 1e4), st.floats(0, 3)), min_size=1, max_size=50))
def test_clock_always_rises(steps: list[tuple[float, float]]) -> None:
    clock, now_s, last_s = SmoothClock(), 100.0, 0.0
    for at, (source_s, pause_s) in enumerate(steps):
        now_s += pause_s
        time_s = clock.at(source_s, now_s) if at % 3 else clock.now(now_s)
        assert time_s > last_s
        last_s = time_s


def test_clock_is_calmer_than_the_arrivals_and_stays_near() -> None:
    clock = SmoothClock()
    jitter_s = [0.03 * (-1) ** at for at in range(200)]
    times_s = [clock.at(at * 0.04, 50 + at * 0.0401 + jitter_s[at]) for at in range(200)]
    steps_s = [after - before for before, after in itertools.pairwise(times_s)]
    assert max(steps_s[20:]) - min(steps_s[20:]) < 0.01
    assert abs(times_s[-1] - (50 + 199 * 0.0401)) < 0.05


def test_backoff_grows_to_its_limit_and_starts_over_after_health() -> None:
    backoff = Backoff()
    waits_s = [backoff.next_s(0.1) for _ in range(8)]
    assert 0.8 <= waits_s[0] <= 1.2
    assert waits_s[-1] >= 0.8 * MOST_BACKOFF_S
    assert max(waits_s) <= 1.2 * MOST_BACKOFF_S
    assert backoff.next_s(61.0) <= 1.2
