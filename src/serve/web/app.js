// The page's script. Texts of users and models reach the document through textContent only.
"use strict";
(() => {
const $ = id => document.getElementById(id);
const texts = {question: $("question"), answer: $("answer-a"), answer_a: $("answer-a"), answer_b: $("answer-b"),
  rubric: $("rubric"), reference: $("reference")};
const namesOf = {pairs: ["question", "answer_a", "answer_b", "rubric", "reference"], answers: ["question", "answer", "rubric", "reference"]};
const forms = {}, evaluated = {};  // of the models: what each judges, and whether it has a trust report
const kHistory = "gavel.history", kMostHistory = 100, kAtOnce = 4, kMostLines = 10000;
const names = {A: "Answer A is better", B: "Answer B is better", tie: "A tie", none: "No readable verdict"};
let running = null;  // AbortController of what is being judged

// --- the server ----------------------------------------------------------------------------------

const headers = () => {
  const key = $("key").value;
  return key ? {"Content-Type": "application/json", "Authorization": "Bearer " + key}
             : {"Content-Type": "application/json"};
};

async function failure(response) {
  if (response.status === 401) $("key-row").hidden = false;
  let message = "";
  try { message = (await response.json()).error.message; } catch (e) { /* not the server's own */ }
  return new Error(message || "The server answered " + response.status + ".");
}

async function judge(request, signal, onDelta) {
  const response = await fetch("v1/judge", {method: "POST", headers: headers(), signal,
    body: JSON.stringify({...request, stream: true})});
  if (!response.ok) throw await failure(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let pending = "", result = null;
  for (;;) {
    const {value, done} = await reader.read();
    if (done) break;
    pending += value;
    const events = pending.split("\n\n");
    pending = events.pop();
    for (const event of events) {
      if (!event.startsWith("data: ") || event === "data: [DONE]") continue;
      const data = JSON.parse(event.slice(6));
      if (data.error) throw new Error(data.error.message);
      if (data.object === "judgement.delta") onDelta(data);
      else result = data;
    }
  }
  if (!result) throw new Error("The connection ended before the verdict.");
  return result;
}

async function loadModels() {
  const response = await fetch("v1/models", {headers: headers()});
  if (!response.ok) throw await failure(response);
  const chosen = $("model").value || localStorage.getItem("gavel.model");
  const models = (await response.json()).data;
  for (const m of models) { forms[m.id] = m.form; evaluated[m.id] = m.evaluated; }
  $("model").replaceChildren(...models.map(m => new Option(m.id, m.id)));
  if ([...$("model").options].some(o => o.value === chosen)) $("model").value = chosen;
  showForm();
  showTrust();
}

async function showTrust() {
  const model = $("model").value;
  $("trust").hidden = !evaluated[model];
  $("trust-report").replaceChildren();
  if (!evaluated[model]) return;
  const response = await fetch("v1/models/" + encodeURIComponent(model) + "/evaluation", {headers: headers()});
  if (!response.ok) throw await failure(response);
  const evaluation = await response.json();
  if (model === $("model").value) gavelTrust.show($("trust-report"), evaluation);
}

// --- one pair, or one answer ---------------------------------------------------------------------

const ofAnswers = () => ["score", "pass", "criteria"].includes(forms[$("model").value]);
const fieldNames = () => namesOf[ofAnswers() ? "answers" : "pairs"];

function showForm() {
  const one = ofAnswers();
  $("answer-a-name").textContent = one ? "Answer" : "Answer A";
  $("answer-b-box").hidden = $("both-label").hidden = one;
  $("answer-b").required = !one;
}

const percent = p => p == null ? "" : (100 * p).toFixed(0) + "%";
const color = verdict => ["A", "B", "tie", "none"].includes(verdict) ? "is-" + verdict.toLowerCase() : "";
const settings = () => ({model: $("model").value || undefined, mode: $("mode").value,
  both_orders: ofAnswers() ? undefined : $("both").checked});

// What a judgement says, on one line.
function said(r) {
  if (!r.form) return r.verdict;
  const number = n => n == null ? "none" : String(n);
  if (r.form === "pass") return r.verdict;
  if (r.form === "score") return number(r.score);
  return Object.entries(r.scores).map(([name, n]) => name + " " + number(n)).join(", ");
}

// The expectations of scores.
function expectation(r) {
  const mean = n => n.toFixed(2);
  if (r.form === "score" && r.expected != null) return "Expected " + mean(r.expected) + ".";
  if (r.form !== "criteria" || r.total == null) return "";
  const known = Object.entries(r.expected).filter(([, n]) => n != null);
  return "Weighted " + mean(r.total) + (known.length ? "; expected " +
    known.map(([name, n]) => name + " " + mean(n)).join(", ") : "") + ".";
}

function showError(error) {
  $("error").hidden = !error;
  if (error) $("error").textContent = error.message || String(error);
}

function setRunning(controller) {
  running = controller;
  $("submit").disabled = !!controller;
  $("stop").hidden = !controller;
}

function clearResult(both) {
  $("result").hidden = false;
  $("verdict").textContent = "\u2026";
  $("verdict").className = "";
  $("confidence").textContent = "judging";
  $("bar").style.width = "0";
  $("bar").parentElement.hidden = false;
  $("note").textContent = "";
  $("chances").hidden = true;
  for (const order of ["ab", "ba"]) {
    const box = $("order-" + order);
    box.hidden = order === "ba" && !both;
    box.querySelector(".text").textContent = "";
    box.querySelector(".pill").textContent = "";
  }
}

function showAnswer(r) {
  $("verdict").textContent = said(r) === "none" ? names.none : said(r);
  $("verdict").className = "";
  $("bar").parentElement.className = "bar";
  $("note").textContent = expectation(r);
  $("order-name").textContent = "Explanation";
  $("order-ab").querySelector(".text").textContent = r.explanation;
}

function showPairResult(r) {
  $("order-name").textContent = "In the given order";
  $("verdict").textContent = names[r.verdict];
  $("verdict").className = color(r.verdict);
  $("bar").parentElement.className = "bar " + color(r.verdict);
  const [first, second] = r.orders;
  const readable = second ? [first, second].filter(o => o.verdict !== "none").length : 2;
  $("note").textContent = !second ? "" : readable === 0 ? "No order has a readable verdict."
    : readable === 1 ? "Only one order has a readable verdict." : first.verdict === second.verdict
    ? "The same verdict in both orders." : "The two orders disagree; the verdict is that of both together.";
  for (const order of r.orders) {
    const box = $("order-" + order.order);
    box.querySelector(".text").textContent = order.explanation;
    box.querySelector(".pill").textContent = order.verdict;
    box.querySelector(".pill").className = "pill " + color(order.verdict);
  }
}

// Each label's, or of each part each value's, probability as a bar.
function showChances(r) {
  const rows = [];
  const add = (part, probabilities) => {
    if (!probabilities) return;
    for (const [name, p] of Object.entries(probabilities)) {
      const row = document.createElement("li"), label = document.createElement("span");
      const bar = document.createElement("meter"), number = document.createElement("span");
      label.textContent = (part ? part + " " : "") + name;
      bar.max = 1; bar.value = p; bar.textContent = percent(p);
      number.textContent = (100 * p).toFixed(p > 0 && p < 0.01 ? 1 : 0) + "%";
      row.append(label, bar, number);
      rows.push(row);
    }
  };
  if (r.form === "criteria") for (const [part, p] of Object.entries(r.probabilities || {})) add(part, p);
  else add("", r.probabilities);
  $("chances").replaceChildren(...rows);
  $("chances").hidden = !rows.length;
}

function showResult(r) {
  clearResult(!!r.orders && r.orders.length > 1);
  if (r.form) showAnswer(r); else showPairResult(r);
  showChances(r);
  if (r.needs_a_person) $("note").textContent += " Not sure enough: a person should decide.";
  $("confidence").textContent = r.confidence == null ? "confidence not known"
    : percent(r.confidence) + " sure" + (r.calibrated ? ", calibrated" : ", not calibrated");
  $("bar").style.width = percent(r.confidence) || "0";
  $("bar").parentElement.hidden = r.confidence == null;
}

async function submit() {
  if (running || !$("form").reportValidity()) return;
  const pair = {};
  for (const name of fieldNames()) if (texts[name].value) pair[name] = texts[name].value;
  const request = {...settings(), ...pair};
  const controller = new AbortController();
  setRunning(controller);
  showError(null);
  clearResult(request.both_orders);
  $("result").scrollIntoView({block: "nearest"});
  try {
    const result = await judge(request, controller.signal, delta => {
      $("order-" + (delta.order || "ab")).querySelector(".text").textContent += delta.text;
    });
    showResult(result);
    remember({pair, result});
  } catch (e) {
    $("confidence").textContent = "";
    if (e.name === "AbortError") $("verdict").textContent = "Stopped";
    else { $("result").hidden = true; showError(e); }
  } finally {
    setRunning(null);
  }
}

// --- history -------------------------------------------------------------------------------------

function readHistory() {
  try {
    const list = JSON.parse(localStorage.getItem(kHistory));
    return Array.isArray(list) ? list : [];
  } catch (e) { return []; }
}

function writeHistory(list) {
  // The oldest go where the browser's room is used up.
  for (; list.length; list = list.slice(0, -Math.ceil(list.length / 4))) {
    try { localStorage.setItem(kHistory, JSON.stringify(list)); return; } catch (e) { /* full */ }
  }
  localStorage.removeItem(kHistory);
}

function remember(entry) {
  writeHistory([entry, ...readHistory()].slice(0, kMostHistory));
  showHistory();
}

function rowOf(pair, result, onClick) {
  const row = document.createElement("button"), verdict = document.createElement("b");
  const question = document.createElement("span"), sure = document.createElement("span");
  row.type = "button"; row.className = "row";
  verdict.textContent = said(result); verdict.className = color(result.verdict || "");
  question.className = "q"; question.textContent = gavelRows.asText(pair.question);
  sure.className = "p";
  const apart = result.orders && result.orders.length > 1 && result.orders[0].verdict !== result.orders[1].verdict;
  sure.textContent = (apart ? "orders disagree, " : "") + (result.needs_a_person ? "for a person, " : "") +
    (percent(result.confidence) || "?");
  row.append(verdict, question, sure);
  row.addEventListener("click", onClick);
  const item = document.createElement("li");
  item.append(row);
  return item;
}

function showPair(pair, result) {
  if (running) return;
  for (const name in texts) texts[name].value = "";
  for (const name in texts) if (pair[name]) texts[name].value = gavelRows.asText(pair[name]);
  $("reference-row").open = !!pair.reference;
  $("rubric-row").open = !!pair.rubric;
  showError(null);
  showResult(result);
  scrollTo({top: 0});
}

function showHistory() {
  const list = readHistory();
  $("past").hidden = !list.length;
  $("history").replaceChildren(...list.map(e => rowOf(e.pair, e.result, () => showPair(e.pair, e.result))));
}

// --- a file of pairs or answers ----------------------------------------------------------------------

let batch = {pairs: [], results: []};  // the file that was judged last

// The judged lines, in the file's order or the least sure first.
function listBatch() {
  const done = batch.results.map((result, i) => ({result, pair: batch.pairs[i]})).filter(b => b.result);
  if ($("doubtful").checked) done.sort((x, y) => (x.result.confidence ?? 0) - (y.result.confidence ?? 0));
  $("batch-list").replaceChildren(...done.map(b => rowOf(b.pair, b.result, () => showPair(b.pair, b.result))));
}

function offer(id, name, type, text) {
  URL.revokeObjectURL($(id).href);
  $(id).href = URL.createObjectURL(new Blob([text], {type}));
  $(id).download = name;
}

async function judgeFile(file) {
  if (running || !file) return;
  showError(null);
  let pairs;
  try {
    pairs = gavelRows.parse(await file.text(), fieldNames(), ofAnswers() ? ["question", "answer"] : ["question", "answer_a", "answer_b"]);
    if (!pairs.length) throw new Error("The file has no " + (ofAnswers() ? "answers." : "pairs."));
    if (pairs.length > kMostLines) throw new Error("The page takes " + kMostLines + " lines at most: use gavel judge --input.");
  } catch (e) { return showError(e); }
  const controller = new AbortController(), results = new Array(pairs.length), options = settings();
  setRunning(controller);
  $("batch").hidden = false;
  $("batch-title").textContent = file.name;
  $("batch-list").replaceChildren();
  $("batch-actions").hidden = true;
  $("batch-progress").max = pairs.length;
  batch = {pairs, results};
  let next = 0, done = 0;
  const counts = ofAnswers() ? {} : {A: 0, B: 0, tie: 0, none: 0};
  const summary = () => {
    $("batch-progress").value = done;
    const kMost = 12;  // different verdicts that are counted out loud
    const list = Object.entries(counts).filter(([name, n]) => n || name !== "none").slice(0, kMost);
    const judged = results.filter(Boolean), both = judged.filter(r => r.orders && r.orders.length > 1);
    const apart = both.filter(r => r.orders[0].verdict !== r.orders[1].verdict).length;
    const people = judged.filter(r => r.needs_a_person).length;
    $("batch-summary").textContent = done + " of " + pairs.length + " judged" + (list.length ? ": " : "") +
      list.map(([name, n]) => (name === "none" ? "unreadable" : name) + " " + n).join(", ") +
      (both.length ? "; the orders disagree on " + apart : "") + (people ? "; for a person " + people : "");
  };
  summary();
  $("batch").scrollIntoView({block: "nearest"});
  const worker = async () => {
    while (next < pairs.length && !controller.signal.aborted) {
      const i = next++;
      const result = await judge({...options, ...pairs[i]}, controller.signal, () => {});
      results[i] = result;
      ++done; counts[said(result)] = (counts[said(result)] || 0) + 1;
      if ($("doubtful").checked) listBatch();
      else $("batch-list").append(rowOf(pairs[i], result, () => showPair(pairs[i], result)));
      summary();
    }
  };
  try {
    await Promise.all(Array.from({length: kAtOnce}, worker));
  } catch (e) {
    if (e.name !== "AbortError") showError(e);
    controller.abort();
  } finally {
    const name = file.name.replace(/\.[^.]*$/, "") + ".judged";
    offer("batch-save", name + ".jsonl", "application/jsonl", gavelRows.jsonLines(pairs, results));
    offer("batch-csv", name + ".csv", "text/csv", gavelRows.csv(pairs, results, said));
    $("batch-actions").hidden = !results.some(Boolean);
    setRunning(null);
  }
}

// --- events --------------------------------------------------------------------------------------

$("form").addEventListener("submit", e => { e.preventDefault(); submit(); });
$("stop").addEventListener("click", () => running && running.abort());
addEventListener("keydown", e => {
  if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) { e.preventDefault(); submit(); }
  if (e.key === "Escape" && running) running.abort();
});
$("file-label").addEventListener("keydown", e => {
  if ((e.key === "Enter" && !e.ctrlKey) || e.key === " ") { e.preventDefault(); $("file").click(); }
});
$("file").addEventListener("change", () => { judgeFile($("file").files[0]); $("file").value = ""; });
let inside = 0;  // dragenter and dragleave come for every element
addEventListener("dragenter", e => { e.preventDefault(); ++inside; $("drop").hidden = false; });
addEventListener("dragleave", () => { if (--inside <= 0) { inside = 0; $("drop").hidden = true; } });
addEventListener("dragover", e => e.preventDefault());
addEventListener("drop", e => {
  e.preventDefault();
  inside = 0;
  $("drop").hidden = true;
  judgeFile(e.dataTransfer.files[0]);
});
$("clear").addEventListener("click", () => { localStorage.removeItem(kHistory); showHistory(); });
$("model").addEventListener("change", () => { showForm(); showTrust().catch(showError); });
$("doubtful").addEventListener("change", listBatch);
for (const id of ["model", "mode"])
  $(id).addEventListener("change", () => localStorage.setItem("gavel." + id, $(id).value));
$("both").addEventListener("change", () => localStorage.setItem("gavel.both", $("both").checked));
$("key").addEventListener("change", () => {
  sessionStorage.setItem("gavel.key", $("key").value);
  loadModels().then(() => showError(null)).catch(showError);
});

$("key").value = sessionStorage.getItem("gavel.key") || "";
$("key-row").hidden = !$("key").value;
$("mode").value = localStorage.getItem("gavel.mode") || "reason";
$("both").checked = localStorage.getItem("gavel.both") !== "false";
showHistory();
loadModels().catch(showError);
})();
