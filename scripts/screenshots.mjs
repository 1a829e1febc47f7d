// Drives a headless Chromium over its debugging protocol: node screenshots.mjs BROWSER URL PROFILE FOLDER
import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";

const [browser, url, profile, folder] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
const chromium = spawn(browser, [
  "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-port=0",
  `--user-data-dir=${profile}`, "about:blank",
]);
const endpoint = await new Promise((resolve, reject) => {
  chromium.stderr.on("data", (data) => {
    const match = String(data).match(/DevTools listening on (ws:\S+)/);
    if (match) resolve(match[1]);
  });
  chromium.on("exit", () => reject(new Error("Chromium ended")));
});
const base = endpoint.replace("ws:", "http:").replace(/\/devtools.*/, "");
const target = (await (await fetch(base + "/json")).json()).find((item) => item.type === "page");
const socket = new WebSocket(target.webSocketDebuggerUrl);
await new Promise((resolve) => { socket.onopen = resolve; });
let last = 0;
const waiting = new Map();
const problems = [];
socket.onmessage = (event) => {
  const message = JSON.parse(event.data);
  if (message.id) waiting.get(message.id)(message);
  if (message.method === "Runtime.exceptionThrown") problems.push(message.params.exceptionDetails.text);
  if (message.method === "Log.entryAdded" && message.params.entry.level === "error") problems.push(message.params.entry.text);
};
const call = (method, params = {}) => new Promise((resolve, reject) => {
  last += 1;
  waiting.set(last, (message) => message.error ? reject(new Error(message.error.message)) : resolve(message.result));
  socket.send(JSON.stringify({ id: last, method, params }));
});
const evaluate = async (expression) => (await call("Runtime.evaluate", { expression, returnByValue: true })).result.value;
const until = async (what, expression) => {
  for (let tries = 0; tries < 300; tries += 1) {
    if (await evaluate(expression)) return console.log("ok", what);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("never: " + what);
};
const size = (width, height, mobile) =>
  call("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile });
const scheme = (value) => call("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value }] });
const picture = async (name) => {
  const { data } = await call("Page.captureScreenshot", { format: "png" });
  writeFileSync(`${folder}/${name}.png`, Buffer.from(data, "base64"));
};

try {
  for (const domain of ["Page", "Runtime", "Log"]) await call(domain + ".enable");
  await size(1200, 760, false);
  await scheme("light");
  await call("Page.navigate", { url });
  await until("the page knows the model", "document.getElementById('model')?.textContent.includes('morphkv:')");
  const ask = (text, tokens) => evaluate(`(() => {
    document.getElementById('max-tokens').value = ${tokens};
    document.getElementById('temperature').value = 0.6;
    document.getElementById('text').value = ${JSON.stringify(text)};
    document.getElementById('form').requestSubmit();
  })()`);
  await ask("Once upon a time there was a little dog named Max. Tell me what he did in the park.", 400);
  await until("the cache is drawn while it writes",
    "Number(document.getElementById('seen').textContent) > 100 && !document.getElementById('stop').disabled");
  await until("the answer ends", "!document.getElementById('send').disabled");
  await until("the answer is there", "document.querySelectorAll('.message.assistant').length === 1");
  await ask("And then they went home.", 300);
  await until("the second answer ends",
    "document.querySelectorAll('.message.assistant').length === 2 && !document.getElementById('send').disabled");
  await until("no more than the capacity is kept", "Number(document.getElementById('slots').textContent) <= 128");
  await picture("page-light");
  await scheme("dark");
  await new Promise((resolve) => setTimeout(resolve, 200));
  await picture("page-dark");
  await size(390, 844, true);
  await new Promise((resolve) => setTimeout(resolve, 200));
  await until("nothing is wider than a phone", "document.documentElement.scrollWidth <= 390");
  await evaluate("document.getElementById('cache').scrollIntoView({ block: 'end' })");
  await picture("page-phone");
  // A text file is added, shrinks, and is asked about.
  await evaluate("document.getElementById('reset').click()");
  await evaluate(`(() => {
    const text = "Ben had a red kite. He loved to play with his kite in the big park near his house. ".repeat(12);
    const files = new DataTransfer();
    files.items.add(new File([text], "the kite.txt", { type: "text/plain" }));
    const input = document.getElementById('file');
    window.shrank = 0;
    new MutationObserver(() => { window.shrank += 1; }).observe(
      document.getElementById('shrinking').firstElementChild, { attributes: true });
    input.files = files.files;
    input.dispatchEvent(new Event('change'));
  })()`);
  await until("the text is compressed and chosen", "document.getElementById('context').value === 'the-kite'");
  await until("its progress was shown", "window.shrank > 0 && document.getElementById('shrinking').hidden");
  await ask("Who had a kite?", 60);
  await until("a question about it is answered",
    "document.querySelectorAll('.message.assistant').length === 1 && !document.getElementById('send').disabled");
  await until("its size is said", "document.getElementById('context-state').textContent.includes('% of the whole')");
  await until("nothing is wider than a phone with it", "document.documentElement.scrollWidth <= 390");
  await evaluate("document.getElementById('conversation').scrollIntoView()");
  await picture("contexts-phone");
  await size(1200, 760, false);
  await scheme("light");
  await new Promise((resolve) => setTimeout(resolve, 200));
  await picture("contexts-light");
  await evaluate("document.getElementById('forget').click()");
  await until("it is deleted", "document.getElementById('context').options.length === 1");
  await ask("A long story, please.", 4000);
  await until("it writes", "!document.getElementById('stop').disabled");
  await evaluate("document.getElementById('stop').click()");
  await until("it stops when asked", "!document.getElementById('send').disabled");
  await until("every field has a name", `[...document.querySelectorAll('input, select, textarea, button')].every(
    (item) => item.labels?.length || item.textContent.trim())`);
  if (problems.length) throw new Error(problems.join("\n"));
  console.log("ok no error in the console");
} finally {
  socket.close();
  chromium.kill();
}
