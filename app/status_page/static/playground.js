// A prompt, its answer as it streams, and how long what took. What the model writes is only ever shown as text.
"use strict";

(() => {
  const form = document.getElementById("try");
  if (form === null) return;  // the session's key may not ask the model
  const answer = document.getElementById("answer"), state = document.getElementById("try-state");
  const send = form.querySelector("[type=submit]"), stop = document.getElementById("stop");
  let running = null;

  function milliseconds(value) {
    if (!Number.isFinite(value)) return "–";
    return value < 1000 ? `${value.toFixed(value < 10 ? 1 : 0)} ms` : `${(value / 1000).toFixed(2)} s`;
  }

  function showTimings({ began, first, last, pieces, tokens }) {
    const made = tokens ?? pieces, gap = made > 1 ? (last - first) / (made - 1) : NaN;
    const texts = {
      first: milliseconds(first - began), gap: milliseconds(gap), tokens: made ? String(made) : "–",
      speed: gap > 0 ? (1000 / gap).toFixed(1) : "–", total: milliseconds((last ?? performance.now()) - began),
    };
    for (const [name, text] of Object.entries(texts)) form.querySelector(`[data-timing="${name}"]`).textContent = text;
  }

  function addText(text, isThought) {
    const follows = answer.scrollHeight - answer.scrollTop - answer.clientHeight < 30;
    const name = isThought ? "thought" : "said";
    let place = answer.lastElementChild;
    if (place?.className !== name) {
      place = document.createElement("span");
      place.className = name;
      answer.append(place);
    }
    place.append(text);
    if (follows) answer.scrollTop = answer.scrollHeight;
  }

  function take(event, run) {
    if (event.error) throw new Error(event.error.message ?? "The answer broke off.");
    if (event.usage) run.tokens = event.usage.completion_tokens;
    const delta = event.choices?.[0]?.delta ?? {};
    const thought = delta.reasoning_content ?? delta.reasoning;
    if (!delta.content && !thought) return;
    run.last = performance.now();
    run.first ??= run.last;
    run.pieces += 1;
    if (thought) addText(thought, true);
    if (delta.content) addText(delta.content, false);
  }

  async function read(body, run) {
    // Not through a TextDecoderStream: what waits in it is lost when the stream breaks, and with it the reason.
    const reader = body.getReader(), decoder = new TextDecoder();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const lines = (rest + decoder.decode(value, { stream: true })).split(/\r?\n/);
      rest = lines.pop();
      for (const line of lines) {
        if (line.startsWith("data:") && line.slice(5).trim() !== "[DONE]") take(JSON.parse(line.slice(5)), run);
      }
      showTimings(run);
    }
  }

  function request(fields) {
    return {
      model: fields.get("model"), stream: true, stream_options: { include_usage: true },
      messages: [{ role: "user", content: fields.get("prompt") }],
      max_tokens: Number(fields.get("max_tokens")), temperature: Number(fields.get("temperature")),
    };
  }

  async function tryModel(event) {
    event.preventDefault();
    running = new AbortController();
    const run = { began: performance.now(), pieces: 0 };
    setRunning(true);
    answer.replaceChildren();
    state.textContent = "Waiting for the first token …";
    try {
      const reply = await fetch(form.action, {
        method: "POST", signal: running.signal,
        headers: { "Content-Type": "application/json", "X-CSRF-Token": form.dataset.token },
        body: JSON.stringify(request(new FormData(form))),
      });
      if (!reply.ok) throw new Error((await reply.json()).error.message);
      state.textContent = "Streaming …";
      await read(reply.body, run);
      state.textContent = `Done. Request ${reply.headers.get("X-Request-Id")}`;
    } catch (error) {
      running.abort();  // where only we give up, the model would go on
      state.textContent = sentenceOf(error);
    }
    showTimings(run);
    setRunning(false);
  }

  function sentenceOf(error) {
    if (error.name === "AbortError") return "Stopped; the model has been told.";
    if (error instanceof SyntaxError) return "The answer cannot be read.";
    return error instanceof TypeError ? "The connection to the gateway was lost." : error.message;
  }

  function setRunning(isRunning) {
    send.disabled = isRunning;
    stop.disabled = !isRunning;
    answer.setAttribute("aria-busy", String(isRunning));
  }

  form.addEventListener("submit", tryModel);
  stop.addEventListener("click", () => running.abort());
  document.getElementById("prompt").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !send.disabled) form.requestSubmit();
  });
})();
