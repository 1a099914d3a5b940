"""Who may look: whoever holds the token or the password; without either, nobody but this machine."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import math
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from anonymizer.cameras.listening import Attempts, is_loopback
from anonymizer.cameras.settings import Server
from anonymizer.errors import ConfigError

_OPEN_PATHS = {"/healthz", "/readyz", "/style.css"}  # words that are no secret: a cluster's probes hold no credentials
_COOKIE_S = 30 * 24 * 3600

_SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; media-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",  # an address may hold the token
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

_ASK_FOR_TOKEN = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>anonymizer</title><link rel="stylesheet" href="/style.css">
<form class="login" action="/"><label for="token">Token of this page</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus><button>Open</button></form></html>"""


def require_safe(server: Server) -> None:
    """ConfigError where strangers could look, or read a password on its way."""
    if "" in (server.token, server.password, server.user):
        raise ConfigError("the page's token, user or password is empty", hint="the environment variable that it is taken from may not be set")
    if (server.user is None) != (server.password is None):
        raise ConfigError("the page has a user without a password, or a password without a user", hint="set both, or a token")
    if is_loopback(server.host):
        return
    if server.token is None and server.password is None:
        raise ConfigError(f"the page would answer anybody at {server.host}", hint="set a token, or let it listen on 127.0.0.1")
    if server.password is not None and server.certificate is None:
        raise ConfigError(f"the page's password would travel unencrypted to {server.host}", hint="set certificate and key, or use a token")


def warning_of(server: Server) -> str | None:
    """What is allowed, and had better be known."""
    if is_loopback(server.host) or server.certificate is not None:
        return None
    return "pictures and token travel unencrypted: set certificate and key, or put a proxy with TLS in front"


class Access:
    """The middleware that every request passes, and the headers that every answer gets."""

    def __init__(self, server: Server, attempts: Attempts | None = None) -> None:
        require_safe(server)
        self._server = server
        self._attempts = attempts or Attempts()
        self._needs_credentials = server.token is not None or server.password is not None
        self._cookie = _cookie_of(server) if self._needs_credentials else ""
        self._cookie_name = f"anonymizer-{server.port}"  # Cookies know no ports: two runs on a host would log each other's viewers out.

    def guard(self, app: web.Application) -> None:
        """Let nothing past that is not allowed."""
        app.middlewares.append(self._middleware)
        app.on_response_prepare.append(self._add_headers)

    @web.middleware
    async def _middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in _OPEN_PATHS:
            return await handler(request)
        _require_same_site(request)
        if not self._needs_credentials:
            _require_local_name(request)
            return await handler(request)
        cookie = request.cookies.get(self._cookie_name, "")
        if hmac.compare_digest(cookie.encode(), self._cookie.encode()):
            if "token" in request.query:
                return _without_token(request)
            return await handler(request)
        return await self._with_credentials(request, handler)

    async def _with_credentials(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not self._has_credentials(request):
            return self._ask(request)
        address = request.remote or ""
        wait_s = self._attempts.wait_s(address)
        if wait_s > 0:
            raise web.HTTPTooManyRequests(headers={hdrs.RETRY_AFTER: str(math.ceil(wait_s))})
        if not self._is_right(request):
            self._attempts.failed(address)
            return self._ask(request)
        self._attempts.succeeded(address)
        if "token" in request.query:
            response: web.StreamResponse = _without_token(request)
        else:
            response = await handler(request)
        if "token" in request.query or request.path == "/":
            # With a password as well: Safari opens WebSockets without the one that it was given for the page.
            self._set_cookie(response)
        return response

    def _has_credentials(self, request: web.Request) -> bool:
        return "token" in request.query or hdrs.AUTHORIZATION in request.headers

    def _is_right(self, request: web.Request) -> bool:
        if "token" in request.query:
            return self._is_token(request.query["token"])
        kind, _, value = request.headers[hdrs.AUTHORIZATION].partition(" ")
        checks = {"bearer": self._is_token, "basic": self._is_password}
        return kind.lower() in checks and checks[kind.lower()](value.strip())

    def _is_token(self, given: str) -> bool:
        wanted = self._server.token
        return hmac.compare_digest(given.encode(errors="replace"), (wanted or "").encode()) and wanted is not None

    def _is_password(self, value: str) -> bool:
        user, password = self._server.user, self._server.password
        try:
            given = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            return False
        wanted = f"{user}:{password}".encode()
        return hmac.compare_digest(given, wanted) and user is not None and password is not None

    def _ask(self, request: web.Request) -> web.Response:
        """401, with a form where a person is likely to look."""
        scheme = 'Basic realm="anonymizer", charset="UTF-8"' if self._server.password is not None else "Bearer"
        headers = {hdrs.WWW_AUTHENTICATE: scheme}
        if request.path == "/" and self._server.token is not None:
            return web.Response(status=401, text=_ASK_FOR_TOKEN, content_type="text/html", headers=headers)
        return web.Response(status=401, text="401: credentials are needed\n", headers=headers)

    @staticmethod
    async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(_SECURITY_HEADERS)
        response.headers.pop(hdrs.SERVER, None)  # names the versions of what runs here

    def _set_cookie(self, response: web.StreamResponse) -> None:
        secure = self._server.certificate is not None
        response.set_cookie(self._cookie_name, self._cookie, max_age=_COOKIE_S, path="/", secure=secure, httponly=True, samesite="Strict")


def _require_same_site(request: web.Request) -> None:
    """403 for what another site's page asks for in a viewer's browser: it could draw our pictures, or open our WebSockets."""
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is not None and urlsplit(origin).netloc.lower() != request.host.lower():
        raise web.HTTPForbidden(text="403: asked by another site\n")
    if request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site") and request.headers.get("Sec-Fetch-Mode") != "navigate":
        raise web.HTTPForbidden(text="403: asked by another site\n")


def _require_local_name(request: web.Request) -> None:
    """403 for a name that is not this machine's: a stranger's site whose name was made to mean 127.0.0.1 (DNS rebinding)."""
    try:
        name = urlsplit(f"//{request.host}").hostname or ""
    except ValueError:
        name = ""
    if not is_loopback(name):
        raise web.HTTPForbidden(text="403: without a token this page answers to localhost only\n")


def _without_token(request: web.Request) -> web.Response:
    # Never to a path that no route knows: one such as //example.org would lead away from here.
    path = "/" if request.match_info.http_exception else str(request.rel_url.without_query_params("token"))
    return web.Response(status=303, headers={hdrs.LOCATION: path})


def _cookie_of(server: Server) -> str:
    """The same after a restart, so that a wall display stays logged in; slow to make, so that a stolen one does not give the password away."""
    secret = "\0".join((server.token or "", server.user or "", server.password or ""))
    return hashlib.scrypt(secret.encode(), salt=b"anonymizer page", n=1 << 14, r=8, p=1, dklen=32).hex()
