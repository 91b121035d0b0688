// What tests ask of a page: loaded before the page's own script.
"use strict";
window.probe = {
  video() {
    const video = document.getElementById("video");
    return { width: video.videoWidth, height: video.videoHeight, time: video.currentTime, hidden: video.hidden };
  },

  async decoded() {
    let count = 0;
    if (peer) {
      (await peer.getStats()).forEach((entry) => {
        if (entry.type === "inbound-rtp") count = entry.framesDecoded || 0;
      });
    }
    return count;
  },

  async sent() {
    const found = {};
    (await peer.getStats()).forEach((entry) => {
      if (entry.type === "outbound-rtp") Object.assign(found, { width: entry.frameWidth, height: entry.frameHeight, codec: entry.codecId });
    });
    return found;
  },

  draw(id, width, height) {
    const source = document.getElementById(id);
    const canvas = document.createElement("canvas");
    canvas.width = width || source.videoWidth || source.naturalWidth;
    canvas.height = height || source.videoHeight || source.naturalHeight;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(source, 0, 0);
    return [context, canvas.width, canvas.height];
  },

  // The colour at a place given in shares of the picture.
  pixel([id, x, y]) {
    const [context, width, height] = probe.draw(id);
    return [...context.getImageData(Math.floor(x * width), Math.floor(y * height), 1, 1).data].slice(0, 3);
  },

  // How old the picture is by the time code in its first rows, in milliseconds.
  age([id, bits, cell]) {
    const [context] = probe.draw(id, bits * cell, cell);
    const row = context.getImageData(0, cell / 2, bits * cell, 1).data;
    let shown = 0;
    for (let bit = 0; bit < bits; bit++) {
      if (row[4 * (bit * cell + cell / 2)] > 127) shown += 2 ** bit;
    }
    return (Date.now() % 2 ** bits) - shown;
  },

  // From now on the connection's figures say that pictures wait for three seconds.
  holdBack() {
    const connection = peer;
    const original = connection.getStats.bind(connection);
    connection.getStats = async () => {
      const changed = new Map();
      (await original()).forEach((entry, key) => {
        const copy = { ...entry };
        if (copy.type === "inbound-rtp") copy.jitterBufferDelay = 3 * copy.jitterBufferEmittedCount;
        changed.set(key, copy);
      });
      return changed;
    };
  },

  outside() {
    return [...document.querySelectorAll("main > *, aside > section, #actions > *")]
      .filter((element) => element.offsetParent)
      .map((element) => element.getBoundingClientRect())
      .filter((box) => box.right > innerWidth + 1 || box.left < -1).length;
  },

  tooSmall() {
    return [...document.querySelectorAll("#actions button, #actions a")]
      .filter((element) => element.offsetParent && element.getBoundingClientRect().height < 32).length;
  },

  opacity(value) {
    const slider = document.getElementById("opacity");
    slider.value = value;
    slider.dispatchEvent(new Event("input"));
    slider.dispatchEvent(new Event("change"));
  },

  async tried(url, options) {
    try {
      return String((await fetch(url, options)).status);
    } catch {
      return "refused";
    }
  },
};
