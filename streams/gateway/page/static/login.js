// A token is exchanged for a cookie that no script can read.

import { byId, setText } from "./dom.js";

/** Bind the form; `done()` is called when the gateway took a token. */
export function login(done) {
  byId("login").addEventListener("submit", async (event) => {
    event.preventDefault();
    const wrong = await exchange(byId("token").value.trim());
    setText(byId("login-error"), wrong);
    if (wrong) return;
    byId("login").reset();
    done();
  });
}

/** Return what went wrong. */
async function exchange(token) {
  try {
    const headers = { Authorization: `Bearer ${token}` };
    const { ok, status } = await fetch("/v1/session", { method: "POST", headers });
    if (ok) return "";
    return status === 401 ? "That is none of its tokens." : `The gateway answered ${status}.`;
  } catch {
    return "The gateway does not answer.";
  }
}
