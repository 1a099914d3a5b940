"""The page in a browser while things go wrong: what its canvas shows is scanned for the camera's secret."""

from __future__ import annotations

import asyncio
import base64
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.streaming.bench.live_filter import LiveFilter, camera
from tests.streaming.bench.mini_camera import MiniCamera
from tests.streaming.bench.painted import counter_of
from tests.streaming.bench.scan import Seen, leaks, readable_secrets, stale
from tests.streaming.browser import CHROMIUM, Tab, browsing

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt install chromium")]

CANVAS = """(() => {
  const video = document.querySelector('.tile video');
  if (!video || !video.videoWidth || !document.querySelector('.tile .cover').hidden) return null;
  const canvas = Object.assign(document.createElement('canvas'), { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext('2d').drawImage(video, 0, 0);
  return canvas.toDataURL('image/jpeg', 0.95).split(',')[1];
})()"""


async def picture(tab: Tab) -> Seen | None:
    """What the page shows as live now; nothing while it says that there is no picture."""
    encoded = await tab.value_of(CANVAS)
    if not encoded:
        return None
    luma = np.asarray(cv2.imdecode(np.frombuffer(base64.b64decode(encoded), np.uint8), cv2.IMREAD_GRAYSCALE), np.uint8)
    counter = counter_of(luma)
    return Seen(time.monotonic(), None, counter, tuple(readable_secrets(luma, counter)), (luma.shape[1], luma.shape[0]))


def test_canvas_of_the_page_never_shows_a_secret(tmp_path: Path) -> None:
    seen: list[Seen] = []

    async def watch(tab: Tab, live: LiveFilter, source: MiniCamera) -> None:
        await tab.call("Page.navigate", url=f"http://127.0.0.1:{live.settings.web.port if live.settings.web else 0}/")
        await tab.wait_for(CANVAS.replace(".split(',')[1]", ".length"))
        faults = [
            lambda: source.fault("damage", share=0.05, flips=3, seconds=2.0),
            lambda: source.fault("reset"),
            lambda: live.kill("detector"),
            lambda: live.kill("sealer"),
        ]
        for done, begin in enumerate(faults, 1):
            begin()
            began_s = time.monotonic()
            # A slow machine gets longer to show as much.
            while (took_s := time.monotonic() - began_s) < 4.0 or (took_s < 20.0 and len({one.counter for one in seen}) <= 11 * done):
                if (one := await picture(tab)) is not None:
                    seen.append(one)
        assert tab.complaints() == []

    async def run(live: LiveFilter, source: MiniCamera) -> None:
        async with browsing(tmp_path / "browser") as tab:
            await watch(tab, live, source)

    with MiniCamera() as source, LiveFilter(tmp_path, camera("gate", source.url), serve=False) as live:
        live.wait_decided("gate")
        asyncio.run(run(live, source))
        late = stale(seen, source.counter_at, source.coding.rate)
    assert live.exit_code == 0, "\n".join(live.lines)
    assert len({one.counter for one in seen}) > 40, "the page played"
    assert any(one.counter is None for one in seen), "the curtain was seen"
    assert leaks(seen) == []
    assert [(one.counter, source.counter_at(one.arrival_s)) for one in late] == []
