"""A headless Chromium, driven over its remote debugging WebSocket, for what only a browser can show."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", "--no-first-run", "--disable-background-networking"]


class Tab:
    """One page, and everything that it said and asked for."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._session: str | None = None
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._number = 0
        self.events: list[tuple[str, dict[str, Any]]] = []

    async def hear(self) -> None:
        """Take what the browser says, until it is gone."""
        async for message in self._socket:
            said = json.loads(message.data)
            if "id" in said:
                self._answers.pop(said["id"]).set_result(said)
            else:
                self.events.append((said["method"], said["params"]))

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the DevTools protocol."""
        self._number += 1
        answer = self._answers[self._number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": self._number, "method": method, "params": parameters, **({"sessionId": self._session} if self._session else {})})
        said = await asyncio.wait_for(answer, 20)
        assert "error" not in said, (method, said)
        return said["result"]

    async def open(self, script_first: str = "") -> None:
        """A tab of its own that reports everything; `script_first` runs before the page's own scripts."""
        target = (await self.call("Target.createTarget", url="about:blank"))["targetId"]
        self._session = (await self.call("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        for domain in ("Runtime", "Log", "Page", "Network"):
            await self.call(f"{domain}.enable")
        if script_first:
            await self.call("Page.addScriptToEvaluateOnNewDocument", source=script_first)

    async def value_of(self, expression: str) -> Any:
        """What a JavaScript expression is worth in the page."""
        result = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    async def wait_for(self, expression: str, within_s: float = 15.0) -> Any:
        """The first value of the expression that counts as true."""
        deadline_s = time.monotonic() + within_s
        while time.monotonic() < deadline_s:
            if value := await self.value_of(expression):
                return value
            await asyncio.sleep(0.1)
        text = await self.value_of("document.body.innerText")
        raise AssertionError(f"{expression} did not come true within {within_s} s; the page says:\n{text}\n{self.complaints()}")

    async def press(self, key: str) -> None:
        """One key, as a keyboard sends it."""
        text = "\r" if key == "Enter" else ""
        await self.call("Input.dispatchKeyEvent", type="keyDown", key=key, code=key, windowsVirtualKeyCode=_CODES[key], text=text)
        await self.call("Input.dispatchKeyEvent", type="keyUp", key=key, code=key, windowsVirtualKeyCode=_CODES[key])

    def complaints(self) -> list[str]:
        """Errors in the console, exceptions, and whatever the policy of the page forbade."""
        found = []
        for method, event in self.events:
            if method == "Runtime.exceptionThrown" or (method == "Runtime.consoleAPICalled" and event["type"] in ("error", "assert")):
                found.append(json.dumps(event))
            elif method == "Log.entryAdded" and event["entry"]["level"] == "error":
                found.append(event["entry"]["text"])
        return found

    def addresses(self) -> set[str]:
        """Everything that was asked for."""
        asked = {event["request"]["url"] for method, event in self.events if method == "Network.requestWillBeSent"}
        return asked | {event["url"] for method, event in self.events if method == "Network.webSocketCreated"}


_CODES = {"Enter": 13, "Escape": 27, "ArrowLeft": 37, "ArrowRight": 39, "Tab": 9}


@asynccontextmanager
async def browsing(folder: Path, *, script_first: str = "", width: int = 1280, height: int = 800) -> AsyncIterator[Tab]:
    """A fresh browser with one tab; nothing of it is left."""
    assert CHROMIUM is not None
    process = subprocess.Popen([CHROMIUM, *_FLAGS, f"--user-data-dir={folder}", "about:blank"], stderr=subprocess.PIPE, text=True)
    try:
        address = await asyncio.wait_for(asyncio.to_thread(_address_of, process), 30)
        async with aiohttp.ClientSession() as client, client.ws_connect(address, max_msg_size=0) as socket:
            tab = Tab(socket)
            hearing = asyncio.create_task(tab.hear())
            await tab.open(script_first)
            await tab.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
            yield tab
            hearing.cancel()
    finally:
        process.terminate()
        process.wait(10)


def _address_of(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    stderr = process.stderr
    for line in stderr:
        if "DevTools listening on " in line:
            threading.Thread(target=_drain, args=(stderr,), daemon=True).start()
            return line.rsplit(" ", 1)[1].strip()
    raise AssertionError("the browser did not start")


def _drain(stream: Any) -> None:
    """Read to the end: a full pipe would stop the browser."""
    with stream:
        for _ in stream:
            pass
