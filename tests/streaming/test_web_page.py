"""The page in a real browser: it plays, says what it must say, and speaks with nobody but its own server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.streaming.browser import CHROMIUM, Tab, browsing
from tests.streaming.watching import RunningPage, camera_state, run_state, running_page

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt install chromium")]

# The middle of a small square of the picture, as the viewer sees it: of a video, or of the images that stand in for one.
PIXEL = """(() => {
  const shown = [...document.querySelectorAll('.tile:first-child :is(video, img)')].find((node) => !node.hidden && (node.videoWidth || node.naturalWidth));
  if (!shown) return null;
  const canvas = Object.assign(document.createElement('canvas'), { width: 160, height: 120 });
  const context = canvas.getContext('2d');
  context.drawImage(shown, 0, 0, 160, 120);
  return [[2, 2], [157, 2], [2, 117]].map(([x, y]) => [...context.getImageData(x, y, 1, 1).data].slice(0, 3));
})()"""
UNCOVERED = "document.querySelector('.tile:first-child .cover')?.hidden"
WITHOUT_MSE = "delete window.MediaSource; delete window.ManagedMediaSource;"
WITHOUT_HLS = "HTMLMediaElement.prototype.canPlayType = () => '';"


@pytest.fixture(scope="module")
def page() -> Iterator[RunningPage]:
    with running_page("gate", "yard") as running:
        yield running


def browse(page: RunningPage, folder: Path, work: Callable[[Tab], Awaitable[None]], **how: Any) -> None:
    async def run() -> None:
        async with browsing(folder, **how) as tab:
            await tab.call("Page.navigate", url=f"{page.url}/")
            await work(tab)
            here = urlsplit(page.url).netloc
            others = {address for address in tab.addresses() if not address.startswith(("data:", "blob:")) and urlsplit(address).netloc not in (here, "")}
            assert not others, "the page speaks with its own server alone"

    asyncio.run(run())


async def assert_plays(tab: Tab) -> None:
    await tab.wait_for(UNCOVERED)
    first, right, low = await tab.wait_for(PIXEL)
    # As drawn (tests/conftest.py): dark and bluish, red at the right, green below.
    assert max(first[:2]) < 50 < first[2] < 130, first
    assert right[0] > 150 > right[1], right
    assert low[1] > 150 > low[0], low


def test_page_plays_the_stream(page: RunningPage, tmp_path: Path) -> None:
    async def work(tab: Tab) -> None:
        await assert_plays(tab)
        behind_s = "(() => { const video = document.querySelector('video'); return video.buffered.end(0) - video.currentTime; })()"
        await asyncio.sleep(2)
        assert await tab.value_of(behind_s) < 1.5
        assert await tab.value_of("document.querySelector('.tile .title').textContent") == "Gate"
        assert await tab.value_of("document.querySelector('.state').textContent") == "decided"
        assert await tab.value_of("document.querySelector('#lost').hidden")
        assert tab.complaints() == []
        assert any(address.startswith("ws://") for address in tab.addresses())

    browse(page, tmp_path, work)


@pytest.mark.parametrize(("script", "asked"), [(WITHOUT_MSE, "/hls/live.m3u8"), (WITHOUT_MSE + WITHOUT_HLS, "/live.mjpeg")], ids=["hls", "mjpeg"])
def test_browser_without_media_source_gets_another_way(page: RunningPage, tmp_path: Path, script: str, asked: str) -> None:
    async def work(tab: Tab) -> None:
        if asked.endswith("m3u8") and not await tab.value_of("document.createElement('video').canPlayType('application/vnd.apple.mpegurl')"):
            pytest.skip("this Chromium does not play HLS by itself")
        await assert_plays(tab)
        assert any(address.endswith(asked) for address in tab.addresses())
        assert not any(address.startswith("ws") for address in tab.addresses())
        assert tab.complaints() == []

    browse(page, tmp_path, work, script_first=script)


def test_page_works_by_keyboard(page: RunningPage, tmp_path: Path) -> None:
    async def work(tab: Tab) -> None:
        large = "document.querySelector('.large .title')?.textContent"
        await tab.wait_for("document.querySelectorAll('.tile').length == 2")
        await tab.press("Tab")
        await tab.press("Enter")
        assert await tab.wait_for(large) == "Gate"
        await tab.press("ArrowRight")
        assert await tab.wait_for(f"{large} != 'Gate' && {large}") == "Yard"
        await tab.press("Escape")
        await tab.wait_for("!document.querySelector('.large')")
        assert tab.complaints() == []

    browse(page, tmp_path, work)


def test_page_fits_a_narrow_phone(page: RunningPage, tmp_path: Path) -> None:
    async def work(tab: Tab) -> None:
        await tab.wait_for("document.querySelectorAll('.tile').length == 2")
        assert await tab.value_of("document.documentElement.scrollWidth") <= 360

    browse(page, tmp_path, work, width=360, height=780)


def test_page_says_when_a_picture_is_a_curtain_old_or_lost(tmp_path: Path) -> None:
    with running_page("gate", "yard") as page:
        curtained = camera_state("curtained", title="Gate", fault="RTP loss", fault_s=time.time())
        page.state = run_state(
            {"gate": curtained, "yard": camera_state(title="Yard")}, log=[{"time_s": 1.0, "camera": "gate", "level": "warning", "words": "<b>x"}]
        )

        async def work(tab: Tab) -> None:
            await tab.wait_for(UNCOVERED)
            assert "RTP loss" in await tab.wait_for("document.querySelector('.curtain:not([hidden])')?.textContent")
            assert await tab.value_of("document.querySelectorAll('.curtain:not([hidden])').length") == 1
            assert await tab.value_of("document.querySelector('#log .words').textContent") == "<b>x", "words are never taken for markup"
            await asyncio.to_thread(page.feeders["gate"].stop)
            # A clock that is set back, again and again, makes no old picture new.
            await tab.value_of("void (Date.now = ((real, begun) => () => real() - 2 * (performance.now() - begun))(Date.now, performance.now()))")
            words = await tab.wait_for("!document.querySelector('.cover').hidden && document.querySelector('.cover').textContent", 4)
            assert words.startswith("no picture since ")
            await asyncio.to_thread(page.stop)
            words = await tab.wait_for("!document.querySelector('#lost').hidden && document.querySelector('#lost').textContent", 6)
            assert "connection to the server is lost" in words
            assert await tab.value_of("[...document.querySelectorAll('.cover')].every((cover) => !cover.hidden)")

        browse(page, tmp_path, work)
