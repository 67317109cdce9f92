// The trust report of a judge: what its evaluation says, drawn from eval.json.
"use strict";
const gavelTrust = (() => {
const shares = {
  agreement: "Right", accuracy: "Right", agreement_balanced: "Right, balanced by length", consistency: "Same verdict in both orders",
  tpr: "Good answers that pass", tnr: "Bad answers that fail", bias_first: "Leans to the first", bias_second: "Leans to the second",
  unparsable: "Unreadable", ece: "Off in its percentages", ece_calibrated: "The same, calibrated"};
const numbers = {kappa: "Kappa (beyond chance)", weighted_kappa: "Weighted kappa", spearman: "Rank correlation",
  "total.spearman": "Rank correlation of the total", mae: "Mean error", "total.mae": "Mean error of the total"};
const shown = {
  pair: ["agreement", "agreement_balanced", "consistency", "kappa", "bias_first", "bias_second", "unparsable", "ece", "ece_calibrated"],
  rank: ["agreement", "agreement_balanced", "kappa", "ece", "ece_calibrated"],
  score: ["agreement", "weighted_kappa", "spearman", "mae", "unparsable", "ece", "ece_calibrated"],
  pass: ["accuracy", "tpr", "tnr", "kappa", "unparsable", "ece", "ece_calibrated"],
  criteria: ["agreement", "weighted_kappa", "total.spearman", "total.mae", "unparsable", "ece", "ece_calibrated"]};

const isNumber = v => typeof v === "number" && isFinite(v);
const of = entry => isNumber(entry) ? {value: entry} : entry && isNumber(entry.value) ? entry : null;
const pct = v => (100 * v).toFixed(1) + "%";

function element(name, text, className) {
  const e = document.createElement(name);
  if (text != null) e.textContent = text;
  if (className) e.className = className;
  return e;
}

function drawn(name, attributes, text) {
  const e = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) e.setAttribute(key, value);
  if (text != null) e.textContent = text;
  return e;
}

function interval(m, text) {
  return text(m.value) + (isNumber(m.low) && isNumber(m.high) ? " [" + text(m.low) + ", " + text(m.high) + "]" : "");
}

// A bar from 0 to 1 with the interval as a darker part and the value as a line.
function intervalBar(m) {
  const svg = drawn("svg", {viewBox: "0 0 100 10", preserveAspectRatio: "none", class: "interval", "aria-hidden": "true"});
  const at = v => Math.min(100, Math.max(0, 100 * v));
  svg.append(drawn("rect", {x: 0, y: 3, width: 100, height: 4, class: "track"}));
  if (isNumber(m.low) && isNumber(m.high))
    svg.append(drawn("rect", {x: at(m.low), y: 1, width: Math.max(at(m.high) - at(m.low), 0.5), height: 8, class: "range"}));
  svg.append(drawn("rect", {x: Math.min(at(m.value), 99), y: 0, width: 1, height: 10, class: "value"}));
  return svg;
}

function measures(e) {
  const table = element("table"), head = element("tr");
  const base = e.base && e.base.metrics;
  for (const name of ["Measure", "", "This judge", ...(base ? ["Base model"] : [])]) head.append(element("th", name));
  table.append(head);
  for (const name of shown[e.form] || shown.pair) {
    const m = of(e.judge.metrics[name]);
    if (!m) continue;
    const share = name in shares, text = share ? pct : v => v.toFixed(2);
    const row = element("tr"), bar = element("td", null, "bars");
    if (share) bar.append(intervalBar(m));
    row.append(element("th", shares[name] || numbers[name] || name), bar, element("td", interval(m, text), "n"));
    if (base) row.append(element("td", of(base[name]) ? text(of(base[name]).value) : "", "n"));
    table.append(row);
  }
  return wide(table);
}

function wide(table) {
  const box = element("div", null, "wide");
  box.tabIndex = 0;
  box.append(table);
  return box;
}

// What a person should know before believing the judge.
function warnings(e) {
  const m = name => of(e.judge.metrics[name]), b = e.baselines || {}, list = [];
  const right = m("agreement") || m("accuracy");
  const low = right && (isNumber(right.low) ? right.low : right.value);
  const majority = of(b.majority), longer = of(b.always_longer);
  if (right && majority && low <= majority.value)
    list.push("It is not shown to be right more often than always the most frequent label (" + pct(majority.value) + ").");
  if (m("agreement_no_tie") && longer && (m("agreement_no_tie").low ?? 0) <= longer.value)
    list.push("It is not shown to be better than always the longer answer (" + pct(longer.value) + ").");
  if (m("consistency") && m("consistency").value < 0.8)
    list.push("In " + pct(1 - m("consistency").value) + " of the pairs its verdict depends on which answer stands first: judge in both orders.");
  const off = m("ece_calibrated") || m("ece");
  if (off && off.value > 0.1) list.push("Its percentages are off by " + pct(off.value) + " in the mean: do not take them at their word.");
  if (isNumber(e.examples) && e.examples < 100) list.push("Only " + e.examples + " examples were judged: the intervals are wide.");
  if (e.people && of(e.people.against_others))
    list.push("People agree with the majority of the others on " + pct(of(e.people.against_others).value) + ": no judge can be much better.");
  return list;
}

// How right it is on the share that it is the surest of.
function coverage(points) {
  const w = 320, h = 170, left = 40, bottom = 28, top = 8, right = 10;
  const x = v => left + v * (w - left - right), y = v => top + (1 - v) * (h - top - bottom);
  const svg = drawn("svg", {viewBox: "0 0 " + w + " " + h, class: "chart", role: "img",
    "aria-label": "Share of right verdicts among the surest: " + points.map(p => pct(p.coverage) + " surest, " + pct(p.accuracy) + " right").join("; ")});
  for (const v of [0, 0.5, 1]) {
    svg.append(drawn("line", {x1: left, x2: w - right, y1: y(v), y2: y(v), class: "grid"}),
      drawn("text", {x: left - 6, y: y(v) + 4, "text-anchor": "end"}, 100 * v + "%"),
      drawn("text", {x: x(v), y: h - 10, "text-anchor": v === 0 ? "start" : v === 1 ? "end" : "middle"}, v === 0 ? "surest" : v === 1 ? "all" : "half"));
  }
  svg.append(drawn("polyline", {class: "line", points: points.map(p => x(p.coverage) + "," + y(p.accuracy)).join(" ")}));
  for (const p of points) svg.append(drawn("circle", {cx: x(p.coverage), cy: y(p.accuracy), r: 2.5, class: "dot"}));
  return svg;
}

function probes(judge) {
  const table = element("table"), head = element("tr");
  const rises = judge.probes.some(p => "raised" in p);
  for (const name of [rises ? "An answer that" : "The worse answer", "Asked", rises ? "Raised" : "Verdict turned"]) head.append(element("th", name));
  table.append(head);
  for (const p of judge.probes) {
    const row = element("tr"), rate = of(p.rate);
    row.append(element("th", p.what || p.probe), element("td", String(p.pairs ?? p.answers), "n"), element("td", rate ? interval(rate, pct) : "", "n"));
    table.append(row);
  }
  return wide(table);
}

// Fills `box` with the report.
function show(box, e) {
  box.replaceChildren();
  const level = e.bootstrap && isNumber(e.bootstrap.level) ? Math.round(100 * e.bootstrap.level) + "% intervals in brackets" : "";
  box.append(element("p", "Measured by gavel eval on " + e.examples + (["score", "pass", "criteria"].includes(e.form) ? " answers" : " pairs") +
    " of " + (e.data || "its data").split("/").slice(-2).join("/") + ", mode " + e.mode + "; " + level + ".", "muted small"));
  const list = warnings(e);
  if (list.length) {
    const ul = element("ul", null, "warnings");
    ul.append(...list.map(text => element("li", text)));
    box.append(ul);
  }
  const two = element("div", null, "two report");
  two.append(measures(e));
  if (Array.isArray(e.judge.coverage) && e.judge.coverage.length > 1) {
    const part = element("div");
    part.append(element("h3", "Right, where it is the surest"), coverage(e.judge.coverage));
    const sure = e.judge.sure, error = sure && of(sure.error);
    if (sure) part.append(element("p", sure.pairs + " of " + e.examples + " are sure enough for at most " + pct(sure.max_error) +
      " errors" + (error ? "; " + interval(error, pct) + " of them are wrong." : "."), "small"));
    two.append(part);
  }
  box.append(two);
  if (Array.isArray(e.judge.probes) && e.judge.probes.length) box.append(element("h3", "Dressed up"), probes(e.judge));
  const words = e.judge.paraphrases && of(e.judge.paraphrases.same_by_all);
  if (words) box.append(element("p", "Under other words of the template it says the same on " + interval(words, pct) + ".", "small"));
}

return {show};
})();
