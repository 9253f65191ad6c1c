// Captions: words as they are shown, and as SRT, VTT and plain text.
const LINE_LETTERS = 42;
const LINES = 2;
const CUE_SECONDS = 6;
const GAP_SECONDS = 1;

export class Captions {
  constructor(box, partial, seek) {
    this.box = box;
    this.partial = partial;
    this.seek = seek;
    this.clear();
  }

  clear() {
    this.utterances = [];
    this.buttons = [];
    this.box.replaceChildren();
    this.partial.textContent = "";
  }

  get empty() {
    return !this.utterances.some((words) => words.length);
  }

  hint(text) {
    this.partial.textContent = text;
  }

  add(words) {
    this.partial.textContent = "";
    if (!words.length) return;
    this.utterances.push(words);
    const paragraph = document.createElement("p");
    for (const word of words) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "word";
      button.textContent = word.word;
      const sure = word.confidence ?? 1;
      button.dataset.doubt = sure < 0.5 ? 2 : sure < 0.8 ? 1 : 0;
      button.title = `${clock(word.start, ".")}, ${Math.round(100 * sure)} % sure`;
      button.addEventListener("click", () => this.seek(word.start));
      this.buttons.push({ button, word });
      paragraph.append(button, " ");
    }
    this.box.append(paragraph);
  }

  at(seconds) {
    for (const { button, word } of this.buttons) {
      if (seconds >= word.start && seconds < word.end) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
  }

  text(format) {
    if (format === "txt") return this.utterances.map(line).join("\n") + "\n";
    const cues = this.utterances.flatMap(cut);
    const mark = format === "srt" ? "," : ".";
    const blocks = cues.map((words, i) => {
      const times = `${clock(words[0].start, mark)} --> ${clock(words.at(-1).end, mark)}`;
      return `${format === "srt" ? `${i + 1}\n` : ""}${times}\n${wrap(words)}\n`;
    });
    return (format === "vtt" ? "WEBVTT\n\n" : "") + blocks.join("\n");
  }
}

const line = (words) => words.map((word) => word.word).join(" ");

// An utterance into cues that fit two lines and a few seconds.
function cut(words) {
  const cues = [];
  let cue = [];
  for (const word of words) {
    const full = cue.length && (wrap([...cue, word]).split("\n").length > LINES || word.end - cue[0].start > CUE_SECONDS || word.start - cue.at(-1).end > GAP_SECONDS);
    if (full) {
      cues.push(cue);
      cue = [];
    }
    cue.push(word);
  }
  return cue.length ? [...cues, cue] : cues;
}

function wrap(words) {
  const lines = [""];
  for (const { word } of words) {
    const last = lines.at(-1);
    if (!last) lines[lines.length - 1] = word;
    else if (last.length + 1 + word.length <= LINE_LETTERS) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines.join("\n");
}

export function clock(seconds, mark) {
  const total = Math.round(seconds * 1000);
  const part = (value, digits = 2) => String(value).padStart(digits, "0");
  return `${part(Math.floor(total / 3600000))}:${part(Math.floor(total / 60000) % 60)}:${part(Math.floor(total / 1000) % 60)}${mark}${part(total % 1000, 3)}`;
}
