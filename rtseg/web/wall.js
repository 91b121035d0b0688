"use strict";

// State comes from /stats once a second. Each tile requests its next small picture once it has shown
// the last one, so a slow connection gets fewer pictures, but never old ones.

const POLL_MS = 1000;
const PICTURE_MS = 200; // minimum time between two pictures of a tile
const RETRY_MS = 2000;
const OLD_MS = 4000; // a picture older than this is marked as old

const $ = (id) => document.getElementById(id);
const tiles = new Map();

const words = {
  starting: "starting", live: "live", resting: "resting", reconnecting: "reconnecting",
  waiting: "waiting", ended: "ended", failed: "failed", stopped: "stopped",
};
const away = {
  starting: "Opening…", resting: "Waiting for the first picture…", live: "Waiting for the first picture…",
  reconnecting: "Connection lost; reconnecting…", waiting: "Cannot be opened; retrying…",
  ended: "The source has ended.", failed: "Not served.", stopped: "Stopped.",
};

function makeTile(name) {
  const article = $("tile").content.firstElementChild.cloneNode(true);
  article.dataset.name = name;
  const tile = { article, name, state: "", shownAt: 0, isSeen: true, url: "" };
  const part = (selector) => article.querySelector(selector);
  part("h2").textContent = name;
  part("img").alt = `Live picture of ${name}`;
  seeing.observe(article);
  tile.part = part;
  showPictures(tile);
  return tile;
}

// Tiles that are scrolled out of sight request no pictures, nor does a hidden tab.
const seeing = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const tile = tiles.get(entry.target.dataset.name);
    if (tile) tile.isSeen = entry.isIntersecting;
  }
});

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

async function showPictures(tile) {
  const image = tile.part("img");
  while (!tile.isGone) {
    const hasPicture = ["live", "resting", "reconnecting"].includes(tile.state);
    if (!hasPicture || !tile.isSeen || document.hidden) {
      await pause(PICTURE_MS);
      continue;
    }
    const asked = performance.now();
    try {
      const width = Math.min(1280, Math.max(64, Math.round(image.parentElement.clientWidth * devicePixelRatio / 80) * 80));
      const answer = await fetch(`streams/${encodeURIComponent(tile.name)}/picture.jpg?width=${width}`, { credentials: "same-origin", cache: "no-store" });
      if (!answer.ok) throw new Error(answer.statusText);
      const url = URL.createObjectURL(await answer.blob());
      image.src = url;
      await image.decode().catch(() => {});
      if (tile.url) URL.revokeObjectURL(tile.url);
      tile.url = url;
      tile.shownAt = Date.now();
      image.hidden = false;
      await pause(Math.max(0, PICTURE_MS - (performance.now() - asked)));
    } catch {
      await pause(RETRY_MS);
    }
  }
}

function show(tile, stream) {
  const { article, part } = tile;
  tile.state = article.dataset.state = stream.state;
  part(".badge").textContent = words[stream.state] || stream.state;
  part(".away").textContent = away[stream.state] || "";
  part(".source").textContent = stream.source;
  part(".source").title = stream.source;
  const number = (value, digits) => (value ? value.toFixed(digits) : "–");
  part(".fps").textContent = number(stream.frames_per_second, 1);
  part(".age").textContent = stream.frames_per_second ? number(stream.age_ms.p95, 0) : "–";
  part(".faces").textContent = stream.faces;
  part(".dropped").textContent = stream.dropped;
  part(".reason").textContent = stream.reason;
  const link = part("a");
  if (stream.frames || stream.state === "live" || stream.state === "resting") {
    link.href = `streams/${encodeURIComponent(stream.name)}/`;
  } else link.removeAttribute("href");
  const image = part("img");
  image.classList.toggle("old", Date.now() - tile.shownAt > OLD_MS);
  if (["failed", "ended", "stopped"].includes(stream.state)) image.hidden = true;
  part(".outputs").replaceChildren(...stream.outputs.map((output) => {
    const line = document.createElement("li");
    line.textContent = output.error ? `${output.name}: ${output.error}` : output.name;
    line.title = line.textContent;
    line.classList.toggle("broken", Boolean(output.error));
    return line;
  }));
}

function say(kind, text) {
  $("state").className = kind;
  $("state").lastElementChild.textContent = text;
}

async function poll() {
  try {
    const answer = await fetch("stats", { credentials: "same-origin", cache: "no-store" });
    if (!answer.ok) throw new Error((await answer.text()).trim() || answer.statusText);
    const stats = await answer.json();
    for (const stream of stats.streams) {
      if (!tiles.has(stream.name)) tiles.set(stream.name, makeTile(stream.name));
      show(tiles.get(stream.name), stream);
    }
    const names = stats.streams.map((stream) => stream.name);
    for (const [name, tile] of [...tiles]) {
      if (names.includes(name)) continue;
      tile.isGone = true;
      seeing.unobserve(tile.article);
      tiles.delete(name);
    }
    const order = names.map((name) => tiles.get(name).article);
    if (order.some((article, at) => $("wall").children[at] !== article) || $("wall").children.length !== order.length) {
      $("wall").replaceChildren(...order);
    }
    $("backend").textContent = stats.backend;
    const live = stats.streams.filter((stream) => stream.state === "live").length;
    const rate = stats.frames_per_second ? `, ${stats.frames_per_second.toFixed(0)} FPS in total` : "";
    say(live ? "live" : "", `${live} of ${names.length} live${rate}`);
  } catch (error) {
    say("lost", error instanceof TypeError ? "the server does not answer" : error.message.slice(0, 80));
  }
  setTimeout(poll, POLL_MS);
}

poll();
