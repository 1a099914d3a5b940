"""`anonymizer stream`: cameras in, the same streams out with everything covered, until it is stopped."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from anonymizer.cli import flags
from anonymizer.cli.printing import exit_codes, say, say_rows, tell
from anonymizer.errors import ConfigError

if TYPE_CHECKING:
    from anonymizer.cameras.settings import Camera, Server, Streaming

EPILOG = exit_codes(0, 1, 2, 130, 143)
_CAMERA = "camera"  # its name when nobody gives one
_SERVE, _PAGE = "127.0.0.1:8554", "127.0.0.1:8080"
_PAGE_PACKAGES = ("aiohttp", "prometheus_client")
_GET_PAGE = "pip install 'video-anonymizer[live]'"
_TYPED = "its password stands in the list of processes and in the shell's history: write '${VAR}' in its place, or --config with url_file"
# Said for one camera alone; a file says it for each of its own.
_OF_ONE = {"outputs": "--out", "record": "--record", "hls": "--hls", "name": "--name", "transport": "--transport", "insecure": "--insecure"}


def stream(
    context: typer.Context,
    source: Annotated[str | None, typer.Argument(metavar="[IN]", help="A camera's address (rtsp://, ...), a webcam (0) or a file.")] = None,
    outputs: Annotated[list[str] | None, typer.Option("--out", metavar="URL", help="Push there: rtsp, rtsps, rtmp, rtmps, whip, srt; repeatable.")] = None,
    record: Annotated[str | None, typer.Option("--record", metavar="FOLDER", help="Record whole, playable segments into it.")] = None,
    hls: Annotated[str | None, typer.Option("--hls", metavar="FOLDER", help="Write a live playlist for a web server into it.")] = None,
    serve: Annotated[str | None, typer.Option("--serve", metavar="HOST:PORT[/NAME]", help="Serve over RTSP.")] = None,
    page: Annotated[str | None, typer.Option("--page", metavar="HOST:PORT", help="Serve a web page with live view, state and metrics.")] = None,
    cameras: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="A YAML file with many cameras (cameras.yaml); SIGHUP reads it again.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Check everything that was said, print what would be done, and do nothing.")] = False,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="The camera's name in addresses, logs and metrics; default: camera.")] = None,
    lookahead: Annotated[float | None, typer.Option("--lookahead", metavar="S", help="Seconds to look ahead, and of delay; default 0.4, 0: none.")] = None,
    profile: flags.ProfileName = "live",
    preset: flags.PresetName = None,
    strictness: flags.Strictness = None,
    effect: flags.EffectName = None,
    effect_color: flags.EffectColor = None,
    effect_image: flags.EffectImage = None,
    zone: Annotated[list[str] | None, typer.Option("--zone", metavar="x,y,w,h", help="Always covered, in pixels as displayed; repeatable.")] = None,
    ignore_zone: Annotated[list[str] | None, typer.Option("--ignore-zone", metavar="x,y,w,h", help="Never detected there; repeatable.")] = None,
    detect: flags.Detect = None,
    weights: flags.Weights = None,
    audio: Annotated[
        str | None, typer.Option("--audio", metavar="drop|keep|mask", help="Sound: dropped (default), kept, or voices disguised; the page is silent.")
    ] = None,
    threads: flags.Threads = None,
    transport: Annotated[str | None, typer.Option("--transport", metavar="tcp|udp", help="How an RTSP camera sends; default: tcp.")] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Do not check certificates: whoever stands between can watch.")] = False,
    log_json: Annotated[bool, typer.Option("--log-json", help="Log one JSON object a line.")] = False,
    quiet: flags.Quiet = False,
    verbose: flags.Verbose = False,
) -> int:
    """Cover every face and plate in live streams.

    Without an output the stream is served to this machine, over RTSP and on a web page. It runs until Ctrl-C or SIGTERM.
    """
    load = _loader(context.params)
    settings = load()
    _require_page(settings)
    taken = _taken_places(settings)
    if check:
        _say_plan(settings.model_copy(update={"warnings": (*settings.warnings, *taken, *_closed_folders(settings))}))
        return 0
    if taken:
        raise ConfigError(taken[0], hint="another program listens there, or this one: end it, or name another port with --serve and --page")
    if not quiet and not log_json:
        _say_where_to_look(settings)
        for warning in settings.warnings:
            tell(f"anonymizer: warning: {warning}")
    return _run(settings, load if cameras is not None else None, log_json=log_json, least="error" if quiet else "debug" if verbose else "info")


def _run(settings: Streaming, load: Callable[[], Streaming] | None, *, log_json: bool, least: Any) -> int:
    from anonymizer.cameras.secrets import secrets_of
    from anonymizer.streaming.logs import Event, EventLog
    from anonymizer.streaming.supervisor import Supervisor

    log = EventLog(secrets_of(settings), as_json=log_json, least=least)
    if log_json:
        for who, words in _places(settings):
            log(Event(f"{who}, {words}"))
        for warning in settings.warnings:
            log(Event(warning, "warning"))

    def reload() -> Streaming:
        assert load is not None
        new = load()
        _require_page(new)
        log.add_secrets(secrets_of(new))
        for warning in new.warnings:
            log(Event(warning, "warning"))
        return new

    return Supervisor(settings, reload=None if load is None else reload, tell=log, programs=None).run()


def _loader(said: dict[str, Any]) -> Callable[[], Streaming]:
    """Whatever the command line asks for, read anew with each call; ConfigError for what contradicts itself."""
    file, source = said["cameras"], said["source"]
    values = {"lookahead_s": said["lookahead"], "profile": said["profile"], "values": flags.values_from(said)}
    said_as = {**flags.SAID_AS, "lookahead_s": "--lookahead"}
    said_as |= {kind: f"--{flag}" for kind, flag in (("serve", "serve"), ("web", "page")) if said[flag] is not None}
    if file is None and source is None:
        raise ConfigError("no camera was named", hint="name one: anonymizer stream rtsp://HOST/PATH, or many: --config cameras.yaml")
    if file is None:
        if source.endswith((".yaml", ".yml")):
            raise ConfigError(f"{Path(source).name}: is no video", hint=f"did you mean: --config {source}")
        return lambda: _finished(_of_one(said, values, said_as))
    if source is not None:
        raise ConfigError("IN and --config cannot be said together", hint=f"write the camera into {file.name}")
    for key, flag in _OF_ONE.items():
        if said[key]:
            raise ConfigError(f"{flag} and --config cannot be said together", hint=f"write it into {file.name}, for each camera")

    def read() -> Streaming:
        from anonymizer.cameras.loading import load_cameras

        return _finished(load_cameras(file, said_as=said_as, serve=said["serve"], web=said["page"], **values))

    return read


def _of_one(said: dict[str, Any], values: dict[str, Any], said_as: dict[str, str]) -> Streaming:
    """One camera's flags as a file would hold them."""
    from anonymizer.cameras.loading import streaming_from

    serve, name = said["serve"], said["name"]
    if serve is not None and "/" in serve:
        serve, _, served_as = serve.partition("/")
        if name not in (None, served_as):
            raise ConfigError(f"--serve: names the camera {served_as}, and --name {name}", hint="say one name")
        name = served_as
    name = _CAMERA if name is None else name
    outputs: list[Any] = [{"push": url} for url in said["outputs"] or []]
    outputs += [{kind: said[kind]} for kind in ("record", "hls") if said[kind] is not None]
    where = f"cameras.{name}"
    said_as = {**said_as, "cameras": "--name", where: "IN", f"{where}.url": "IN", f"{where}.transport": "--transport"}
    for index, output in enumerate(outputs):
        flag = "--out" if "push" in output else f"--{next(iter(output))}"
        said_as |= {f"{where}.outputs.{index}": flag, f"{where}.outputs.{index}.{next(iter(output))}": flag}
    camera = {"url": said["source"], "transport": said["transport"], "insecure": said["insecure"], "outputs": outputs}
    return streaming_from({"cameras": {name: camera}}, said_as=said_as, serve=serve, web=said["page"], exposed=_TYPED, **values)


def _finished(settings: Streaming) -> Streaming:
    """With somewhere to look if nothing was said of it."""
    from anonymizer.cameras.addresses import host_and_port
    from anonymizer.cameras.settings import Server

    changes: dict[str, Any] = {}
    if settings.serve is None and settings.web is None:
        silent = [camera.name for camera in settings.cameras if not camera.outputs]
        if silent and len(silent) < len(settings.cameras):
            raise ConfigError(f"{silent[0]}: has no output, and there is no server either", hint="write outputs: below it, or serve: or web: for all")
        if silent:
            for kind, place in (("serve", _SERVE), ("web", _PAGE)):
                host, port = host_and_port(place, 0) or ("", 0)
                changes[kind] = Server(host=host, port=port)
            if missing := _missing():
                del changes["web"]
                changes["warnings"] = (*settings.warnings, f"no page without {missing}: {_GET_PAGE}")
    return settings.model_copy(update=changes)


def _require_page(settings: Streaming) -> None:
    if settings.web is not None and (missing := _missing()):
        raise ConfigError(f"no page without {missing}", hint=_GET_PAGE)


def _missing() -> str:
    return ", ".join(name for name in _PAGE_PACKAGES if find_spec(name) is None)


def _taken_places(settings: Streaming) -> list[str]:
    """Why its servers could not listen where they should, in words."""
    from anonymizer.cameras.listening import why_not_free

    serve, page = settings.serve, settings.web
    if serve is not None and page is not None and page.port and (serve.host, serve.port) == (page.host, page.port):  # 0 is any that is free.
        return [f"--page: {page.host} port {page.port} is where --serve listens"]
    return [f"{flag}: {why}" for flag, server in (("--serve", serve), ("--page", page)) if server is not None and (why := why_not_free(server)) is not None]


def _closed_folders(settings: Streaming) -> list[str]:
    """Folders of outputs that could not be written to now, in words."""
    from anonymizer.cameras.settings import Push

    folders = [(camera.name, output.folder) for camera in settings.cameras for output in camera.outputs if not isinstance(output, Push)]
    found = []
    for name, folder in folders:
        nearest = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
        if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
            found.append(f"{name}: {folder} cannot be written to, {nearest} is {'closed to this user' if nearest.is_dir() else 'no folder'}")
    return found


def _say_where_to_look(settings: Streaming) -> None:
    _say_masked(settings, _places(settings))
    say("Ctrl-C stops it")


def _places(settings: Streaming) -> Iterable[tuple[str, str]]:
    from anonymizer.cameras.addresses import address_of, shown_url
    from anonymizer.cameras.settings import Push

    for camera in settings.cameras:
        if settings.serve is not None:
            scheme = "rtsp" if settings.serve.certificate is None else "rtsps"
            yield camera.name, f"watch: {address_of(scheme, settings.serve.host, settings.serve.port, camera.name)}"
        for output in camera.outputs:
            yield camera.name, f"{output.kind}: {shown_url(output.url) if isinstance(output, Push) else output.folder}"
    if settings.web is not None:
        yield "page", address_of("http" if settings.web.certificate is None else "https", settings.web.host, settings.web.port)


def _say_plan(settings: Streaming) -> None:
    rows = [(camera.name, words) for camera in settings.cameras for words in _camera_words(camera)]
    rows += _places(settings)
    rows += [(kind, _server_words(server)) for kind, server in (("serve", settings.serve), ("page", settings.web)) if server is not None]
    _say_masked(settings, [*rows, *(("warning", warning) for warning in settings.warnings)])


def _say_masked(settings: Streaming, rows: Iterable[tuple[str, str]]) -> None:
    """What is printed goes into a service's log: without what variables put into an address."""
    from anonymizer.cameras.secrets import masked, secrets_of

    secrets = secrets_of(settings)
    say_rows([(who, masked(words, secrets)) for who, words in rows])


def _camera_words(camera: Camera) -> Iterable[str]:
    from anonymizer.cameras.addresses import scheme_of, shown_url

    config = camera.config
    reached = f" over {camera.transport}" if scheme_of(camera.url) in ("rtsp", "rtsps") else ""
    yield f"from: {shown_url(camera.url)}{reached}"
    zones = f", {len(config.zones)} zones" if config.zones else ""
    detected = ", ".join(config.in_videos) or "zones alone"
    yield f"covers: {detected}{zones}; {config.preset}, strictness {config.strictness}, {config.effect.kind}, look-ahead {camera.lookahead_s} s"
    if config.audio != "drop":
        yield f"sound: {'kept' if config.audio == 'keep' else 'voices disguised'}"


def _server_words(server: Server) -> str:
    who = " or ".join(words for words, wanted in (("user and password", server.password), ("a token", server.token)) if wanted is not None)
    return f"listens at {server.host} port {server.port}, for {who or 'this machine alone'}, {'without TLS' if server.certificate is None else 'with TLS'}"
