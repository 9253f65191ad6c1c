// The server's API, and the key that it may want. The key stays in this tab.
const STORE = "steno-key";

export class ApiError extends Error {
  constructor(status, message, retryAfter) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

export const key = {
  get: () => sessionStorage.getItem(STORE) ?? "",
  set: (value) => sessionStorage.setItem(STORE, value),
};

const headers = () => (key.get() ? { authorization: `Bearer ${key.get()}` } : {});

async function checked(response) {
  if (response.ok) return response;
  const body = await response.json().catch(() => null);
  throw new ApiError(response.status, body?.error?.message ?? `The server answered ${response.status}.`, response.headers.get("retry-after"));
}

export async function models() {
  const response = await checked(await fetch("/v1/models", { headers: headers() }));
  return (await response.json()).data;
}

export async function transcribe(file, model) {
  const form = new FormData();
  form.append("file", file);
  form.append("model", model);
  form.append("response_format", "verbose_json");
  form.append("timestamp_granularities[]", "word");
  form.append("timestamp_granularities[]", "segment");
  const response = await checked(await fetch("/v1/audio/transcriptions", { method: "POST", headers: headers(), body: form }));
  return response.json();
}

// A live stream: `heard` is told each event; `done` settles when the stream has ended.
export class Live {
  constructor(sampleRate, heard) {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const configuration = { type: "config", encoding: "pcm16", sample_rate: sampleRate };
    if (key.get()) configuration.key = key.get();
    this.socket = new WebSocket(`${scheme}://${location.host}/v1/stream`, ["steno.v1"]);
    this.socket.binaryType = "arraybuffer";
    this.waiting = [];
    this.done = new Promise((resolve, reject) => {
      let problem = null;
      let ended = false;
      this.socket.onopen = () => {
        this.socket.send(JSON.stringify(configuration));
        for (const message of this.waiting.splice(0)) this.socket.send(message);
      };
      this.socket.onmessage = ({ data }) => {
        const said = JSON.parse(data);
        if (said.type === "error") problem = new ApiError(said.error.code === "invalid_api_key" ? 401 : 400, said.error.message);
        else if (said.type === "done") ended = true;
        else heard(said);
      };
      this.socket.onclose = async ({ code }) => {
        if (ended) resolve();
        else reject(problem ?? new ApiError(0, await reason(code)));
      };
    });
  }

  send(message) {
    if (this.socket.readyState === WebSocket.CONNECTING) this.waiting.push(message);
    else if (this.socket.readyState === WebSocket.OPEN) this.socket.send(message);
  }

  finish() {
    this.send(JSON.stringify({ type: "finish" }));
  }
}

// A browser does not say why a handshake was refused; ask what the server says of itself.
async function reason(code) {
  try {
    await checked(await fetch("/readyz"));
  } catch (problem) {
    return problem instanceof ApiError ? problem.message : "The server does not answer.";
  }
  return code === 1006 ? "The server took no more streams. Try again in a moment." : "The connection was lost.";
}
