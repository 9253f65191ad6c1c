import { ApiError, Live, key, models, transcribe } from "/api.js";
import { Captions } from "/captions.js";
import { Recorder, loudness, pcm16 } from "/recorder.js";
import { Spectrogram, decode } from "/spectrogram.js";

const find = (id) => document.getElementById(id);
const player = find("player");
const mic = find("mic");
const spectrogram = new Spectrogram(find("spectrogram"));
const captions = new Captions(find("captions"), find("partial"), seek);
let model = null;
let session = null;
let busy = false;

function say(text, wrong = false) {
  find("status").textContent = text;
  find("status").classList.toggle("wrong", wrong);
}

function seek(seconds) {
  if (player.hidden) return;
  player.currentTime = seconds;
  player.play();
}

function play(blob) {
  if (player.src) URL.revokeObjectURL(player.src);
  player.src = URL.createObjectURL(blob);
  player.hidden = false;
}

function begin() {
  captions.clear();
  player.hidden = true;
  downloads();
}

function downloads() {
  for (const button of document.querySelectorAll("[data-format]")) button.disabled = captions.empty;
}

// ---- the key ----

async function connect() {
  for (;;) {
    try {
      const [first] = await models();
      model = first.id;
      find("model").textContent = `Model ${first.id}, version ${first.version}`;
      return;
    } catch (problem) {
      if (!(problem instanceof ApiError) || problem.status !== 401) {
        say(problem instanceof ApiError ? problem.message : "The server does not answer.", true);
        return;
      }
      await askKey(key.get() ? "That key was not accepted." : "This server wants a key. It stays in this tab.");
    }
  }
}

function askKey(why) {
  const dialog = find("key-dialog");
  find("key-why").textContent = why;
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      key.set(find("key").value.trim());
      resolve();
    }, { once: true });
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    dialog.showModal();
  });
}

// ---- the microphone ----

async function start() {
  mic.disabled = true;
  try {
    if (!model) await connect();
    let live = null;
    const early = [];
    const recorder = await Recorder.open((samples, peak) => {
      find("level").value = loudness(peak);
      if (!live) return early.push(samples);
      spectrogram.push(samples, recorder.sampleRate);
      live.send(pcm16(samples).buffer);
    });
    begin();
    spectrogram.clear();
    live = new Live(recorder.sampleRate, heard);
    for (const samples of early.splice(0)) live.send(pcm16(samples).buffer);
    session = { recorder, live };
    live.done.then(() => ended("Done."), (problem) => ended(problem.message, true, problem.status));
    mic.setAttribute("aria-pressed", "true");
    mic.querySelector("span").textContent = "Stop";
    say("Listening.");
  } catch (problem) {
    const refused = problem.name === "NotAllowedError" ? "The browser was not allowed to use the microphone." : problem.name === "NotFoundError" ? "There is no microphone." : problem.message;
    say(refused, true);
  } finally {
    mic.disabled = false;
  }
}

async function stop() {
  mic.disabled = true;
  say("Finishing.");
  await silence();
  session?.live.finish();
}

async function silence() {
  const recorder = session?.recorder;
  if (!recorder || session.silent) return;
  session.silent = true;
  await recorder.close();
  find("level").value = 0;
  if (recorder.length) play(recorder.wav());
}

function heard(said) {
  if (said.type === "partial") captions.hint(said.text);
  else if (said.type === "final") {
    captions.add(said.words);
    downloads();
  }
}

async function ended(message, wrong = false, status = 0) {
  await silence();
  session = null;
  mic.disabled = false;
  mic.setAttribute("aria-pressed", "false");
  mic.querySelector("span").textContent = "Speak";
  captions.hint("");
  say(message, wrong);
  if (status === 401) await connect();
}

mic.addEventListener("click", () => (session ? stop() : start()));

// ---- files ----

async function open(file) {
  if (busy || session) return say("Wait until the last one is done.", true);
  busy = true;
  begin();
  say(`Transcribing ${file.name}.`);
  play(file);
  decode(file).then((samples) => spectrogram.draw(samples), () => spectrogram.clear());
  try {
    if (!model) await connect();
    const started = performance.now();
    const answer = await transcribe(file, model);
    show(answer);
    const seconds = (performance.now() - started) / 1000;
    say(answer.text ? `${answer.duration.toFixed(1)} s of sound in ${seconds.toFixed(1)} s.` : "No words were heard.");
  } catch (problem) {
    say(problem.message, true);
    if (problem.status === 401) await connect();
  } finally {
    busy = false;
    downloads();
  }
}

function show(answer) {
  for (const segment of answer.segments) {
    captions.add(answer.words.filter((word) => word.start >= segment.start && word.end <= segment.end));
  }
}

find("file").addEventListener("change", (event) => {
  const [file] = event.target.files;
  event.target.value = "";
  if (file) open(file);
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
document.addEventListener("dragleave", () => document.body.classList.remove("dropping"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  const [file] = event.dataTransfer.files;
  if (file) open(file);
});

player.addEventListener("timeupdate", () => captions.at(player.currentTime));

for (const button of document.querySelectorAll("[data-format]")) {
  button.addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([captions.text(button.dataset.format)], { type: "text/plain" }));
    link.download = `captions.${button.dataset.format}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
}

connect();
