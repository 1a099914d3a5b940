"""Who may watch: Digest in all its dialects, wrong passwords by the thousand, TLS, and where a server without a password may listen."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import time
from pathlib import Path

import av
import pytest

from anonymizer.cameras.listening import Attempts, tls_of
from anonymizer.cameras.settings import Server
from anonymizer.errors import ConfigError
from anonymizer.rtsp.limits import Limits
from anonymizer.rtsp.server import require_safe
from tests.streaming.drawn_stream import sealer
from tests.streaming.rtsp_world import Client, authorization, nonce_of, served

LOGIN = {"user": "viewer", "password": "right: horse"}
URI = "rtsp://127.0.0.1/gate"


@pytest.mark.parametrize(
    ("algorithm", "qop"),
    [(None, False), ("MD5", False), ("MD5", True), ("SHA-256", True), ("SHA-256", False), (None, True)],
    ids=["rfc2069", "md5", "md5-qop", "sha256-qop", "sha256", "rfc2617"],
)
def test_every_dialect_of_digest_is_understood(algorithm: str | None, qop: bool) -> None:
    with served(**LOGIN) as server, sealer() as running, Client(server.port) as client:
        server.add("gate", running.receiver)
        status, headers, body = client.ask("DESCRIBE", URI)
        assert (status, body) == (401, b"")
        assert [challenge.partition(" ")[0] for challenge in headers["www-authenticate"]] == ["Digest", "Digest"]
        assert "MD5" in headers["www-authenticate"][-1]  # FFmpeg and GStreamer take the last one
        nonce = nonce_of(headers)
        wrong = authorization("DESCRIBE", URI, nonce, "viewer", "wrong", algorithm, qop=qop)
        status, headers, _ = client.ask("DESCRIBE", URI, {"Authorization": wrong})
        assert status == 401
        right = authorization("DESCRIBE", URI, nonce_of(headers), "viewer", "right: horse", algorithm, qop=qop)
        assert client.ask("DESCRIBE", URI, {"Authorization": right})[0] == 200


@pytest.mark.parametrize(
    "broken",
    [
        lambda good: good.replace("viewer", "somebody"),
        lambda good: good.replace("127.0.0.1/gate", "127.0.0.1/other"),
        lambda good: good.replace("Digest", "Basic"),
        lambda good: "Basic dmlld2VyOnJpZ2h0OiBob3JzZQ==",
        lambda good: "Digest",
        lambda good: good + ", algorithm=MD5-sess",
        lambda good: good + ", qop=auth-int",
        lambda good: good + ', username="viewer"',
        lambda good: good[:-20],
        lambda good: good.replace('response="', 'response="ü'),
        lambda good: 'Digest username="viewer", realm="anonymizer", nonce="", uri="", response=""',
        lambda good: good + ", " + "x" * 3000,
    ],
)
def test_other_credentials_are_refused(broken: object) -> None:
    with served(**LOGIN) as server, Client(server.port) as client:
        nonce = nonce_of(client.ask("DESCRIBE", URI)[1])
        good = authorization("DESCRIBE", URI, nonce, "viewer", "right: horse")
        assert client.ask("DESCRIBE", URI, {"Authorization": broken(good)})[0] == 401  # type: ignore[operator]


def test_nothing_but_options_is_answered_without_a_password() -> None:
    with served(**LOGIN) as server, sealer() as running, Client(server.port) as client:
        server.add("gate", running.receiver)
        assert client.ask("OPTIONS", "*")[0] == 200
        for method in ("DESCRIBE", "SETUP", "PLAY", "GET_PARAMETER", "SET_PARAMETER", "TEARDOWN"):
            for name in ("gate", "nothing"):  # and which cameras there are is not told
                assert client.ask(method, f"rtsp://127.0.0.1/{name}", {"Session": "1"})[0] == 401


def test_credentials_overheard_on_one_connection_are_worth_nothing_on_another() -> None:
    with served(**LOGIN) as server, sealer() as running, Client(server.port) as one, Client(server.port) as two:
        server.add("gate", running.receiver)
        right = authorization("DESCRIBE", URI, nonce_of(one.ask("DESCRIBE", URI)[1]), "viewer", "right: horse")
        assert one.ask("DESCRIBE", URI, {"Authorization": right})[0] == 200
        status, headers, _ = two.ask("DESCRIBE", URI, {"Authorization": right})
        assert (status, "stale=true" in headers["www-authenticate"][-1]) == (401, True)


def test_an_old_nonce_is_asked_for_again_without_being_a_failure() -> None:
    with served(Limits(nonce_s=0.2), **LOGIN) as server, sealer() as running, Client(server.port) as client:
        server.add("gate", running.receiver)
        nonce = nonce_of(client.ask("DESCRIBE", URI)[1])
        for _ in range(6):  # more than would be forgiven
            time.sleep(0.25)
            old = authorization("DESCRIBE", URI, nonce, "viewer", "right: horse")
            status, headers, _ = client.ask("DESCRIBE", URI, {"Authorization": old})
            assert (status, "stale=true" in headers["www-authenticate"][-1]) == (401, True)
            nonce = nonce_of(headers)
        fresh = authorization("DESCRIBE", URI, nonce, "viewer", "right: horse")
        assert client.ask("DESCRIBE", URI, {"Authorization": fresh})[0] == 200


def test_a_thousand_wrong_passwords_are_cheap_and_shut_nobody_else_out(caplog: pytest.LogCaptureFixture) -> None:
    with served(**LOGIN) as server, sealer() as running:
        server.add("gate", running.receiver)
        began_s, refused = time.monotonic(), 0
        for _ in range(1000):
            with Client(server.port) as client:
                status, headers, _ = client.ask("DESCRIBE", URI)
                if status == 401:
                    wrong = authorization("DESCRIBE", URI, nonce_of(headers), "viewer", "guess")
                    status, headers, _ = client.ask("DESCRIBE", URI, {"Authorization": wrong})
                    assert status == 401
                else:
                    assert status == 503
                    refused += 1
        assert time.monotonic() - began_s < 20
        assert refused > 950
        with Client(server.port, source="127.0.0.2") as client:
            client.play("gate", ("viewer", "right: horse"))
            assert client.frame()[1]
        with Client(server.port) as client:
            wait_s = int(client.ask("DESCRIBE", URI)[1]["retry-after"][0])
        assert 0 < wait_s <= 60
        time.sleep(wait_s)
        with Client(server.port) as client:
            client.play("gate", ("viewer", "right: horse"))
            assert client.frame()[1]
    assert len(caplog.records) < 20  # nor does a log fill up
    assert "horse" not in caplog.text


def test_one_connection_may_not_guess_for_ever() -> None:
    with served(Limits(passwords=2), **LOGIN) as server, Client(server.port) as client:
        headers = client.ask("DESCRIBE", URI)[1]
        for _ in range(2):
            wrong = authorization("DESCRIBE", URI, nonce_of(headers), "viewer", "guess")
            status, headers, _ = client.ask("DESCRIBE", URI, {"Authorization": wrong})
            assert status == 401
        assert headers["connection"] == ["close"]
        assert client.is_closed()


def test_waiting_grows_ends_and_is_bounded_in_memory() -> None:
    now_s = 0.0
    attempts = Attempts(lambda: now_s)
    waits = []
    for _ in range(12):
        attempts.failed("192.0.2.1")
        waits.append(attempts.wait_s("192.0.2.1"))
        now_s += waits[-1]
    assert waits == [0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
    assert attempts.wait_s("192.0.2.1") == 0
    attempts.failed("2001:db8::1")
    attempts.failed("2001:db8::2")
    attempts.failed("2001:db8::3")
    assert attempts.wait_s("2001:db8::4") > 0  # whoever has one of these addresses has them all
    attempts.succeeded("2001:db8::9")
    assert attempts.wait_s("2001:db8::4") == 0
    for number in range(20_000):
        attempts.failed(f"host {number}")
    assert len(attempts._failures) <= 4096


@pytest.mark.parametrize("login", ["viewer:wrong@", ""])
def test_players_without_the_password_see_nothing(login: str) -> None:
    with served(**LOGIN) as server, sealer() as running:
        server.add("gate", running.receiver)
        with pytest.raises((av.error.HTTPUnauthorizedError, av.error.HTTPError, av.error.FFmpegError)):
            av.open(server.url("gate", login), options={"rtsp_transport": "tcp"}, timeout=(5, 5))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    folder = tmp_path_factory.mktemp("tls")
    files = {"certificate": str(folder / "cert.pem"), "key": str(folder / "key.pem")}
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", files["key"], "-out", files["certificate"]]
    subprocess.run(command, check=True, capture_output=True)
    return files


def test_rtsps(certificate: dict[str, str]) -> None:
    trusting = ssl.create_default_context(cafile=certificate["certificate"])
    with served(**LOGIN, **certificate) as server, sealer() as running:
        server.add("gate", running.receiver)
        with Client(server.port, tls=trusting) as client:
            client.play("gate", ("viewer", "right: horse"))
            assert [client.frame()[0] for _ in range(10)].count(0) >= 8
        url = server.url("gate", "viewer:right%3A%20horse@").replace("rtsp:", "rtsps:")
        options = {"rtsp_transport": "tcp", "tls_verify": "1", "ca_file": certificate["certificate"]}
        with av.open(url, options=options, timeout=(10, 10)) as container:
            assert next(container.decode(video=0)).width == 320


def test_what_is_no_tls_on_a_tls_port_is_dropped_without_a_word(certificate: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    with served(Limits(request_s=0.5), **certificate) as server:
        with Client(server.port) as client:
            client.send(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n")
            assert client.is_closed()
        with Client(server.port) as silent:
            assert silent.is_closed()
        with Client(server.port) as halfway:
            halfway.send(b"\x16\x03\x01\x02\x00\x01")
            assert halfway.is_closed()
    assert not caplog.records


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "", "example.org"])
def test_without_a_password_only_loopback_is_bound(host: str) -> None:
    with pytest.raises(ConfigError, match="anybody") as refused:
        require_safe(Server(host=host))
    assert refused.value.hint
    with pytest.raises(ConfigError), served(host=host):
        pass
    require_safe(Server(host=host, user="viewer", password="secret"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"user": "viewer"},
        {"password": "secret"},
        {"user": "", "password": "secret"},
        {"user": "viewer", "password": ""},
        {"user": "a:b", "password": "c"},
        {"token": "t"},
    ],
)
def test_halves_of_credentials_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as refused:
        require_safe(Server(**wrong))
    assert refused.value.hint
    assert "secret" not in str(refused.value)


def test_a_broken_certificate_is_said(tmp_path: Path, certificate: dict[str, str]) -> None:
    (tmp_path / "not.pem").write_text("nothing")
    for files in ({"certificate": tmp_path / "none.pem"}, {"certificate": tmp_path / "not.pem"}, {"key": tmp_path / "none.pem"}):
        with pytest.raises(ConfigError):
            tls_of(Server(**files))
    locked = tmp_path / "locked.pem"
    subprocess.run(["openssl", "ec", "-in", certificate["key"], "-aes256", "-passout", "pass:word", "-out", str(locked)], check=True, capture_output=True)
    with pytest.raises(ConfigError):  # and not a question on a terminal
        tls_of(Server(certificate=certificate["certificate"], key=locked))
