// The server's answers, and what it refuses: a message for a person, and maybe how the text might be written.
export class Refused extends Error {
  constructor(problem) {
    super(problem.message);
    this.suggestion = problem.suggestion ?? null;
  }
}

export async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Refused({ message: "The server does not answer; is steno still running? Nothing was saved." });
  }
  if (response.ok) return response;
  const body = await response.json().catch(() => null);
  throw new Refused(body?.error ?? { message: `The server answered ${response.status}.` });
}

// Gives a player a recording, and returns it; null if it is no longer wanted when it has come.
export async function load(player, path, wanted = () => true) {
  const blob = await (await ask(path)).blob();
  if (!wanted()) return null;
  if (player.dataset.url) URL.revokeObjectURL(player.dataset.url);
  player.dataset.url = player.src = URL.createObjectURL(blob);
  return blob;
}
