// Keeps the verdict fresh and shows none older than it may be; sends what was said, at once or when there is signal.
// Everything on the page works without this as well, while there is signal.
"use strict";
(() => {
  const EVERY_MS = 4000;
  const words = document.getElementById("words").dataset;
  const { base, api } = words;
  const live = document.getElementById("live");
  const now = document.getElementById("now");
  const refused = document.getElementById("refused");
  let state = null;
  let touch = null;
  let seen = null; // when the look was made, by both clocks: one of them may stand still while the phone sleeps
  let asking = false;
  let behind = false; // the rest of the page is older than the verdict
  let queues = true; // there is a database to wait in

  // --- the verdict ----------------------------------------------------------------------------------------------

  const clocks = () => ({ steady: performance.now(), wall: Date.now() });
  const began = { steady: 0, wall: Date.now() - performance.now() };

  function read(asked) {
    const shown = document.getElementById("verdict").dataset;
    const age = Number(shown.age) * 1000;
    seen = { steady: asked.steady - age, wall: asked.wall - age };
    if (touch !== null && touch !== shown.touch && navigator.vibrate) navigator.vibrate([200, 100, 200]);
    touch = shown.touch;
    if (state !== null && state !== shown.state) behind = true;
    state = shown.state;
    show();
    if (behind) redraw();
  }

  function show() {
    const shown = document.getElementById("verdict");
    const at = clocks();
    const age = Math.max(at.steady - seen.steady, at.wall - seen.wall) / 1000;
    // "unknown" is noout's own grey, which says more than this phone could; whoever may leave may do so for good
    const keeps = touch === "unknown" || touch === "you-may-leave";
    const old = !(age <= Number(shown.dataset.fresh)) && !(keeps && age < 60);
    shown.classList.toggle("expired", old);
    live.classList.toggle("lost", old);
    live.textContent = old ? words.lost + (age < 3600 ? ", " + Math.round(age) + "\u00a0s" : "") : words.live;
    const told = shown.querySelector(".age");
    if (told) told.textContent = words.seen.replace("~", String(Math.max(0, Math.round(age))));
  }

  async function ask() {
    if (asking) return;
    asking = true;
    const asked = clocks();
    try {
      const answer = await fetch(base + "/verdict", { cache: "no-store", signal: AbortSignal.timeout(EVERY_MS * 2) });
      if (answer.status === 403 || answer.status === 404) return over();
      if (!answer.ok) return;
      now.innerHTML = await answer.text();
      read(asked);
      flush();
    } catch {
      // no signal: the clock turns the page grey
    } finally {
      asking = false;
    }
  }

  // The link is no good any more: nothing of the work stays on this phone.
  async function over() {
    if (queues) await Outbox.forget(base);
    navigator.serviceWorker?.controller?.postMessage({ forget: base });
    location.replace(base);
  }

  // --- the rest of the page ---------------------------------------------------------------------------------------

  // Somebody writes, or has unfolded where they will, or has the camera open: its picture comes back to that very form.
  const dirty = () =>
    document.querySelector("#work details[open]") !== null ||
    [...document.querySelectorAll("#work input, #work textarea")].some((each) =>
      each.type === "radio" ? each.checked !== each.defaultChecked : each.type !== "hidden" && each.value !== each.defaultValue,
    );

  // What changed is drawn anew, at the latest with the next verdict after that; what is being typed is not taken away.
  async function redraw() {
    behind = true;
    try {
      const answer = await fetch(base, { cache: "no-store", signal: AbortSignal.timeout(EVERY_MS * 2) });
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (!page.getElementById("work")) return;
      const redrawn = (id) => document.getElementById(id).replaceWith(page.getElementById(id));
      redrawn("sign"); // whoever writes a note must be able to sign off all the same when it is time to close up
      if (dirty()) return;
      const focused = document.activeElement?.closest("[data-check]")?.id;
      redrawn("work");
      if (focused) document.getElementById(focused)?.querySelector("button, summary")?.focus({ preventScroll: true });
      behind = false;
      dress();
      navigator.serviceWorker?.controller?.postMessage({ keep: base });
    } catch {
      // later
    }
  }

  function tell(text, remedy) {
    refused.hidden = !text;
    const box = refused.querySelector("div");
    box.replaceChildren();
    if (!text) return;
    const bold = document.createElement("b");
    bold.textContent = text;
    box.append(bold);
    if (remedy) {
      const more = document.createElement("p");
      more.textContent = "→ " + remedy;
      box.append(more);
    }
  }

  // Show what waits to be sent as if it were said, and say that it waits.
  async function dress() {
    for (const each of document.querySelectorAll(".scan")) each.hidden = !("BarcodeDetector" in window);
    const waiting = queues ? await Outbox.waiting(base) : [];
    document.getElementById("unsent").textContent = waiting.length ? words.unsentN.replace("~", String(waiting.length)) : "";
    const rows = new Set(waiting.map((each) => each.fields.check));
    for (const row of document.querySelectorAll("[data-check]")) row.querySelector(".unsent").hidden = !rows.has(row.id);
    for (const each of waiting) {
      const row = document.getElementById(each.fields.check);
      if (!row || each.what !== "finding") continue;
      row.className = each.fields.answer;
      row.querySelector(".tick")?.setAttribute("aria-pressed", String(each.fields.answer === "done"));
      for (const name of ["note", "part"]) {
        const kept = row.querySelector(`input[type=hidden][name=${name}]`);
        if (kept) kept.value = each.fields[name] || "";
      }
    }
    const count = document.getElementById("count");
    if (!count) return;
    const answered = document.querySelectorAll("[data-check]:not(.todo)").length;
    count.textContent = words.count.replace("~", String(answered)).replace("#", count.dataset.all);
  }

  // --- what is said -------------------------------------------------------------------------------------------------

  function flush() {
    if (!queues) return Promise.resolve(true);
    let some = false;
    return Outbox.flush(
      base,
      api,
      (operation, answer) => tell(words.refused.replace("~", answer.error || operation.what), answer.remedy),
      () => {
        some = true;
        dress();
      },
    ).then((all) => {
      if (some) redraw();
      return all;
    });
  }

  async function queue(what, fields, blob) {
    await Outbox.add({ id: Outbox.newId(), base, what, fields, blob });
    await dress();
    flush();
  }

  // Hands on and hands off are said now or not at all: what they let happen must not happen later by itself.
  async function say(form, what, fields) {
    const key = form.elements.key;
    const button = form.querySelector("button");
    button.disabled = true;
    try {
      if (!(await flush())) return tell(words.unsentFirst);
      const answer = await Outbox.send(api, { id: key.value, what, fields });
      if (answer === null || answer.status >= 500) return tell(words.unheard);
      key.value = Outbox.newId();
      if (!answer.ok) {
        const why = await answer.json().catch(() => ({}));
        return tell(why.error || String(answer.status), why.remedy);
      }
      tell("");
      form.reset();
      form.closest("details")?.removeAttribute("open");
      behind = true;
      await ask();
    } finally {
      button.disabled = false;
    }
  }

  document.addEventListener("submit", (event) => {
    const form = event.target;
    const what = form.dataset.op;
    if (!what || (!queues && (what === "finding" || what === "photo"))) return;
    event.preventDefault();
    const { key, ...fields } = Object.fromEntries(new FormData(form));
    if (what === "photo") return void photo(form, fields);
    if (what !== "finding") return void say(form, what, fields);
    tell("");
    for (const each of form.querySelectorAll("textarea, input[type=text]")) each.defaultValue = each.value;
    for (const each of form.querySelectorAll("input[type=radio]")) each.defaultChecked = each.checked;
    form.closest("details")?.removeAttribute("open");
    queue("finding", fields);
  });

  document.addEventListener("change", (event) => {
    const input = event.target;
    if (input.type !== "file" || !input.files.length) return;
    if ("scan" in input.dataset) scan(input);
    else if (queues && input.form?.dataset.op === "photo") photo(input.form, { check: input.form.elements.check.value });
  });

  // --- pictures -------------------------------------------------------------------------------------------------------

  const SIDE_MAX = 1600;

  async function photo(form, fields) {
    const file = form.elements.photo.files[0];
    if (!file) return;
    form.reset();
    form.closest("details")?.removeAttribute("open");
    await queue("photo", { check: fields.check }, await smaller(file));
  }

  // As large as will be kept, so that it goes out over a poor line; the picture as it is where that cannot be done.
  async function smaller(file) {
    try {
      const picture = await createImageBitmap(file, { imageOrientation: "from-image" });
      const scale = Math.min(1, SIDE_MAX / Math.max(picture.width, picture.height));
      const canvas = document.createElement("canvas");
      canvas.width = Math.round(picture.width * scale);
      canvas.height = Math.round(picture.height * scale);
      canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
      const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.85));
      return blob || file;
    } catch {
      return file;
    }
  }

  const plain = (text) => text.toUpperCase().replace(/[^\p{L}\p{N}]/gu, "");

  // A label has several codes: the one that ends as the work order says is taken; a person compares it.
  async function scan(input) {
    const card = input.closest("form");
    const say = (text) => (card.querySelector(".scanned").textContent = text);
    try {
      const codes = await new BarcodeDetector().detect(await createImageBitmap(input.files[0]));
      const read = codes.map((each) => each.rawValue.trim()).filter(Boolean);
      const found = read.find((each) => words.tail && plain(each).endsWith(plain(words.tail)));
      if (!read.length) return say(words.scanNone);
      if (!found && words.tail) return say(words.scanOther + " " + read.join(", "));
      card.elements.serial.value = found || read[0];
      say(words.scanFound);
    } catch {
      say(words.scanNone);
    } finally {
      input.value = "";
    }
  }

  // --- begin ----------------------------------------------------------------------------------------------------------

  async function begin() {
    read(began);
    setInterval(ask, EVERY_MS);
    setInterval(show, 1000);
    for (const [target, what] of [[document, "visibilitychange"], [window, "pageshow"], [window, "online"], [window, "offline"]]) {
      target.addEventListener(what, () => {
        show();
        if (document.visibilityState === "visible") ask();
      });
    }
    await Outbox.open().catch(() => (queues = false));
    await dress();
    flush();
    if (!("serviceWorker" in navigator)) return;
    await navigator.serviceWorker.register("/w/worker.js").catch(() => null);
    const ready = await navigator.serviceWorker.ready;
    ready.active?.postMessage({ keep: base });
  }

  begin();
})();
