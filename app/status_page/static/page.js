// Keeps an open page up to date, while somebody can see it.
"use strict";

(() => {
  const PAUSE_MS = 3000, TABLES_EVERY = 5;
  const main = document.getElementById("main");
  const connection = document.getElementById("connection");
  let turns = 0, timer = null, isAsking = false, hasEnded = false;
  let isStale = false;  // what the page holds of things that hardly ever change

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
    isStale ||= place.textContent !== text;
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
    isStale ||= "tables" in told && told.state.level === "good" && document.querySelector("[data-unknown]") !== null;
  }

  // What hardly ever changes (models, phases, where keys are from) is only in the page, so a newer one is asked for it.
  async function renewFacts() {
    const answer = await fetch("/admin/", { cache: "no-store", signal: AbortSignal.timeout(10000) });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const place of document.querySelectorAll("[data-fact]")) {
      const fresh = page.querySelector(`[data-fact="${place.dataset.fact}"]`);
      if (fresh && fresh.innerHTML !== place.innerHTML) place.replaceChildren(...fresh.childNodes);
    }
    isStale = false;
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
      if (isStale && !hasEnded) await renewFacts();
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
    isStale = true;
    ask();
  }

  document.getElementById("reload").addEventListener("submit", reload);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) clearTimeout(timer);
    else ask();
  });
  ask();
})();
