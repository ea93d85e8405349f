// Lets the page be opened without signal. What is kept is a page that the server draws for that: it shows no verdict but
// DO NOT TOUCH. A page with a live verdict is never kept.
"use strict";
const FILES = "noout-files-2";
const PAGES = "noout-pages-2";
const STATIC = ["tokens.css", "technician.css", "technician.js", "outbox.js", "icon.svg"].map((name) => "/static/" + name);
const WAIT_MS = 8000;
const isPage = (path) => /^\/w\/[^/]+$/.test(path);

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(FILES).then((files) => files.addAll(STATIC)).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  const old = (names) => names.filter((name) => ![FILES, PAGES].includes(name)).map((name) => caches.delete(name));
  event.waitUntil(caches.keys().then((names) => Promise.all(old(names))).then(() => self.clients.claim()));
});

self.addEventListener("message", (event) => {
  const { keep, forget } = event.data;
  if (keep && isPage(keep)) event.waitUntil(kept(keep));
  if (forget) event.waitUntil(caches.open(PAGES).then((pages) => pages.delete(forget)));
});

async function kept(path) {
  try {
    const answer = await fetch(path + "/offline", { cache: "no-store" });
    const pages = await caches.open(PAGES);
    if (answer.ok) await pages.put(path, answer);
    else if (answer.status === 403 || answer.status === 404) await pages.delete(path);
  } catch {
    // the one that is there stays
  }
}

self.addEventListener("fetch", (event) => {
  const { pathname, origin } = new URL(event.request.url);
  if (event.request.method !== "GET" || origin !== self.location.origin) return;
  if (event.request.mode === "navigate" && isPage(pathname)) event.respondWith(page(event.request, pathname));
  else if (STATIC.includes(pathname)) event.respondWith(file(event.request, pathname));
});

async function page(request, path) {
  const pages = await caches.open(PAGES);
  try {
    const answer = await fetch(request, { signal: AbortSignal.timeout(WAIT_MS) });
    if (answer.status === 403 || answer.status === 404) await pages.delete(path);
    if (answer.status < 500) return answer;
  } catch {
    // no signal
  }
  return (await pages.match(path)) || Response.error();
}

async function file(request, path) {
  const files = await caches.open(FILES);
  try {
    const answer = await fetch(request, { signal: AbortSignal.timeout(WAIT_MS) });
    if (answer.ok) await files.put(path, answer.clone());
    return answer;
  } catch {
    return (await files.match(path)) || Response.error();
  }
}
