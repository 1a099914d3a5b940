"""No secret is left in a log, whoever wrote it there in whatever form."""

from __future__ import annotations

import base64
import io
import json
from urllib.parse import quote

import pytest

from anonymizer.cameras.addresses import place_of
from anonymizer.cameras.loading import streaming_from
from anonymizer.cameras.secrets import masked, secrets_of, shown_url
from anonymizer.streaming.logs import Event, EventLog, event_line

SHOWN = [
    ("rtsp://admin:secret@192.168.1.20:554/stream?channel=1&token=abc", "rtsp://192.168.1.20:554/stream"),
    ("rtsp://[fe80::1]:8554/a", "rtsp://[fe80::1]:8554/a"),
    ("rtsp://admin@host", "rtsp://host"),
    ("rtsp://admin:se/cret@host/stream", "rtsp://..."),
    ("rtsp://admin:1/se@cret@host/stream", "rtsp://..."),
    ("rtsp://admin:1?secret@host/stream", "rtsp://..."),
    ("rtsp://admin:1#secret@host/stream", "rtsp://..."),
    ("rtmp://live.example/app/live_123_secret", "rtmp://live.example/app/..."),
    ("https://customer-x.example/1f3asecret9b2d/webRTC/publish", "https://customer-x.example/.../webRTC/publish"),
    ("whip://live.example/w/a1secret", "whip://live.example/w/..."),
    ("http://192.168.1.20/httpPreview/axis-cgi/live-north.m3u8", "http://192.168.1.20/httpPreview/axis-cgi/live-north.m3u8"),
    ("/dev/video0", "/dev/video0"),
    ("0", "0"),
    ("street.mp4", "street.mp4"),
]


@pytest.mark.parametrize(("url", "shown"), SHOWN)
def test_shown_url_has_no_user_query_or_key(url: str, shown: str) -> None:
    assert shown_url(url) == shown
    assert "secret" not in shown_url(url)


def secrets_in(url: str, **sections: object) -> frozenset[str]:
    return secrets_of(streaming_from({"cameras": {"gate": {"url": "0", "outputs": [url]}}, **sections}, environment={}))


@pytest.mark.parametrize("form", ["p%40ss%2Fword", "p@ss/word", quote("p@ss/word"), "admin:p%40ss%2Fword", base64.b64encode(b"admin:p@ss/word").decode()])
def test_password_is_masked_in_every_form(form: str) -> None:
    secrets = secrets_in("rtsp://admin:p%40ss%2Fword@host/stream")
    assert masked(f"401 Unauthorized: {form}, again", secrets) == "401 Unauthorized: ***, again"


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("rtsp://host/stream?user=a&password=abcde", "abcde"),
        ("https://host/whip?token=abc%2Fdef", "abc/def"),
        ("rtmp://live.example/app/live_123_abc", "live_123_abc"),
        ("rtsp://host/stream?x=0123456789", "0123456789"),
        ("https://customer-x.example/1f3a5c7e9b2d4f60/webRTC/publish", "1f3a5c7e9b2d4f60"),
        ("whip://live.example/w/abcdefghijklmnop", "abcdefghijklmnop"),
    ],
)
def test_query_and_stream_key_are_secrets(url: str, secret: str) -> None:
    assert secret not in masked(f"cannot open {url}: {secret}", secrets_in(url))


@pytest.mark.parametrize(
    ("url", "is_secret"),
    [
        ("rtsp://host/live/${X}", True),
        ("rtsp://${X}:abc@host/live", True),
        ("rtsp://host/live#${X}", True),
        ("srt://host:9000?streamid=publish:${X}", True),
        ("rtsp://${X}/live", False),
        ("rtsp://user:abc@${X}:554/live", False),
        ("rtsp://${X}.example/live", False),
    ],
)
def test_what_a_variable_puts_into_an_address_is_a_secret_unless_it_names_the_host(url: str, is_secret: bool) -> None:
    document = {"cameras": {"gate": {"url": "0", "outputs": [url]}}}
    value = "livestock-x"
    assert ("***" in masked(f"{value} is gone", secrets_of(streaming_from(document, environment={"X": value})))) == is_secret
    assert secrets_of(streaming_from(document, environment={"X": "main"})).isdisjoint({"main"}), "a short one stands in every other word"


def test_address_that_is_a_variable_stays_readable() -> None:
    settings = streaming_from({"cameras": {"gate": "${GATE}"}}, environment={"GATE": "rtsp://admin:tr0ub4dor@gate.example/1"})
    assert masked("rtsp://admin:tr0ub4dor@gate.example/1 is gone", secrets_of(settings)) == "rtsp://***@gate.example/1 is gone"
    assert "tr0ub4dor" not in repr(settings)


def test_servers_have_secrets() -> None:
    secrets = secrets_in("rtsp://h/1", serve={"user": "viewer", "password": "abcdefgh"}, web={"token": "0123456789"})
    assert {"abcdefgh", "viewer:abcdefgh", "0123456789", base64.b64encode(b"viewer:abcdefgh").decode()} <= secrets


def test_what_is_no_secret_stays_readable() -> None:
    secrets = secrets_in("rtsp://admin:abc@host/stream?channel=1&codec=h264")
    assert masked("gate: channel 1 of host/stream, codec h264, user admin, abc", secrets) == "gate: channel 1 of host/stream, codec h264, user admin, abc"
    assert "abc" not in masked("rtsp://admin:abc@host", secrets)  # In its place a short one is masked as well.
    assert "gate" not in secrets_in("rtmp://h/app/gate")


def test_longer_secret_is_masked_before_what_lies_in_it() -> None:
    assert masked("abcdefgh", ["cdef", "abcdefgh"]) == "***"


def test_addresses_of_one_place_are_equal() -> None:
    assert place_of("rtsp://a:b@Host:554/x/") == place_of("rtsp://host/x")
    assert place_of("rtsp://host/x") != place_of("rtsp://host:8554/x")


def test_plain_line_is_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    event = Event("401 for rtsp://a:secret@h\n\x1b[31m", "warning", "gate", time_s=0.0)
    line = event_line(event, {"a:secret"})
    assert line[2] == line[5] == ":"
    assert line[8:] == " gate  warning  401 for rtsp://***@h??[31m"


def test_json_line_is_one_object() -> None:
    line = event_line(Event("two\nlines of s\u00e9cret", "error", time_s=1.5), {"s\u00e9cret"}, as_json=True)
    assert json.loads(line) == {"time": "1970-01-01T00:00:01.500Z", "level": "error", "camera": None, "words": "two\nlines of ***"}
    assert "\n" not in line


def test_log_says_no_less_than_asked_for_and_masks_what_came_later() -> None:
    stream = io.StringIO()
    log = EventLog({"first"}, least="warning", stream=stream)
    log(Event("not said", "info"))
    log.add_secrets({"second"})
    log(Event("first, second", "warning"))
    assert stream.getvalue().endswith("warning  ***, ***\n")
    assert len(stream.getvalue().splitlines()) == 1


def test_log_that_nobody_takes_ends_nothing() -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError("no space left on device")

    EventLog(stream=Full())(Event("words", "error"))
