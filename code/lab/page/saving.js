// Finished trials stay in the browser until the server has written them.

class AnotherWindowError extends Error {}

// Sends JSON and returns the answer; throws an Error that says what is wrong.
export async function post(path, message) {
  let response;
  try {
    response = await fetch(path, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(message),
    });
  } catch {
    throw new Error("the server does not answer: start it again with the same command");
  }
  const answer = await response.json();
  if (response.status === 409) throw new AnotherWindowError(answer.error);
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

export class Outbox {
  // study: its id. identity: subject and token. They go with every trial.
  constructor(study, identity) {
    this.key = `lab ${study} ${identity.subject}`;
    this.identity = { study, ...identity };
    this.waiting = JSON.parse(localStorage.getItem(this.key) ?? "[]");
    this.problem = "";
    this.sending = null;
  }

  #keep() { localStorage.setItem(this.key, JSON.stringify(this.waiting)); }

  add(record) {
    this.waiting.push(record);
    this.#keep();
    this.send();
  }

  // Sends what waits, in order; what fails stays, with the reason in `problem`.
  send() {
    this.sending ??= this.#sendAll().finally(() => { this.sending = null; });
    return this.sending;
  }

  async #sendAll() {
    try {
      while (this.waiting.length) {
        await post("/trial", { ...this.waiting[0], ...this.identity });
        this.waiting.shift();
        this.#keep();
      }
      this.problem = "";
    } catch (error) {
      this.problem = error.message;
      this.lost = error instanceof AnotherWindowError;
    }
  }
}
