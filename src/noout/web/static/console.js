// The console's own few lines: keys, and how old what is shown is. Everything works without them.
"use strict";
(() => {
  const typing = (event) => event.target.closest("input, textarea, select, dialog[open]") || event.ctrlKey || event.metaKey || event.altKey;
  const items = () => [...document.querySelectorAll("[data-item]")];
  const step = (by) => {
    const all = items();
    if (!all.length) return;
    const at = all.indexOf(document.activeElement);
    const next = at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + by));
    all[next].focus();
  };
  const keys = {
    j: () => step(1),
    k: () => step(-1),
    g: () => location.assign("/"),
    m: () => location.assign("/maintenances"),
    "?": () => document.getElementById("keys")?.showModal(),
    "/": () => {
      const box = document.getElementById("find");
      if (!box) return;
      box.hidden = false;
      document.getElementById("find-text").focus();
    },
  };
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !document.getElementById("find")?.hidden) {
      document.getElementById("find").hidden = true;
      return;
    }
    if (typing(event) || !(event.key in keys)) return;
    event.preventDefault();
    keys[event.key]();
  });
  const find = document.getElementById("find-text");
  find?.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    const wanted = find.value.trim().toLowerCase();
    const found = [...document.querySelectorAll("main a")].find((each) => wanted && each.textContent.toLowerCase().includes(wanted));
    document.getElementById("find-said").textContent = found ? "" : "Nothing on this page is called that.";
    if (!found) return;
    document.getElementById("find").hidden = true;
    found.focus();
  });

  // A maintenance: what the stream last said, and asking by itself where no stream comes through.
  const run = document.getElementById("run");
  if (!run || !run.dataset.now) return;
  const live = document.getElementById("live");
  let last = Date.now();
  let asking = false;
  const heard = () => { last = Date.now(); };
  run.addEventListener("htmx:sse:after:message", heard);
  run.addEventListener("beat", heard);
  const SILENT_MS = 12000;
  const tick = async () => {
    const age = Date.now() - last;
    live.hidden = false;
    live.classList.toggle("old", age > SILENT_MS);
    live.textContent = age > SILENT_MS ? `not live: nothing heard for ${Math.round(age / 1000)} s` : "live";
    if (age < SILENT_MS || asking) return;
    asking = true;
    try {
      await htmx.ajax("GET", run.dataset.now, { target: "#run", swap: "none" });
    } finally {
      asking = false;
    }
  };
  document.addEventListener("htmx:after:request", (event) => {
    const ctx = event.detail?.ctx;
    if (ctx?.request?.action?.endsWith("/now") && ctx.response?.raw?.ok) heard();
  });
  setInterval(tick, 2000);
  tick();
})();
