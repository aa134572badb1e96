// The gateway's stream, followed through whatever happens to the connection.

const SILENCE_MS = 6000; // the gateway says something four times a second
const LONGEST_WAIT_MS = 5000;

/**
 * Follows `/v1/live`. `on.event(name, data)`, `on.state(state, detail)`.
 *
 * States: connecting, live, lost (detail: seconds until the next try), refused (a token is
 * wanted), full (detail: what the gateway said), wrong (detail: what is wrong with the request).
 */
export class Stream {
  constructor(on) {
    this.on = on;
    this.abort = null;
    this.query = "";
    this.tries = 0;
    /** Wait no longer for the next try. */
    this.retry = () => {};
  }

  /** Follow with other filters, from now on. */
  open(query) {
    this.query = query;
    this.tries = 0;
    this.close();
    this.abort = new AbortController();
    this.follow(this.abort.signal);
  }

  close() {
    this.abort?.abort();
    this.abort = null;
  }

  async follow(signal) {
    while (!signal.aborted) {
      const state = await this.read(signal);
      if (signal.aborted || state === "refused" || state === "wrong") return;
      const wait = Math.min(LONGEST_WAIT_MS, 500 * 2 ** this.tries++);
      if (state !== "full") this.on.state("lost", wait / 1000);
      await new Promise((done) => {
        this.retry = done;
        setTimeout(done, state === "full" ? LONGEST_WAIT_MS : wait);
      });
    }
  }

  /** Read until the stream ends; return why. */
  async read(signal) {
    const silence = new AbortController();
    let timer;
    const heard = () => {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE_MS);
    };
    heard();
    try {
      const response = await fetch(`/v1/live${this.query}`, {
        signal: AbortSignal.any([signal, silence.signal]),
        cache: "no-store",
      });
      if (!response.ok) return await this.refusal(response);
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return "lost";
        heard();
        const parts = (text + value).split("\n\n");
        text = parts.pop();
        parts.forEach((part) => this.take(part));
      }
    } catch {
      return "lost";
    } finally {
      clearTimeout(timer);
    }
  }

  async refusal(response) {
    const said = await response.json().catch(() => ({}));
    const state = { 400: "wrong", 401: "refused", 429: "full" }[response.status] ?? "lost";
    if (state !== "lost") this.on.state(state, said.error ?? response.statusText);
    return state;
  }

  take(part) {
    const match = /^event: (\w+)\ndata: (.*)$/s.exec(part);
    if (!match) return;
    if (this.tries || match[1] === "hello") {
      this.tries = 0;
      this.on.state("live", null);
    }
    this.on.event(match[1], JSON.parse(match[2]));
  }
}
