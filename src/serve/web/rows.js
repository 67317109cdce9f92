// Files of pairs or answers: JSON Lines or CSV in, verdicts out.
"use strict";
const gavelRows = (() => {

// RFC 4180: fields in quotes may hold separators, line ends and doubled quotes.
function csvRecords(text, separator) {
  const records = [];
  let record = [], field = "", quoted = false, any = false, line = 1, begin = 1;
  const endField = () => { record.push(field); field = ""; };
  const endRecord = () => {
    endField();
    if (any) records.push({fields: record, number: begin});
    record = []; any = false;
  };
  for (let i = 0; i < text.length; ++i) {
    const c = text[i];
    if (c === "\n") ++line;
    if (quoted) {
      if (c !== '"') field += c;
      else if (text[i + 1] === '"') { field += '"'; ++i; }
      else quoted = false;
    } else if (c === '"' && field === "") { quoted = any = true; }
    else if (c === separator) { endField(); any = true; }
    else if (c === "\n") { endRecord(); begin = line; }
    else if (c !== "\r" || text[i + 1] !== "\n") { field += c; any = any || c.trim() !== ""; }
  }
  if (quoted) throw new Error("Line " + begin + ": a quote is not closed.");
  endRecord();
  return records;
}

function csvObjects(text) {
  const head = text.slice(0, (text + "\n").indexOf("\n"));
  const separator = [",", ";", "\t"].reduce((best, s) => head.split(s).length > head.split(best).length ? s : best);
  const [names, ...rows] = csvRecords(text, separator);
  if (!names) return [];
  const columns = names.fields.map(n => n.trim());
  return rows.map(r => {
    if (r.fields.length > columns.length)
      throw new Error("Line " + r.number + " has " + r.fields.length + " fields; the first line names " + columns.length + ".");
    return {value: Object.fromEntries(columns.map((n, i) => [n, r.fields[i]])), number: r.number};
  });
}

function jsonObjects(text) {
  return text.split("\n").map((line, i) => ({line, number: i + 1})).filter(l => l.line.trim()).map(l => {
    try { return {value: JSON.parse(l.line), number: l.number}; }
    catch (e) { throw new Error("Line " + l.number + " is not JSON."); }
  });
}

// A text, or a conversation (a list of messages) as the judge reads it.
function asText(value) {
  if (!Array.isArray(value)) return value;
  const turns = value.map(m => {
    const content = m && (m.content ?? m.value);
    return {role: m && (m.role ?? m.from),
      text: (Array.isArray(content) ? content.map(part => part && part.text).join("\n\n") : String(content ?? "")).trim()};
  });
  if (turns.length === 1) return turns[0].text;
  const name = role => ["user", "human", "prompter"].includes(role) ? "User"
    : ["system", "developer"].includes(role) ? "System" : "Assistant";
  return turns.map(t => name(t.role) + ": " + t.text).join("\n\n");
}

// Objects with the fields `names`, of which `needed` must be texts or conversations. What begins
// like an object is JSON Lines, anything else CSV whose first line names the columns.
function parse(text, names, needed) {
  const plain = text.replace(/^\ufeff/, "");
  const objects = plain.trimStart().startsWith("{") ? jsonObjects(plain) : csvObjects(plain);
  return objects.map(({value, number}) => {
    const row = {};
    for (const name of ["id", ...names]) {
      if (value && typeof value[name] === "string" && (value[name] || needed.includes(name))) row[name] = value[name];
      else if (value && Array.isArray(value[name]) && needed.includes(name)) row[name] = value[name];
      else if (value && typeof value[name] === "number" && name === "id") row[name] = String(value[name]);
    }
    for (const name of needed)
      if (row[name] === undefined) throw new Error("Line " + number + " has no text in \"" + name + "\".");
    return row;
  });
}

// A field of a CSV; one that a spreadsheet would take for a formula begins with an apostrophe.
function cell(value) {
  if (value == null) return "";
  if (typeof value === "number") return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? "'" + value : String(value);
  return /[",\r\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
}

const jsonLines = (rows, results) =>
  rows.map((row, i) => results[i] && JSON.stringify({...row, ...results[i]}) + "\n").filter(Boolean).join("");

// `said`: a result on one line.
function csv(rows, results, said) {
  const names = [...new Set(rows.flatMap(row => Object.keys(row)))];
  const orders = results.some(r => r && r.orders && r.orders.length > 1);
  const head = [...names, "verdict", "confidence", ...(orders ? ["verdict_ab", "verdict_ba"] : []), "explanation"];
  const lines = rows.map((row, i) => {
    const r = results[i];
    return r && [...names.map(n => asText(row[n])), said(r), r.confidence, ...(orders ? r.orders.map(o => o.verdict) : []), r.explanation];
  }).filter(Boolean);
  return [head, ...lines].map(line => line.map(cell).join(",") + "\r\n").join("");
}

return {parse, asText, jsonLines, csv};
})();
