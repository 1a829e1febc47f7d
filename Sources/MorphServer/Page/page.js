"use strict";
let messages = [];
let running = null;
let lastView = null;
// Which of several models was chosen.
let chosen = null;

function headers() {
  const key = $("key").value.trim();
  return { "Content-Type": "application/json", ...(key ? { Authorization: "Bearer " + key } : {}) };
}

function bytes(count) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let unit = 0;
  while (count >= 1000 && unit < units.length - 1) { count /= 1000; unit += 1; }
  return (unit && count < 10 ? count.toFixed(2) : Math.round(count)) + " " + units[unit];
}

async function failure(response) {
  try { return (await response.json()).error.message; } catch { return "the server answered " + response.status; }
}

async function loadModel() {
  try {
    const response = await fetch("/v1/models", { headers: headers() });
    if (response.status === 401) {
      $("settings").open = true;
      $("model").textContent = "an API key is needed";
      return;
    }
    if (!response.ok) throw new Error(await failure(response));
    const cards = (await response.json()).data;
    const loaded = (card) => !card.status || card.status.value === "loaded";
    const card = cards.find((card) => card.id === chosen) ?? cards.find(loaded)
      ?? cards.find((card) => card.status.value !== "failed") ?? cards[0];
    if (cards.length > 1) {
      chosen = card.id;
      const names = document.createElement("select");
      names.setAttribute("aria-label", "Model");
      names.append(...cards.map(({ id }) => new Option(id, id, false, id === chosen)));
      names.addEventListener("change", () => { chosen = names.value; loadModel(); });
      $("model").replaceChildren(names, card.morphkv ? " · " + card.morphkv.policy : " · loaded when it is asked");
    } else {
      $("model").textContent = card.morphkv ? card.id + " · " + card.morphkv.policy : card.id;
    }
    const choices = ["", ...card.morphkv?.policies ?? []];
    $("policy").replaceChildren(...choices.map((name) => new Option(name || "server's", name)));
    // Models that come and go have none.
    if (card.status) $("contexts").hidden = true;
    else await contexts.load();
  } catch (error) {
    $("model").textContent = "not connected";
    $("error").textContent = String(error.message || error);
  }
}

function addMessage(role, content) {
  const box = document.createElement("div");
  box.className = "message " + role;
  const name = document.createElement("span");
  name.className = "name";
  name.textContent = role === "user" ? "You" : "Model";
  const text = document.createElement("span");
  text.textContent = content;
  box.append(name, text);
  $("messages").append(box);
  $("messages").scrollTop = $("messages").scrollHeight;
  return text;
}

function color(name) { return getComputedStyle(document.documentElement).getPropertyValue(name).trim(); }

function draw(view) {
  lastView = view;
  $("seen").textContent = view.seen;
  $("slots").textContent = view.slots_used;
  $("pinned").textContent = view.pinned;
  $("bytes").textContent = bytes(view.cache_bytes);
  $("full-bytes").textContent = bytes(view.full_cache_bytes);
  $("bar").style.width = Math.min(100, 100 * view.cache_bytes / Math.max(1, view.full_cache_bytes)) + "%";
  const canvas = $("picture");
  const scale = window.devicePixelRatio || 1;
  const width = canvas.clientWidth, height = canvas.clientHeight;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  const rows = view.kept.length;
  const gap = rows > 24 ? 0 : 2;
  const rowHeight = height / rows;
  const prompt = color("--prompt"), answer = color("--answer");
  view.kept.forEach((row, index) => {
    const columns = row.length;
    for (let column = 0; column < columns; column += 1) {
      const share = Number(row[column]) / 9;
      if (share === 0) continue;
      const isPrompt = (column + 0.5) * view.seen / columns < view.prompt;
      context.fillStyle = `rgba(${isPrompt ? prompt : answer}, ${0.2 + 0.8 * share})`;
      context.fillRect(column * width / columns, index * rowHeight, Math.ceil(width / columns), rowHeight - gap);
    }
  });
  const pins = view.pins || "";
  for (let column = 0; column < pins.length; column += 1) {
    if (pins[column] === "0") continue;
    context.fillStyle = `rgb(${color("--pinned")})`;
    context.fillRect(column * width / pins.length, 0, Math.ceil(width / pins.length), 3);
  }
  canvas.setAttribute("aria-label",
    `${view.layers.length} layers keep at most ${view.slots_used} of ${view.seen} tokens per head, ` +
    `${view.pinned} of them pinned`);
}

function request() {
  const morphkv = { view: 8 };
  if ($("context").value) morphkv.context = $("context").value;
  if ($("policy").value) morphkv.policy = $("policy").value;
  if ($("capacity").value) morphkv.capacity = Number($("capacity").value);
  return {
    ...(chosen ? { model: chosen } : {}), messages, stream: true, temperature: Number($("temperature").value),
    max_tokens: Number($("max-tokens").value), morphkv,
  };
}

async function readEvents(response, onEvent) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    buffer += value;
    const events = buffer.split("\n\n");
    buffer = events.pop();
    for (const event of events) {
      const data = event.replace(/^data: /, "");
      if (data !== "[DONE]") onEvent(JSON.parse(data));
    }
  }
}

async function send(text) {
  $("error").textContent = "";
  messages.push({ role: "user", content: text });
  addMessage("user", text);
  const output = addMessage("assistant", "");
  let answer = "";
  let thought = "";
  running = new AbortController();
  $("send").disabled = true;
  $("stop").disabled = false;
  try {
    const response = await fetch("/v1/chat/completions", {
      method: "POST", headers: headers(), body: JSON.stringify(request()), signal: running.signal,
    });
    if (!response.ok) throw new Error(await failure(response));
    await readEvents(response, (event) => {
      if (event.error) throw new Error(event.error.message);
      const delta = event.choices[0]?.delta;
      if (delta?.content || delta?.reasoning_content) {
        answer += delta.content ?? "";
        thought += delta.reasoning_content ?? "";
        output.textContent = thought && answer ? `${thought.trim()}\n\n${answer}` : thought + answer;
        $("messages").scrollTop = $("messages").scrollHeight;
      }
      if (event.morphkv?.view) draw(event.morphkv.view);
    });
  } catch (error) {
    if (error.name !== "AbortError") $("error").textContent = error.message;
  }
  if (answer) {
    messages.push({ role: "assistant", content: answer });
  } else {
    messages.pop();
    output.parentElement.remove();
  }
  running = null;
  $("send").disabled = false;
  $("stop").disabled = true;
  $("text").focus();
}

$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text || running || contexts.isCompressing) return;
  $("text").value = "";
  send(text);
});
$("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $("form").requestSubmit();
  }
});
$("stop").addEventListener("click", () => running?.abort());
function reset() {
  running?.abort();
  messages = [];
  $("messages").replaceChildren();
  $("error").textContent = "";
}
$("reset").addEventListener("click", reset);
$("key").addEventListener("change", loadModel);
window.addEventListener("resize", () => { if (lastView) draw(lastView); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (lastView) draw(lastView); });
loadModel();
