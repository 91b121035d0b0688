"use strict";

// State comes from /stats once a second; the picture comes over WebRTC, or as MJPEG where that does
// not work. Whatever breaks is retried.

const $ = (id) => document.getElementById(id);
const POLL_MS = 1000;
const FIRST_PICTURE_MS = 5000;
const FROZEN_MS = 5000;
const RETRY_MS = 1500;
const LATE_MS = 1000; // a browser that delays pictures for longer restarts its stream
const LATE_LOOKS = 3;

let page = null; // the last /stats
let visit = null; // this visitor's own camera, if the page serves visitors
let peer = null;
let wanted = "auto";
let using = "";
let ourNumber = null;
let attempt = 0;
const noticed = new Map();

// --- the server ---

async function ask(path, body) {
  const options = { credentials: "same-origin", cache: "no-store" };
  if (body !== undefined) {
    options.method = "POST";
    options.headers = { "Content-Type": "application/json" };
    options.body = JSON.stringify(visit ? { visitor: visit.secret, ...body } : body);
  }
  const response = await fetch(path, options);
  if (!response.ok) {
    const error = new Error((await response.text()).trim().slice(0, 300) || response.statusText);
    error.status = response.status;
    throw error;
  }
  return response.json();
}

async function control(body) {
  try {
    await ask("control", body);
    setTimeout(poll, 120);
  } catch (error) {
    toast(error.message);
  }
}

let polling = null;
async function poll() {
  clearTimeout(polling);
  try {
    const path = visit ? `stats?visitor=${encodeURIComponent(visit.secret)}` : "stats";
    const stats = await ask(path);
    const isFirst = page === null;
    page = stats;
    show(stats);
    if (isFirst) begin();
  } catch (error) {
    say("lost", error.status === 401 ? "token needed" : "server not responding…");
  }
  polling = setTimeout(poll, document.hidden ? 4 * POLL_MS : POLL_MS);
}

// --- the picture ---

function begin() {
  if (page.visits) {
    $("empty").hidden = true;
    $("invite").hidden = false;
    $("stop").hidden = true;
    for (const key of ["record", "snapshot", "pause", "hud"]) button(key).hidden = true;
    $("download").hidden = true;
    $("transport").closest("label").hidden = true;
    return;
  }
  watch();
}

function watch() {
  const mine = ++attempt;
  end();
  if (wanted === "mjpeg" || !window.RTCPeerConnection) return watchMjpeg(mine);
  watchWebrtc(mine).catch((error) => {
    if (mine !== attempt) return;
    if (wanted === "auto" && error.status !== undefined && error.status < 500) {
      watchMjpeg(mine); // WebRTC does not work between this browser and this server
    } else {
      say("lost", "reconnecting…");
      setTimeout(() => mine === attempt && watch(), RETRY_MS);
    }
  });
}

function end() {
  if (peer) peer.close();
  peer = null;
  using = "";
  $("still").removeAttribute("src");
  $("still").hidden = true;
  $("video").srcObject = null;
  $("video").hidden = true;
}

function fresh() {
  const connection = new RTCPeerConnection({ iceServers: [], bundlePolicy: "max-bundle" });
  connection.addEventListener("track", (event) => {
    // Only the newest picture matters, so nothing should be buffered.
    if ("jitterBufferTarget" in event.receiver) event.receiver.jitterBufferTarget = 0;
    if ("playoutDelayHint" in event.receiver) event.receiver.playoutDelayHint = 0;
    $("video").srcObject = new MediaStream([event.track]);
    $("video").play().catch(() => {});
  });
  return connection;
}

async function describe(connection, path, extra = {}) {
  await connection.setLocalDescription(await connection.createOffer());
  await Promise.race([
    new Promise((done) => {
      if (connection.iceGatheringState === "complete") done();
      connection.addEventListener("icegatheringstatechange", () => {
        if (connection.iceGatheringState === "complete") done();
      });
    }),
    new Promise((done) => setTimeout(done, 1000)),
  ]);
  const answer = await ask(path, { sdp: connection.localDescription.sdp, ...extra });
  if (connection.signalingState === "closed") return answer;
  await connection.setRemoteDescription({ type: "answer", sdp: answer.sdp });
  return answer;
}

async function watchWebrtc(mine) {
  const connection = fresh();
  peer = connection;
  connection.addTransceiver("video", { direction: "recvonly" });
  let answer;
  try {
    answer = await describe(connection, "offer");
  } catch (error) {
    connection.close();
    throw error;
  }
  if (mine !== attempt) return connection.close();
  ourNumber = answer.viewer;
  guard(mine, connection, () => {
    if (mine !== attempt) return;
    if (wanted === "auto" && !$("video").videoWidth) watchMjpeg(mine);
    else watch();
  });
}

// How long the browser delays pictures, in milliseconds, measured between two calls: a browser that
// was busy for a while keeps what arrived meanwhile, and would show it late for ever.
function lateness(connection) {
  let delay = 0;
  let emitted = 0;
  return async () => {
    let late = 0;
    (await connection.getStats()).forEach((entry) => {
      if (entry.type !== "inbound-rtp" || entry.kind !== "video") return;
      const count = entry.jitterBufferEmittedCount - emitted;
      if (count > 0) late = (1000 * (entry.jitterBufferDelay - delay)) / count;
      delay = entry.jitterBufferDelay;
      emitted = entry.jitterBufferEmittedCount;
      late = Math.max(late, 33 * (entry.framesReceived - entry.framesDecoded - (entry.framesDropped || 0)));
    });
    return late;
  };
}

// Calls `lost` once, when pictures stop coming, or only old ones come.
function guard(mine, connection, lost) {
  const held = lateness(connection);
  let late = 0;
  const watchful = setInterval(async () => {
    if (mine !== attempt || connection !== peer) return clearInterval(watchful);
    late = (await held().catch(() => 0)) > LATE_MS ? late + 1 : 0;
    if (late >= LATE_LOOKS && mine === attempt && connection === peer && using) {
      clearInterval(watchful);
      lost();
    }
  }, 1000);
  const video = $("video");
  let shown = 0;
  let at = performance.now();
  const timer = setInterval(() => {
    if (mine !== attempt || connection !== peer) return clearInterval(timer);
    const count = video.getVideoPlaybackQuality ? video.getVideoPlaybackQuality().totalVideoFrames : video.currentTime;
    if (count !== shown) {
      if (!using) {
        using = "WebRTC";
        video.hidden = false;
        $("empty").hidden = true;
      }
      shown = count;
      at = performance.now();
    }
    const isDead = ["failed", "closed"].includes(connection.connectionState);
    const patience = using ? FROZEN_MS : FIRST_PICTURE_MS;
    // A camera that is away or paused sends nothing, which is not a fault of the connection.
    const isQuiet = page && (page.status || page.is_paused || page.frames_per_second === 0) && using;
    if (isDead || (performance.now() - at > patience && !isQuiet)) {
      clearInterval(timer);
      lost();
    }
  }, 250);
}

function watchMjpeg(mine) {
  if (mine !== attempt) return;
  end();
  const still = $("still");
  still.onload = () => {
    $("empty").hidden = true;
    still.hidden = false;
    using = "MJPEG";
  };
  still.onerror = () => {
    if (mine !== attempt) return;
    say("lost", "reconnecting…");
    setTimeout(() => mine === attempt && watch(), RETRY_MS);
  };
  still.src = `stream.mjpg?${Date.now()}`;
}

// --- this browser's own camera ---

async function startVisit() {
  const mine = ++attempt;
  $("start").disabled = true;
  $("refusal").hidden = true;
  let camera;
  try {
    if (!navigator.mediaDevices) throw new Error("Browsers allow cameras only on https pages and localhost; serve this page with --ssl-cert and --ssl-key.");
    camera = await navigator.mediaDevices.getUserMedia({
      video: { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 }, facingMode: "user" },
      audio: false,
    });
  } catch (error) {
    const words = {
      NotAllowedError: "The camera was not allowed. Allow it in the address bar, then start again.",
      NotFoundError: "This machine has no camera.",
      NotReadableError: "The camera is used by another program.",
    };
    return refuse(words[error.name] || error.message);
  }
  try {
    const connection = fresh();
    peer = connection;
    const [track] = camera.getVideoTracks();
    // Keep the size, and reduce the rate instead.
    track.contentHint = "detail";
    const sender = connection.addTransceiver(track, { direction: "sendrecv" }).sender;
    const parameters = sender.getParameters();
    parameters.degradationPreference = "maintain-resolution";
    if (parameters.encodings && parameters.encodings.length) parameters.encodings[0].maxBitrate = 4e6;
    await sender.setParameters(parameters).catch(() => {});
    track.addEventListener("ended", () => stopVisit("The camera was disconnected."));
    const answer = await describe(connection, "visit");
    visit = { secret: answer.visitor, camera };
    if (mine !== attempt) return stopVisit("");
    $("invite").hidden = true;
    $("empty").hidden = false;
    $("stop").hidden = false;
    button("hud").hidden = false;
    guard(mine, connection, () => mine === attempt && stopVisit("The connection was lost."));
    poll();
  } catch (error) {
    for (const track of camera.getTracks()) track.stop();
    refuse(error.message);
  }
}

function refuse(words) {
  end();
  $("start").disabled = false;
  $("refusal").textContent = words;
  $("refusal").hidden = false;
  $("invite").hidden = false;
  $("empty").hidden = true;
}

function stopVisit(words) {
  attempt++;
  if (visit) for (const track of visit.camera.getTracks()) track.stop();
  visit = null;
  end();
  $("stop").hidden = true;
  button("hud").hidden = true;
  $("start").disabled = false;
  $("refusal").textContent = words;
  $("refusal").hidden = !words;
  $("invite").hidden = false;
  $("empty").hidden = true;
}

// --- everything beside the picture ---

function say(kind, words) {
  $("state").className = kind;
  $("state").lastElementChild.textContent = words;
}

function toast(words) {
  const now = Date.now();
  if (!words || now - (noticed.get(words) || 0) < 4000) return;
  noticed.set(words, now);
  const line = document.createElement("li");
  line.textContent = words;
  $("toasts").append(line);
  setTimeout(() => line.remove(), 3500);
}

function button(key) {
  return document.querySelector(`[data-key=${key}]`);
}

function show(stats) {
  $("source").textContent = stats.source;
  document.title = `${stats.source} · rtseg`;
  if (stats.status) say("", stats.status);
  else if (stats.is_paused) say("", "paused");
  else if (stats.visits && !visit) say("live", `${stats.viewers.length} of ${stats.visits} visiting`);
  else say("live", using ? `live over ${using}` : "live");
  const number = (value, digits) => (value ? value.toFixed(digits) : "–");
  $("fps").textContent = number(stats.frames_per_second, 1);
  $("p50").textContent = number(stats.latency_ms.p50, 0);
  $("p95").textContent = number(stats.latency_ms.p95, 0);
  $("faces").textContent = stats.faces;
  $("dropped").textContent = stats.dropped;
  $("watching").textContent = stats.viewers.length;
  $("backend").textContent = stats.backend;
  $("badge").hidden = !stats.is_recording;
  button("record").lastElementChild.textContent = stats.is_recording ? "Finish" : "Record";
  button("record").classList.toggle("on", stats.is_recording);
  button("pause").lastElementChild.textContent = stats.is_paused ? "Resume" : "Pause";
  button("pause").classList.toggle("on", stats.is_paused);
  if (stats.width) {
    document.documentElement.style.setProperty("--ratio", `${stats.width} / ${stats.height}`);
    document.documentElement.style.setProperty("--ratio-number", stats.width / stats.height);
  }
  for (const words of stats.notices) toast(words);
  showViewers(stats.viewers);
  showPicture(stats.picture);
}

function showViewers(viewers) {
  const names = { webrtc: "WebRTC", mjpeg: "MJPEG", snapshot: "Snapshot", visitor: "Camera" };
  $("viewers").replaceChildren(
    ...viewers.map((viewer) => {
      const line = document.createElement("li");
      const name = document.createElement("b");
      const time = document.createElement("span");
      name.style.fontWeight = 500;
      const you = viewer.you || (using === "WebRTC" && viewer.number === ourNumber);
      name.textContent = `${names[viewer.kind] || viewer.kind}${you ? " (you)" : ""}`;
      const seconds = Math.round(viewer.seconds);
      const clock = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
      time.textContent = viewer.dropped ? `${clock}, ${viewer.dropped} dropped` : clock;
      line.append(name, time);
      return line;
    }),
  );
  if (!viewers.length) $("viewers").textContent = "Nobody is watching";
}

// Rebuilt only if the choices have changed, so that nothing moves under a finger.
const built = {};
function rebuild(id, value) {
  const key = JSON.stringify(value);
  if (built[id] === key) return false;
  built[id] = key;
  return true;
}

function showPicture(picture) {
  $("picture").hidden = !picture.views;
  $("legend-section").hidden = !(picture.classes || []).length;
  $("effects-section").hidden = !Object.keys(picture.effect_choices || {}).length;
  if (!picture.views) return;
  if (rebuild("views", picture.views)) {
    $("views").replaceChildren(...picture.views.map((name) => {
      const choice = document.createElement("button");
      choice.setAttribute("role", "radio");
      choice.dataset.view = name;
      choice.textContent = name.replaceAll("-", " ");
      choice.addEventListener("click", () => control({ view: { view: name } }));
      return choice;
    }));
  }
  for (const choice of $("views").children) {
    choice.setAttribute("aria-checked", String(choice.dataset.view === picture.view));
  }
  if (document.activeElement !== $("opacity")) $("opacity").value = picture.opacity;
  $("opacity-shown").textContent = `${Math.round($("opacity").value * 100)}%`;
  if (rebuild("legend", picture.classes.map((entry) => entry.name))) {
    $("legend").replaceChildren(...picture.classes.map((entry) => {
      const choice = document.createElement("button");
      const swatch = document.createElement("i");
      swatch.style.background = entry.colour;
      choice.dataset.name = entry.name;
      choice.append(swatch, entry.name.replaceAll("-", " "));
      choice.addEventListener("click", () => {
        const shown = page.picture.classes.filter((one) => (one.name === entry.name ? !one.shown : one.shown));
        for (const one of page.picture.classes) if (one.name === entry.name) one.shown = !one.shown;
        choose(shown.map((one) => one.name));
      });
      return choice;
    }));
  }
  for (const [index, choice] of [...$("legend").children].entries()) {
    choice.setAttribute("aria-pressed", String(picture.classes[index].shown));
  }
  showEffects(picture);
}

function choose(names) {
  const all = page.picture.classes.length;
  // A picture cannot be drawn without a class, so the last one stays.
  if (!names.length) return toast("At least one class stays on; set the opacity to 0 to hide the colours.");
  control({ view: { classes: names.length === all ? ["all"] : names } });
}

function showEffects(picture) {
  const choices = picture.effect_choices || {};
  const chosen = new Map((picture.effects || []).map((text) => {
    const cut = text.indexOf("=");
    return [text.slice(0, cut), text.slice(cut + 1)];
  }));
  if (!rebuild("effects", Object.keys(choices))) {
    for (const row of $("effects").children) row.querySelector("[type=checkbox]").checked = chosen.has(row.dataset.name);
    return;
  }
  $("effects").replaceChildren(...Object.entries(choices).map(([name, value]) => {
    const row = document.createElement("div");
    row.dataset.name = name;
    const on = Object.assign(document.createElement("input"), { type: "checkbox", id: `effect-${name}`, checked: chosen.has(name) });
    const label = Object.assign(document.createElement("label"), { htmlFor: on.id, textContent: name });
    const space = document.createElement("span");
    const colour = Object.assign(document.createElement("input"), { type: "color", value: { hair: "#6b2f1a", brows: "#3a2418", background: "#2b3a55" }[name] || "#b0122a" });
    const strength = Object.assign(document.createElement("input"), { type: "range", min: 0, max: 1, step: 0.05, value: 0.6 });
    row.append(on, label, space);
    if (value.includes("#rrggbb")) row.append(colour);
    if (name !== "background") row.append(strength);
    row.dataset.value = value;
    const send = () => {
      const list = [...$("effects").children]
        .filter((one) => one.querySelector("[type=checkbox]").checked)
        .map((one) => {
          const tint = one.querySelector("[type=color]");
          const share = one.querySelector("[type=range]");
          const parts = [tint && tint.value, share && share.value].filter((part) => part);
          return `${one.dataset.name}=${parts.join(":")}`;
        });
      control({ view: { effects: list } });
    };
    on.addEventListener("change", send);
    for (const one of [colour, strength]) one.addEventListener("change", () => on.checked && send());
    return row;
  }));
}

// --- user actions ---

for (const one of document.querySelectorAll("[data-key]")) {
  one.addEventListener("click", () => control({ key: one.dataset.key }));
}
$("opacity").addEventListener("input", () => {
  $("opacity-shown").textContent = `${Math.round($("opacity").value * 100)}%`;
});
$("opacity").addEventListener("change", () => control({ view: { opacity: Number($("opacity").value) } }));
$("all").addEventListener("click", () => choose(page.picture.classes.map((one) => one.name)));
$("none").addEventListener("click", () => control({ view: { opacity: 0 } }));
$("transport").addEventListener("change", () => {
  wanted = $("transport").value;
  $("empty").hidden = false;
  watch();
});
$("full").addEventListener("click", () => {
  if (document.fullscreenElement) document.exitFullscreen();
  else $("frame").requestFullscreen().catch(() => {});
});
$("start").addEventListener("click", startVisit);
$("stop").addEventListener("click", () => stopVisit(""));
if (location.pathname.includes("/streams/")) {
  $("home").href = "../../";
  $("home").hidden = false;
}
addEventListener("pagehide", () => peer && peer.close());
poll();
