// What was said without signal waits here, in the phone's own database, and is sent in its order. Each thing has an id
// of its own from the moment it was said: the server counts it once however often it comes.
"use strict";
const Outbox = (() => {
  const STORE = "operations";
  const TIMEOUT_MS = 20000;
  const AGAIN = [401, 403, 404, 408, 425, 429]; // the server did not judge what was said
  let opening = null;
  let draining = null;

  function open() {
    opening ??= new Promise((done, failed) => {
      const asked = indexedDB.open("noout", 1);
      asked.onupgradeneeded = () => asked.result.createObjectStore(STORE, { keyPath: "number", autoIncrement: true });
      asked.onsuccess = () => done(asked.result);
      asked.onerror = () => failed(asked.error);
    });
    return opening;
  }

  async function within(mode, work) {
    const db = await open();
    return new Promise((done, failed) => {
      const transaction = db.transaction(STORE, mode);
      const asked = work(transaction.objectStore(STORE));
      transaction.oncomplete = () => done(asked.result);
      transaction.onabort = transaction.onerror = () => failed(transaction.error);
    });
  }

  function newId() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    return Array.from(bytes, (each) => each.toString(16).padStart(2, "0")).join("");
  }

  // {id, base: whose link, what: "finding" | "photo", fields, blob}: on the disk when this is done.
  const add = (operation) => within("readwrite", (store) => store.add(operation));
  const remove = (number) => within("readwrite", (store) => store.delete(number));
  const waiting = async (base) => (await within("readonly", (store) => store.getAll())).filter((each) => each.base === base);

  async function forget(base) {
    for (const each of await waiting(base)) await remove(each.number);
  }

  // The server's answer, or null when none came. A photo goes as it is, everything else as JSON.
  async function send(api, { id, what, fields, blob }) {
    const headers = { "Idempotency-Key": id, "Content-Type": blob ? "application/octet-stream" : "application/json" };
    const path = blob ? `${api}/${what}?check=${encodeURIComponent(fields.check)}` : `${api}/${what}`;
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    try {
      return await fetch(path, { method: "POST", headers, body: blob || JSON.stringify(fields), signal, cache: "no-store" });
    } catch {
      return null;
    }
  }

  // Send what waits, oldest first, until one is not answered: true when nothing waits any more. One tab does it.
  function flush(base, api, refused, sent) {
    const drain = async () => {
      for (const each of await waiting(base)) {
        const answer = await send(api, each);
        if (answer === null || answer.status >= 500 || AGAIN.includes(answer.status)) return false;
        if (!answer.ok) refused(each, await answer.json().catch(() => ({})));
        await remove(each.number);
        sent(each);
      }
      return (await waiting(base)).length === 0;
    };
    draining ??= (navigator.locks ? navigator.locks.request("noout-outbox", drain) : drain()).finally(() => {
      draining = null;
    });
    return draining;
  }

  return { open, add, waiting, forget, send, flush, newId };
})();
