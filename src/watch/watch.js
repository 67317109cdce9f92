// Keeps the page as the server's events say. The server draws; this puts the parts in place.
"use strict";
const live = document.getElementById("live");
const known = new Map();   // the markup of each part, as it came
const opened = new Map();  // what the reader opened or closed, by key

document.addEventListener("click", event => {
  const details = event.target.closest("summary")?.parentElement;
  if (details?.dataset.key) opened.set(details.dataset.key, !details.open);
});

function put(section, html) {
  if (known.get(section.id) === html) return;
  known.set(section.id, html);
  section.innerHTML = html;
  section.querySelectorAll("details[data-key]").forEach(details => {
    const open = opened.get(details.dataset.key);
    if (open !== undefined) details.open = open;
  });
  showReport(section);
}

function apply({order, changed}) {
  order.forEach((id, place) => {
    let section = document.getElementById(id);
    if (!section) {
      section = document.createElement("section");
      section.id = id;
    }
    if (live.children[place] !== section) live.insertBefore(section, live.children[place] || null);
    if (id in changed) put(section, changed[id]);
  });
  while (live.children.length > order.length) live.lastChild.remove();
  tick();
}

function duration(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return s + " s";
  if (s < 3600) return Math.floor(s / 60) + " min " + s % 60 + " s";
  return Math.floor(s / 3600) + " h " + Math.floor(s % 3600 / 60) + " min";
}

function tick() {
  document.querySelectorAll("[data-ends]").forEach(time => {
    time.textContent = duration(time.dataset.ends - Date.now() / 1000);
  });
}
setInterval(tick, 1000);

function say(text) {
  document.querySelector(".lost")?.remove();
  if (!text) return;
  const line = document.createElement("p");
  line.className = "lost";
  line.setAttribute("role", "status");
  line.textContent = text;
  document.body.prepend(line);
}

const events = new EventSource("/events/" + live.dataset.version);
events.onopen = () => say("");
events.onmessage = event => apply(JSON.parse(event.data));
events.onerror = () => say("Nobody answers at this address any more: this is what was said last.");
events.addEventListener("end", () => {
  events.close();
  say("The program has ended: this is how things stood then.");
});
