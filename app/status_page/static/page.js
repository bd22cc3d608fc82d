// Keeps an open page up to date, while somebody can see it.
"use strict";

(() => {
  const PAUSE_MS = 3000, TABLES_EVERY = 5;
  const main = document.getElementById("main");
  const connection = document.getElementById("connection");
  let turns = 0, timer = null, isAsking = false, hasEnded = false;

  function setText(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }

  function showNumbers(numbers) {
    for (const place of document.querySelectorAll("[data-number]")) {
      const text = numbers[place.dataset.number];
      if (text !== undefined) setText(place, text);
    }
  }

  function showState({ level, text }) {
    const place = document.getElementById("state");
    setText(place, text);
    place.dataset.level = level;
    document.title = `${text} – vLLM gateway`;
  }

  function cellOf(text, kind) {
    const cell = document.createElement("td");
    cell.className = kind;
    cell.textContent = text;
    if (kind === "state") cell.dataset.state = text;
    return cell;
  }

  function showTable(name, { rows, note }) {
    const table = document.querySelector(`[data-table="${name}"]`);
    const kinds = [...table.querySelectorAll("th")].map((heading) => heading.dataset.kind);
    const lines = rows.map((row) => {
      const line = document.createElement("tr");
      line.append(...row.map((text, nth) => cellOf(text, kinds[nth])));
      return line;
    });
    table.tBodies[0].replaceChildren(...lines);
    const place = document.querySelector(`[data-note="${name}"]`);
    setText(place, note);
    place.hidden = !note;
  }

  function show(told) {
    showState(told.state);
    showNumbers(told.numbers);
    gatewayCharts.add(told);
    for (const [name, table] of Object.entries(told.tables ?? {})) showTable(name, table);
    connection.hidden = true;
  }

  function endSession() {
    hasEnded = true;
    const link = document.createElement("a");
    link.href = "/admin/";
    link.textContent = "Log in again";
    connection.replaceChildren("The session has ended. ", link);
    connection.hidden = false;
  }

  async function ask() {
    if (isAsking || hasEnded) return;
    isAsking = true;
    clearTimeout(timer);
    const wish = new URLSearchParams({ since: gatewayCharts.lastStep() });
    if (turns++ % TABLES_EVERY === 0) wish.set("tables", "1");
    try {
      const answer = await fetch(`${main.dataset.poll}?${wish}`, { cache: "no-store", signal: AbortSignal.timeout(10000) });
      if (answer.status === 401) endSession();
      else if (answer.ok) show(await answer.json());
      else throw new Error(answer.status);
    } catch {
      connection.textContent = "No connection to the gateway; trying again.";
      connection.hidden = false;
    }
    isAsking = false;
    if (!document.hidden) timer = setTimeout(ask, PAUSE_MS);
  }

  async function reload(event) {
    event.preventDefault();
    const button = event.target.querySelector("button"), result = document.getElementById("reload-result");
    button.disabled = true;
    result.textContent = "Reading …";
    try {
      const answer = await fetch(event.target.action, { method: "POST", headers: { "X-CSRF-Token": main.dataset.token } });
      const told = await answer.json();
      result.textContent = answer.ok ? told.notice : told.error.message;
      if (answer.status === 401) endSession();
    } catch {
      result.textContent = "No connection to the gateway.";
    }
    button.disabled = false;
    turns = 0;
    ask();
  }

  document.getElementById("reload").addEventListener("submit", reload);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) clearTimeout(timer);
    else ask();
  });
  ask();
})();
