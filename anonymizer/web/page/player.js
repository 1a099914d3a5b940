// One camera's picture: fragments over a WebSocket into Media Source Extensions, else the browser's own HLS, else pictures (MJPEG).
// Whatever plays, a picture that is no longer live is covered.

const STALE_MS = 1500; // since a picture came here; it was half a second old then
const RESTART_MS = 8000;
const TARGET_S = 0.3; // behind the newest fragment: a fragment that is late by less does not stop the picture
const FAR_S = 1.2;
const KEPT_S = 8; // behind the playhead
const NOTES = { mse: "", hls: "some seconds behind", mjpeg: "single pictures" };
const Source = window.ManagedMediaSource ?? window.MediaSource;

export const hourOf = (date) => date.toLocaleTimeString("en-GB");

// Milliseconds that never run backwards: with a clock that is set back, an old picture would count as live for hours.
// The clock is asked all the same: performance.now() may stand still while the computer sleeps.
let [passed, steady, clock] = [performance.now(), performance.now(), Date.now()];
export function now() {
  const before = [steady, clock];
  [steady, clock] = [performance.now(), Date.now()];
  const [bySteady, byClock] = [steady - before[0], clock - before[1]];
  passed += byClock > bySteady + 1000 ? byClock : bySteady;
  return passed;
}
export const hourAt = (moment) => hourOf(new Date(Date.now() - (now() - moment)));

export class Player {
  constructor(picture, camera) {
    this.video = picture.querySelector("video");
    this.cover = picture.querySelector(".cover");
    this.words = picture.querySelector(".cover-words");
    this.note = picture.querySelector(".note");
    this.address = `/cameras/${encodeURIComponent(camera)}`;
    this.way = null;
    this.failures = 0;
    this.video.muted = true; // The attribute alone does not count for a video that a script made.
    this.watchFrames();
  }

  // Called at every status, and twice a second; `stream` is what the server says of this camera's stream.
  tick(stream, wanted) {
    this.stream = stream ?? this.stream;
    if (wanted && !this.way && this.stream?.codec && now() >= (this.retryAt ?? 0)) this.start();
    if (!wanted && this.way) this.stop();
    if (this.way === "mse") this.follow();
    this.uncoverIfLive();
  }

  start() {
    const type = `video/mp4; codecs="${this.stream.codec}"`;
    this.arrivedAt = this.shownAt = null;
    this.startedAt = now();
    if (Source?.isTypeSupported(type)) this.startFragments(type);
    else if (this.video.canPlayType("application/vnd.apple.mpegurl")) this.startHls();
    else this.startPictures();
    this.note.textContent = NOTES[this.way];
  }

  stop() {
    this.way = null;
    if (this.socket) {
      this.socket.onmessage = this.socket.onclose = null;
      this.socket.close();
      this.socket = null;
    }
    this.image?.remove();
    this.image = null;
    this.video.hidden = false;
    this.buffer = null;
    this.queue = [];
    if (this.video.src) {
      this.video.removeAttribute("src");
      this.video.load(); // else the last picture stays
      URL.revokeObjectURL(this.objectUrl ?? "");
    }
  }

  fail(words) {
    this.stop();
    this.reason = words;
    this.retryAt = now() + Math.min(10000, 500 * 2 ** this.failures++) * (0.75 + Math.random() / 2);
  }

  startFragments(type) {
    this.way = "mse";
    this.queue = [];
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${this.address}/live`);
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => {
      if (typeof data === "string") return this.open(type, JSON.parse(data));
      this.arrivedAt = now();
      this.queue.push(data);
      this.append();
    };
    socket.onclose = ({ reason }) => this.fail(reason);
    this.socket = socket;
  }

  // A new format: what was buffered is of another one, and is left behind.
  open(type, { codec }) {
    this.queue = [];
    this.buffer = null;
    const source = new Source();
    URL.revokeObjectURL(this.objectUrl ?? "");
    this.objectUrl = this.video.src = URL.createObjectURL(source);
    source.onsourceopen = () => {
      if (source.readyState !== "open") return;
      source.duration = Infinity; // live: the browser then plays what it has and waits for no more
      const buffer = source.addSourceBuffer(`video/mp4; codecs="${codec}"`);
      buffer.onupdateend = () => this.append();
      this.buffer = buffer;
      this.append();
    };
    this.video.play().catch(() => {});
  }

  append() {
    const buffer = this.buffer;
    if (!buffer || buffer.updating || this.video.error) return;
    try {
      const old = this.video.currentTime - KEPT_S;
      if (buffer.buffered.length && buffer.buffered.start(0) < old - KEPT_S) return buffer.remove(0, old);
      if (this.queue.length) buffer.appendBuffer(this.joined());
    } catch (error) {
      this.fail(`the browser cannot play it: ${error.message}`);
    }
  }

  joined() {
    const whole = new Uint8Array(this.queue.reduce((size, part) => size + part.byteLength, 0));
    let at = 0;
    for (const part of this.queue) {
      whole.set(new Uint8Array(part), at);
      at += part.byteLength;
    }
    this.queue = [];
    return whole;
  }

  // Stay near the newest fragment: a little faster when behind, a jump when far.
  follow() {
    const { video } = this;
    if (video.error) return this.fail("the browser cannot decode it");
    const ranges = video.buffered;
    if (!ranges.length || video.seeking) return;
    const [start, end] = [ranges.start(ranges.length - 1), ranges.end(ranges.length - 1)];
    const behind = end - video.currentTime;
    if (video.currentTime < start || behind > FAR_S || behind < 0) video.currentTime = Math.max(start, end - TARGET_S);
    else video.playbackRate = behind > 2 * TARGET_S ? 1.1 : 1;
    if (video.paused) video.play().catch(() => {});
  }

  startHls() {
    this.way = "hls";
    this.video.src = `${this.address}/hls/live.m3u8`;
    this.video.onerror = () => this.way === "hls" && this.fail("the stream broke off");
    this.video.play().catch(() => {});
  }

  startPictures() {
    this.way = "mjpeg";
    this.video.hidden = true;
    this.image = new Image();
    this.image.alt = "";
    this.image.onerror = () => this.fail("the stream broke off");
    this.image.src = `${this.address}/live.mjpeg`;
    this.video.after(this.image);
  }

  watchFrames() {
    const { video } = this;
    if (video.requestVideoFrameCallback) {
      const shown = (_, { mediaTime }) => {
        // Who plays behind shows pictures that came a while ago.
        const { buffered } = video;
        const behind = this.buffer && buffered.length ? Math.max(0, buffered.end(buffered.length - 1) - mediaTime) : 0;
        this.shownAt = now() - 1000 * behind;
        video.requestVideoFrameCallback(shown);
      };
      video.requestVideoFrameCallback(shown);
    } else {
      video.ontimeupdate = () => { this.shownAt = now(); };
    }
  }

  // When the newest picture that is on the screen was known to be live.
  liveAt() {
    if (this.way === "mjpeg") return this.image?.naturalWidth && this.stream ? this.stream.seenAt - 1000 * (this.stream.age_s ?? 1e9) : null;
    if (this.way === "hls") return this.shownAt;
    return this.arrivedAt && this.shownAt ? Math.min(this.arrivedAt, this.shownAt) : null;
  }

  uncoverIfLive() {
    const liveAt = this.liveAt();
    this.newest = liveAt ?? this.newest;
    // What is known of single pictures is as old as the last status.
    const isLive = liveAt !== null && now() - liveAt < STALE_MS + (this.way === "mjpeg" ? 1000 : 0);
    if (isLive) {
      this.failures = 0;
      this.reason = "";
    } else if (this.way && this.stream?.age_s * 1000 < STALE_MS && now() - this.startedAt > RESTART_MS && now() - (liveAt ?? -Infinity) > RESTART_MS) {
      this.fail(""); // The server has pictures, and none is shown: from the beginning.
    }
    this.cover.hidden = isLive;
    this.note.hidden = !isLive || !this.note.textContent;
    if (!isLive) this.words.textContent = this.coverWords();
  }

  coverWords() {
    const reason = this.reason ? ` (${this.reason})` : "";
    if (this.newest) return `no picture since ${hourAt(this.newest)}${reason}`;
    return this.stream && !this.stream.codec ? "no picture yet" : `connecting${reason}`;
  }
}
