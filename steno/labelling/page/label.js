import { ask, load } from "/ask.js";
import { Captions } from "/captions.js";
import { Spectrogram, decode } from "/spectrogram.js";

const find = (id) => document.getElementById(id);
const player = find("player");
const text = find("text");
const speaker = find("speaker");
const spectrogram = new Spectrogram(find("spectrogram"));
const captions = new Captions(find("captions"), find("partial"), play);
const POLL = 1000; // ms between two looks at what is still coming
const MOST_ROWS = 200;
const BACK = 2; // seconds

let model = null;
let items = []; // of each piece: id, seconds, state, confidence
let complete = false;
let current = null; // the piece on the page, with its draft
let idle = true; // whether the next piece is opened as soon as there is one
let untouched = ""; // what the text was before the person wrote
const later = new Set();
const voices = new Map(); // of recordings, who was said to speak last

const tell = (path, method, body) => ask(path, { method, headers: { "content-type": "application/json" }, body: body && JSON.stringify(body) }).then((response) => response.json());

// ---- what there is ----

async function look() {
  const told = await (await ask(`/api/session?since=${items.length}`)).json();
  model = told.model;
  items.push(...told.items);
  complete = told.progress.complete;
  show(told.progress);
}

function show(progress) {
  const { labelled, unusable, pieces, hours, changed, problems } = progress;
  const parts = [`${labelled} labelled (${minutes(hours * 3600)})`];
  if (unusable) parts.push(`${unusable} unusable`);
  parts.push(`${pieces}${progress.complete ? "" : " so far"} in all`);
  if (changed !== null) parts.push(`the drafts' WER against them is ${(100 * changed).toFixed(1)} %`);
  find("progress").textContent = parts.join(" · ");
  find("problems").replaceChildren(...problems.map((problem) => Object.assign(document.createElement("li"), { textContent: problem })));
  list();
}

const minutes = (seconds) => (seconds < 60 ? `${Math.round(seconds)} s` : `${(seconds / 60).toFixed(1)} min`);

function list() {
  const wanted = find("shown").value;
  const chosen = items.map((item, number) => ({ ...item, number })).filter((item) => !wanted || item.state === wanted);
  const place = Math.max(0, chosen.findIndex((item) => item.number >= (current?.number ?? 0)));
  const start = Math.max(0, Math.min(place - MOST_ROWS / 2, chosen.length - MOST_ROWS));
  const rows = chosen.slice(start, start + MOST_ROWS).map((item) => {
    const button = document.createElement("button");
    button.type = "button";
    const state = Object.assign(document.createElement("span"), { className: item.state, textContent: item.state });
    const sure = item.confidence === null ? "" : `, ${Math.round(100 * item.confidence)} % sure`;
    button.append(state, Object.assign(document.createElement("span"), { textContent: item.id }), `${item.seconds.toFixed(1)} s${sure}`);
    button.setAttribute("aria-current", item.number === current?.number);
    button.addEventListener("click", () => leave() && open(item.number));
    const row = document.createElement("li");
    row.append(button);
    return row;
  });
  find("list").replaceChildren(...rows);
  const left = chosen.length - rows.length;
  find("more").textContent = left ? `${left} more are not shown.` : chosen.length ? "" : "None.";
  find("list").querySelector("[aria-current=true]")?.scrollIntoView({ block: "nearest" });
}

// ---- one piece ----

function next() {
  const open = items.map((item, number) => ({ ...item, number })).filter((item) => item.state === "open");
  const fresh = open.filter((item) => !later.has(item.number));
  if (!fresh.length && open.length) later.clear();
  const candidates = fresh.length ? fresh : open;
  if (find("order").value === "doubt") candidates.sort((a, b) => (a.confidence ?? 2) - (b.confidence ?? 2));
  const after = candidates.find((item) => item.number > (current?.number ?? -1));
  const chosen = find("order").value === "doubt" ? candidates[0] : (after ?? candidates[0]);
  return chosen ? chosen.number : null;
}

async function open(number) {
  idle = false;
  const piece = await (await ask(`/api/items/${number}`)).json();
  current = piece;
  find("piece").textContent = piece.id;
  find("place").textContent = `${number + 1} of ${items.length}, ${piece.seconds.toFixed(1)} s, ${piece.audio}`;
  speaker.value = piece.speaker ?? voices.get(recording(piece)) ?? "";
  find("reopen").hidden = piece.state === "open";
  say("");
  fill(piece);
  list();
  text.focus();
  await sound(number);
}

const recording = (piece) => piece.audio.split("#")[0];

function fill(piece) {
  untouched = piece.text ?? piece.draft?.text ?? "";
  text.value = untouched;
  text.placeholder = piece.problem || (waiting(piece) ? "The model is still listening …" : "");
  captions.clear();
  if (piece.draft?.words.length) captions.add(piece.draft.words);
  find("heard").hidden = !piece.draft?.words.length;
}

const waiting = (piece) => model !== null && piece.state === "open" && piece.draft === null && !piece.problem;

async function sound(number) {
  player.removeAttribute("src");
  spectrogram.clear();
  try {
    const blob = await load(player, `/api/items/${number}/audio`, () => current.number === number);
    if (!blob) return;
    player.playbackRate = Number(find("speed").value);
    player.play().catch(() => {}); // browsers want a first click
    spectrogram.draw(await decode(blob));
  } catch (problem) {
    say(problem.message);
  }
}

function play(seconds) {
  player.currentTime = seconds;
  player.play();
}

// Whether what was written may be left; saved texts and untouched ones always may.
const leave = () => !current || text.value === untouched || confirm("What you wrote is not saved. Leave it?");

function say(message, suggestion = null) {
  find("wrong").textContent = message;
  find("wrong").hidden = !message;
  find("suggested").hidden = !suggestion;
  find("suggested").textContent = suggestion ? `Write: ${suggestion}` : "";
  find("suggested").dataset.text = suggestion ?? "";
}

// ---- decisions ----

async function decide(method, body) {
  const { number } = current;
  try {
    const told = await tell(`/api/items/${number}`, method, body);
    items[number].state = told.item.state;
    later.delete(number);
    untouched = text.value;
    current = told.item;
    show(told.progress);
    return told.item;
  } catch (problem) {
    say(problem.message, problem.suggestion);
    return null;
  }
}

async function forward() {
  const number = next();
  if (number !== null) return open(number);
  list();
  player.pause();
  say("");
  find("reopen").hidden = false;
  idle = !complete;
  find("piece").textContent = complete ? "All pieces are decided." : "More pieces are still coming.";
}

// Nothing is open, and nothing more is coming.
async function rest() {
  if (current) return forward();
  if (items.length) return open(0);
  idle = false;
  say("There is nothing to label: no recording could be read, or nobody speaks in them.");
}

async function save() {
  if (!current) return;
  const written = text.value.trim();
  if (!written && !confirm("Nothing is written. Does nobody speak here?")) return;
  const saved = await decide("PUT", { text: written, speaker: speaker.value.trim() || null });
  if (!saved) return;
  if (saved.speaker) {
    voices.set(recording(saved), saved.speaker);
    const known = [...find("speakers").children].some((option) => option.value === saved.speaker);
    if (!known) find("speakers").append(Object.assign(document.createElement("option"), { value: saved.speaker }));
  }
  await forward();
}

find("form").addEventListener("submit", (event) => {
  event.preventDefault();
  save();
});
find("later").addEventListener("click", () => {
  if (!current || !leave()) return;
  later.add(current.number);
  forward();
});
find("unusable").addEventListener("click", async () => {
  if (current && leave() && (await decide("PUT", { unusable: true }))) await forward();
});
find("reopen").addEventListener("click", async () => {
  const item = current && (await decide("DELETE"));
  if (item) open(item.number);
});
find("suggested").addEventListener("click", (event) => {
  text.value = event.target.dataset.text;
  say("");
  text.focus();
});
find("order").addEventListener("change", list);
find("shown").addEventListener("change", list);
find("speed").addEventListener("change", () => (player.playbackRate = Number(find("speed").value)));
find("spectrogram").addEventListener("click", (event) => {
  if (player.duration) play((event.offsetX / event.target.clientWidth) * player.duration);
});
player.addEventListener("timeupdate", () => captions.at(player.currentTime));

document.addEventListener("keydown", (event) => {
  const control = event.ctrlKey || event.metaKey;
  if (event.key === "Enter" && control) save();
  else if (event.key === "Escape") player.paused ? player.play() : player.pause();
  else if (event.key.toLowerCase() === "b" && control) play(Math.max(0, player.currentTime - BACK));
  else return;
  event.preventDefault();
});
window.addEventListener("beforeunload", (event) => {
  if (current && text.value !== untouched) event.preventDefault();
});

// ---- what is still coming ----

async function follow() {
  for (;;) {
    try {
      if (!complete) await look();
      if (idle) {
        const number = next();
        if (number !== null) await open(number);
        else if (complete) await rest();
      }
      if (current && waiting(current)) {
        const piece = await (await ask(`/api/items/${current.number}`)).json();
        if (piece.number === current.number && !waiting(piece)) {
          current = piece;
          items[piece.number].confidence = piece.confidence;
          const started = text.value !== untouched;
          const written = text.value;
          fill(piece);
          if (started) text.value = written;
        }
      }
    } catch (problem) {
      say(problem.message);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL));
  }
}

follow();
