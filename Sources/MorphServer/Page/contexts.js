"use strict";
const $ = (id) => document.getElementById(id);

// Texts that were read once: choosing one, adding one from a file, watching it shrink, deleting it.
const contexts = {
  known: new Map(),
  isChat: false,
  isCompressing: false,

  async load(chosen = $("context").value) {
    const response = await fetch("/v1/contexts", { headers: headers() });
    if (!response.ok) return;
    const list = await response.json();
    this.isChat = list.chat;
    this.known = new Map(list.data.filter((item) => item.state === "ready").map((item) => [item.id, item]));
    $("context").replaceChildren(...["", ...this.known.keys()].map((name) => new Option(name || "none", name)));
    $("context").value = this.known.has(chosen) ? chosen : "";
    $("contexts").hidden = !list.can_add && this.known.size === 0;
    $("adding").hidden = !list.can_add;
    this.show();
  },

  show() {
    const item = this.known.get($("context").value);
    $("forget").disabled = !item || item.permanent;
    if (this.isCompressing) return;
    $("context-state").textContent = item
      ? `${item.tokens} tokens in ${bytes(item.bytes)}, ${Math.round(100 * item.ratio)} % of the whole text's` : "";
  },

  // A name that the server takes and does not have yet.
  name(file) {
    const base = file.replace(/\.[^.]*$/, "").replace(/[^A-Za-z0-9_-]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 50) || "text";
    let name = base;
    for (let number = 2; this.known.has(name); number += 1) name = `${base}-${number}`;
    return name;
  },

  async add(file) {
    const name = this.name(file.name);
    const text = await file.text();
    const form = this.isChat ? { messages: [{ role: "user", content: text }] } : { text };
    const response = await fetch("/v1/contexts", {
      method: "POST", headers: headers(), body: JSON.stringify({ name, ratio: Number($("ratio").value), ...form }),
    });
    if (!response.ok) throw new Error(await failure(response));
    await this.watch(name);
    await this.load(name);
    reset();
  },

  async watch(name) {
    $("shrinking").hidden = false;
    try {
      for (;;) {
        const response = await fetch(`/v1/contexts/${name}`, { headers: headers() });
        if (!response.ok) throw new Error(await failure(response));
        const item = await response.json();
        if (item.state === "failed") throw new Error(item.error);
        const done = item.state === "ready" ? 1 : item.fraction ?? 0;
        $("shrinking").firstElementChild.style.width = 100 * done + "%";
        $("shrinking").setAttribute("aria-valuenow", Math.round(100 * done));
        $("context-state").textContent = `${name}: ${item.tokens} tokens, ` +
          (item.state === "compressing" ? `${Math.round(100 * done)} % after ${Math.round(item.seconds)} s` : item.state);
        if (item.state === "ready") return;
        await new Promise((resolve) => setTimeout(resolve, 250));
      }
    } finally {
      $("shrinking").hidden = true;
    }
  },

  async remove(name) {
    const response = await fetch(`/v1/contexts/${name}`, { method: "DELETE", headers: headers() });
    if (!response.ok) throw new Error(await failure(response));
    await this.load("");
    reset();
  },

  // Does something about texts; what goes wrong is said.
  async run(work) {
    $("error").textContent = "";
    this.isCompressing = true;
    $("file").disabled = true;
    try { await work(); } catch (error) { $("error").textContent = error.message; }
    this.isCompressing = false;
    $("file").disabled = false;
    this.show();
  },
};

$("context").addEventListener("change", () => {
  contexts.show();
  reset();
});
$("file").addEventListener("change", () => {
  const [file] = $("file").files;
  $("file").value = "";
  if (file) contexts.run(() => contexts.add(file));
});
$("forget").addEventListener("click", () => contexts.run(() => contexts.remove($("context").value)));
