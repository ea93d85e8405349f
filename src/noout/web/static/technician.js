// Keeps the verdict fresh, and shows none older than it may be. Everything else on the page works without this.
"use strict";
(() => {
  const EVERY_MS = 4000;
  const live = document.getElementById("live");
  const now = document.getElementById("now");
  const stale = document.getElementById("stale");
  let state = null;
  let touch = null;
  let seenAt = 0; // performance.now() at which the look was made

  function read() {
    const shown = document.getElementById("verdict");
    if (!shown) return;
    seenAt = performance.now() - Number(shown.dataset.age) * 1000;
    if (touch !== null && touch !== shown.dataset.touch && navigator.vibrate) navigator.vibrate([200, 100, 200]);
    touch = shown.dataset.touch;
    const fresh = Number(shown.dataset.fresh);
    const changed = state !== null && state !== shown.dataset.state;
    state = shown.dataset.state;
    show(fresh);
    const typing = document.querySelector("input[type=text]");
    if (changed && !(typing && typing.value)) location.reload();
  }

  function show(fresh) {
    const age = Math.max(0, Math.round((performance.now() - seenAt) / 1000));
    // "unknown" is noout's own grey: it did answer, and says more than this phone could
    const old = age > fresh && touch !== "unknown";
    stale.hidden = !old;
    now.hidden = old;
    live.classList.toggle("lost", old);
    live.textContent = old ? "no answer, " + age + "\u00a0s" : "live";
    const told = now.querySelector(".age");
    if (told) told.textContent = String(age);
    return fresh;
  }

  async function ask() {
    try {
      const answer = await fetch(live.dataset.path, { cache: "no-store", signal: AbortSignal.timeout(EVERY_MS * 2) });
      if (!answer.ok) return;
      now.innerHTML = await answer.text();
      read();
    } catch {
      // no signal: the clock below turns the page grey
    }
  }

  read();
  setInterval(ask, EVERY_MS);
  setInterval(() => show(Number(document.getElementById("verdict").dataset.fresh)), 1000);
})();
