// The page: asks for the state once a second and draws it; the pictures play by themselves (player.js).

import { Player, hourAt, hourOf, now } from "./player.js";

const WAYS = ["decided", "carried", "curtained", "dropped"];
const TONES = { ready: "decided", up: "decided", decided: "decided", carried: "carried", connecting: "carried", starting: "carried", curtained: "curtained", failed: "dropped", gone: "dropped", restarting: "dropped", stopped: "dropped" };
const POLL_MS = 1000;
const PATIENCE_MS = 2500;
const WINDOW_MS = 60000;
const at = (id) => document.getElementById(id);
const tiles = new Map();
let answeredAt = now();
let hasAnswered = false;
let lostBecause = "";

const put = (node, text) => { if (node.textContent !== text) node.textContent = text; };
const tone = (node, state) => { node.dataset.tone = TONES[state] ?? "none"; };
const isShown = (camera) => camera.state === "decided" || camera.state === "carried";
const RECENT_S = 120;
const count = (value) => (value ?? 0).toLocaleString("en");
const figure = (value, digits = 0, unit = "") => (Number.isFinite(value) ? value.toFixed(digits) + unit : "–");
const make = (name, className, text = "") => {
  const node = document.createElement(name);
  node.className = className;
  node.textContent = text;
  return node;
};

class Tile {
  constructor(name) {
    this.name = name;
    this.node = at("tile").content.firstElementChild.cloneNode(true);
    this.picture = this.part(".picture");
    this.player = new Player(this.picture, name);
    this.history = [];
    this.bars = Object.fromEntries(WAYS.map((way) => [way, this.makeBar(way)]));
    this.figures = Object.fromEntries(["Latency", "Frames/s", "Looks/s", "Covered now", "Covered in all", "Viewers"].map((label) => [label, this.makeFigure(label)]));
    this.picture.onclick = () => show(isLarge(this) ? null : this.name);
    this.part(".close").onclick = () => show(null);
    this.isVisible = true;
    new IntersectionObserver(([entry]) => { this.isVisible = entry.isIntersecting; this.tick(); }, { rootMargin: "200px" }).observe(this.picture);
  }

  part(selector) { return this.node.querySelector(selector); }

  makeBar(way) {
    const row = make("div", "way");
    row.dataset.tone = way;
    const [track, fill, share, total] = [make("i", ""), make("b", ""), make("data", ""), make("data", "")];
    track.append(fill);
    share.title = "of the last minute";
    total.title = "frames since the start";
    row.append(make("span", "", way), track, share, total);
    this.part(".ways").append(row);
    return { fill, share, total };
  }

  makeFigure(label) {
    const [group, value] = [make("div", ""), make("dd", "")];
    group.append(make("dt", "", label), value);
    this.part(".figures").append(group);
    return value;
  }

  draw(camera) {
    this.stream = camera.stream && { ...camera.stream, seenAt: now() };
    const title = camera.title || this.name;
    put(this.part(".title"), title);
    this.picture.setAttribute("aria-label", `${title}: ${camera.state ?? "unknown"}. Show large`);
    put(this.part(".state"), camera.state ?? "unknown");
    tone(this.part(".state"), camera.state);
    this.part(".curtain").hidden = isShown(camera);
    this.node.classList.toggle("is-curtain", !isShown(camera));
    // The last fault may be hours old, and not why there is a curtain now.
    const isRecent = Date.now() / 1000 - (camera.fault_s ?? 0) < RECENT_S;
    put(this.part(".curtain-words"), (isRecent && camera.fault) || "nothing of the camera is shown");
    this.drawWays(camera.counts ?? {});
    const latency = this.figures.Latency;
    put(latency, figure(camera.latency_ms?.median, 0, " ms"));
    latency.title = `99 of 100 frames within ${figure(camera.latency_ms?.p99, 0, " ms")}`;
    latency.append(make("small", "", ` p99 ${figure(camera.latency_ms?.p99)}`));
    put(this.figures["Frames/s"], figure(camera.fps, 1));
    put(this.figures["Looks/s"], figure(camera.looks_per_s, 1));
    put(this.figures["Covered now"], count(camera.covered_now));
    put(this.figures["Covered in all"], count(camera.covered_total));
    put(this.figures.Viewers, count(sum(Object.values(camera.stream?.viewers ?? {}))));
    this.drawFault(camera);
    const whys = Object.entries(camera.whys ?? {}).map(([why, times]) => `${why} ${count(times)}`);
    put(this.part(".whys"), [...(whys.length ? [`Not decided: ${whys.join(", ")}`] : []), ...(camera.restarts ? [`Restarts: ${camera.restarts}`] : [])].join(" · "));
    this.drawOutputs(camera.outputs ?? []);
    this.tick();
  }

  drawWays(counts) {
    const moment = now();
    if (this.history.some((past) => WAYS.some((way) => (counts[way] ?? 0) < (past.counts[way] ?? 0)))) this.history = [];
    this.history = [...this.history.filter((past) => moment - past.moment < WINDOW_MS), { moment, counts }];
    const first = this.history.length > 1 ? this.history[0].counts : {};
    const recent = WAYS.map((way) => (counts[way] ?? 0) - (first[way] ?? 0));
    const all = sum(recent);
    WAYS.forEach((way, index) => {
      const share = all ? (100 * recent[index]) / all : 0;
      const { fill, share: shareNode, total } = this.bars[way];
      fill.style.width = `${share && Math.max(share, 1)}%`;
      // Rounded towards doubt: one frame of thousands is seen.
      put(shareNode, all ? `${(way === "decided" ? Math.floor(share * 10) / 10 : Math.ceil(share * 10) / 10).toFixed(1)} %` : "–");
      put(total, count(counts[way]));
    });
  }

  drawFault(camera) {
    const fault = this.part(".fault");
    fault.hidden = !camera.fault;
    if (camera.fault) fault.replaceChildren(make("time", "", camera.fault_s ? hourOf(new Date(camera.fault_s * 1000)) : ""), make("span", "", camera.fault));
  }

  drawOutputs(outputs) {
    this.part(".outputs").replaceChildren(...outputs.map((output) => {
      const item = make("li", "");
      const [where, state] = [make("span", "where", output.where ?? ""), make("span", "pill", output.state ?? "unknown")];
      where.title = output.where ?? "";
      tone(state, output.state);
      if (output.lost) state.title = `${count(output.lost)} frames lost`;
      item.append(make("span", "kind", output.kind), where, state);
      if (output.fault) item.append(make("span", "output-fault", output.fault));
      return item;
    }));
  }

  tick() {
    const isHidden = document.hidden || (large() !== null && !isLarge(this));
    this.player.tick(this.stream, this.isVisible && !isHidden);
  }

  remove() {
    this.player.stop();
    this.node.remove();
  }
}

const sum = (values) => values.reduce((total, value) => total + value, 0);
const large = () => (tiles.has(decodeURIComponent(location.hash.slice(1))) ? decodeURIComponent(location.hash.slice(1)) : null);
const isLarge = (tile) => large() === tile.name;

// The large camera is the address's fragment: it can be linked to, and the back button closes it.
function show(name) {
  if (name === null && history.state?.opened) history.back();
  else if (large() !== null || name === null) history.replaceState(history.state, "", name === null ? location.pathname : `#${encodeURIComponent(name)}`);
  else history.pushState({ opened: true }, "", `#${encodeURIComponent(name)}`);
  lay();
}

function lay() {
  document.body.classList.toggle("has-large", large() !== null);
  for (const tile of tiles.values()) {
    const wasLarge = tile.node.classList.contains("large");
    tile.node.classList.toggle("large", isLarge(tile));
    tile.node.inert = large() !== null && !isLarge(tile);
    tile.part(".close").hidden = !isLarge(tile);
    if (isLarge(tile) !== wasLarge) tile.picture.focus({ preventScroll: !wasLarge });
    tile.tick();
  }
}

function draw(state) {
  for (const [name, tile] of tiles) {
    if (!(name in state.cameras)) {
      tile.remove();
      tiles.delete(name);
    }
  }
  for (const [name, camera] of Object.entries(state.cameras)) {
    if (!tiles.has(name)) {
      tiles.set(name, new Tile(name));
      at("wall").append(tiles.get(name).node);
      if (large() === name) lay();
    }
    tiles.get(name).draw(camera);
  }
  const cameras = Object.values(state.cameras);
  const isReady = Boolean(state.fresh && state.ready);
  put(at("ready"), isReady ? "ready" : "not ready");
  tone(at("ready"), isReady ? "ready" : "failed");
  put(at("cameras"), `${cameras.filter(isShown).length} of ${cameras.length} shown`);
  const { state: detector = "unknown", fault, looks_per_s: looks } = state.detector ?? {};
  put(at("detector"), fault ? `${detector}: ${fault}` : `${detector}, ${figure(looks, 1)} looks/s`);
  put(at("viewers"), count(sum(cameras.flatMap((camera) => Object.values(camera.stream?.viewers ?? {})))));
  at("warning").hidden = !state.warning;
  put(at("warning"), state.warning ?? "");
  drawLog(state.log ?? [], state.cameras);
  lostBecause = state.fresh ? "" : "The supervisor is silent: what is said here may no longer be true.";
}

let drawnLog = "";
function drawLog(log, cameras) {
  const key = JSON.stringify(log);
  if (key === drawnLog) return;
  drawnLog = key;
  at("faultless").hidden = log.length > 0;
  at("log").replaceChildren(...[...log].reverse().map(({ time_s, camera, level, words }) => {
    const item = make("li", "");
    item.dataset.level = level;
    const time = make("time", "", hourOf(new Date(time_s * 1000)));
    time.dateTime = new Date(time_s * 1000).toISOString();
    time.title = new Date(time_s * 1000).toLocaleString();
    item.append(time, make("span", "camera", camera ? cameras[camera]?.title || camera : ""), make("span", "words", words));
    return item;
  }));
}

async function poll() {
  try {
    const answer = await fetch("/status.json", { signal: AbortSignal.timeout(PATIENCE_MS), cache: "no-store" });
    if (answer.status === 401) lostBecause = "This page is logged out: reload it.";
    else if (answer.ok) {
      draw(await answer.json());
      answeredAt = now();
      hasAnswered = true;
    }
  } catch {
    // Said below, once it has lasted.
  }
  setTimeout(poll, document.hidden ? 4 * POLL_MS : POLL_MS);
}

function tick() {
  put(at("clock"), hourOf(new Date()));
  const isLost = now() - answeredAt > (document.hidden ? 6 : 3) * POLL_MS;
  const words = isLost && !lostBecause ? `The connection to the server is lost since ${hourAt(answeredAt)}. Nothing here is live.` : lostBecause;
  at("lost").hidden = !words;
  document.body.classList.toggle("is-lost", Boolean(words));
  put(at("lost"), words);
  if (words && hasAnswered) {
    put(at("ready"), "lost");
    tone(at("ready"), "failed");
  }
  for (const tile of tiles.values()) tile.tick();
}

addEventListener("keydown", (event) => {
  if (event.key === "Escape" && large() !== null) show(null);
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step || event.altKey || event.ctrlKey || event.metaKey || !tiles.size) return;
  const names = [...tiles.keys()];
  const focused = large() ?? names.find((name) => tiles.get(name).node.contains(document.activeElement));
  const next = names[(names.indexOf(focused) + step + names.length) % names.length];
  if (large() !== null) show(next);
  else tiles.get(next).picture.focus();
});
addEventListener("hashchange", lay);
addEventListener("popstate", lay);
addEventListener("visibilitychange", tick);
setInterval(tick, 250);
poll();
