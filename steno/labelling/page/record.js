import { ask, load } from "/ask.js";
import { Recorder, loudness } from "/recorder.js";

const find = (id) => document.getElementById(id);
const player = find("player");
const button = find("record");
const MOST_SECONDS = 30;

let prompts = [];
let speaker = "";
let current = 0;
let recorder = null;
let busy = false;
let limit = null;

const path = (number) => `/api/prompts/${number}/take`;

function say(message, wrong = false) {
  find("said").textContent = message;
  find("said").classList.toggle("wrong", wrong);
}

function show() {
  const done = prompts.filter((prompt) => prompt.seconds !== null);
  const seconds = done.reduce((sum, prompt) => sum + prompt.seconds, 0);
  find("progress").textContent = `${done.length} of ${prompts.length} recorded, ${(seconds / 60).toFixed(1)} min, ${speaker}`;
  const rows = prompts.map((prompt, number) => {
    const row = document.createElement("button");
    row.type = "button";
    const state = document.createElement("span");
    state.className = prompt.seconds === null ? "open" : "labelled";
    state.textContent = prompt.seconds === null ? "open" : `${prompt.seconds.toFixed(1)} s`;
    row.append(state, Object.assign(document.createElement("span"), { textContent: prompt.shown }));
    row.setAttribute("aria-current", number === current);
    row.addEventListener("click", () => open(number));
    const item = document.createElement("li");
    item.append(row);
    return item;
  });
  find("list").replaceChildren(...rows);
  find("list").querySelector("[aria-current=true]")?.scrollIntoView({ block: "nearest" });
}

async function open(number) {
  if (recorder || busy) return;
  current = number;
  find("place").textContent = `${number + 1} of ${prompts.length}`;
  find("prompt").textContent = prompts[number].shown;
  find("transcript").textContent = prompts[number].text;
  find("heard").hidden = true;
  say(prompts[number].seconds === null ? "Press Record, read the sentence, press it again." : "This one is recorded. A new recording takes its place.");
  show();
  await offer();
}

// What there is of the sentence, to be heard.
async function offer() {
  const there = prompts[current].seconds !== null;
  player.hidden = find("forget").hidden = !there;
  button.textContent = there ? "Record again" : "Record";
  player.removeAttribute("src");
  if (!there) return;
  try {
    await load(player, path(current));
  } catch (problem) {
    say(problem.message, true);
  }
}

async function start() {
  busy = true;
  say("Wait.");
  player.pause();
  find("heard").hidden = true;
  try {
    recorder = await Recorder.open((_, peak) => (find("level").value = loudness(peak)));
    button.setAttribute("aria-pressed", "true");
    button.textContent = "Stop";
    say("Read now.");
    limit = setTimeout(stop, 1000 * (MOST_SECONDS - 1));
  } catch (problem) {
    const known = { NotAllowedError: "The browser was not allowed to use the microphone.", NotFoundError: "There is no microphone." };
    say(known[problem.name] ?? problem.message, true);
  } finally {
    busy = false;
  }
}

async function stop() {
  if (!recorder || busy) return;
  busy = true;
  clearTimeout(limit);
  const ended = recorder;
  await ended.close();
  recorder = null;
  find("level").value = 0;
  button.setAttribute("aria-pressed", "false");
  say("Listening to it.");
  try {
    const take = await (await ask(path(current), { method: "PUT", body: ended.wav() })).json();
    prompts[current].seconds = take.seconds;
    say(take.warnings.length ? `Kept, but: ${take.warnings.join("; ")}` : "Kept.", take.warnings.length > 0);
    tell(take.heard);
  } catch (problem) {
    say(problem.message, true);
  } finally {
    busy = false;
    show();
    await offer();
  }
}

function tell(heard) {
  find("heard").hidden = heard === null;
  if (heard === null) return;
  const words = heard.flatMap(({ kind, word, instead_of }) => {
    const gone = instead_of !== null && kind !== "correct" ? [Object.assign(document.createElement("del"), { textContent: instead_of })] : [];
    const come = word === null ? [] : [Object.assign(document.createElement(kind === "correct" ? "span" : "ins"), { textContent: word })];
    return [...gone, ...come].flatMap((element) => [element, " "]);
  });
  find("words").replaceChildren(...words);
}

function next() {
  const left = prompts.map((_, number) => number).filter((number) => prompts[number].seconds === null && number !== current);
  const number = left.find((other) => other > current) ?? left[0];
  if (number !== undefined) open(number);
  else if (prompts[current].seconds !== null) say("All sentences are recorded.");
}

button.addEventListener("click", () => (recorder ? stop() : busy || start()));
find("next").addEventListener("click", next);
find("forget").addEventListener("click", async () => {
  if (recorder || busy) return;
  try {
    await ask(path(current), { method: "DELETE" });
    prompts[current].seconds = null;
    await open(current);
  } catch (problem) {
    say(problem.message, true);
  }
});
document.addEventListener("keydown", (event) => {
  if (event.target.closest("audio, #list")) return;
  if (event.key === " ") button.click();
  else if (event.key === "Enter") next();
  else return;
  event.preventDefault();
});
document.addEventListener("keyup", (event) => event.key === " " && event.preventDefault());

async function begin() {
  try {
    ({ prompts, speaker } = await (await ask("/api/session")).json());
    const first = prompts.findIndex((prompt) => prompt.seconds === null);
    await open(Math.max(0, first));
  } catch (problem) {
    say(problem.message, true);
  }
}

begin();
