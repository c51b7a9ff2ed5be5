// Shows what changed while somebody is looking. Without it, every page works and is as fresh as its last reload.
const busy = () => document.querySelector("[data-live][data-busy]");

async function refresh() {
  if (document.hidden) return;
  const reply = await fetch(location.href).catch(() => null);
  if (!reply?.ok) return;
  const fresh = new DOMParser().parseFromString(await reply.text(), "text/html");
  for (const part of document.querySelectorAll("[data-live]")) {
    const other = fresh.getElementById(part.id);
    if (!other) continue;
    part.toggleAttribute("data-busy", other.hasAttribute("data-busy"));
    if (part.contains(document.activeElement) || other.innerHTML === part.innerHTML) continue;
    part.innerHTML = other.innerHTML;
  }
}

// Forms that only read are sent once the page is open, so that the page itself never waits.
async function sendReadingForms() {
  const forms = [...document.querySelectorAll("form[data-auto]")];
  if (!forms.length) return;
  await Promise.all(forms.map((form) =>
    fetch(form.action, {method: "POST", body: new URLSearchParams(new FormData(form))}).catch(() => null)));
  await refresh();
}

// A page with work in progress is told of changes; other busy pages ask every second.
function follow() {
  const events = document.querySelector("[data-events]")?.dataset.events;
  if (!events) {
    setInterval(() => { if (busy()) refresh(); }, 1000);
    return;
  }
  let source, waiting;
  const open = () => {
    if (source || document.hidden || !busy()) return;
    source = new EventSource(events);
    source.onmessage = () => { waiting ??= setTimeout(async () => { waiting = null; await refresh(); if (!busy()) close(); }, 700); };
  };
  const close = () => { source?.close(); source = null; };
  document.addEventListener("visibilitychange", () => document.hidden ? close() : (refresh(), open()));
  addEventListener("pagehide", close);
  open();
}

// "/" goes to the search field.
addEventListener("keydown", (event) => {
  const field = document.querySelector("[data-search]");
  const typing = event.target.closest?.("input, textarea, select");
  if (event.key === "/" && field && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    field.focus();
  }
});

// One box selects all rows of its form.
for (const box of document.querySelectorAll("[data-select-all]")) {
  box.hidden = false;
  box.addEventListener("change", () => {
    for (const other of box.closest("form").querySelectorAll("input[type=checkbox][name=row]")) other.checked = box.checked;
  });
}

sendReadingForms();
follow();
