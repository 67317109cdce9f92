#include "report/data_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/progress.h"
#include "report/page.h"
#include "report/svg.h"

namespace gavel {
namespace {

using svg::escape;

constexpr const char* kDataStyle = R"css(<style>
.bars{display:grid;grid-template-columns:max-content 1fr max-content;gap:3px 10px;align-items:center;
font-size:.875rem;font-variant-numeric:tabular-nums}
.bars i{display:block;height:14px;min-width:1px;background:var(--c0);border-radius:2px}
.bars i.cut{background:var(--bad)}
.bars span{color:var(--muted);text-align:right}
.share{display:flex;height:14px;border-radius:4px;overflow:hidden;min-width:120px}
.share i{display:block}.share .a{background:var(--c0)}.share .b{background:var(--c1)}.share .t{background:var(--c7)}
.swatch{display:inline-block;width:10px;height:10px;border-radius:2px;margin:0 4px 0 12px}
.sample{background:var(--panel);border-radius:8px;padding:10px 12px;white-space:pre-wrap;
overflow-wrap:anywhere;font-size:.9375rem}
.sample mark{background:var(--mark);color:inherit;border-radius:3px;box-shadow:0 0 0 1px var(--mark)}
.sample s{color:var(--bad);opacity:.8}
.faults li{overflow-wrap:anywhere}.faults{padding-left:20px;font-size:.875rem}
.warn{border-left:4px solid var(--bad);padding:4px 12px;background:var(--panel);border-radius:4px}
</style>)css";

constexpr std::array<const char*, 3> kSplits = {"train", "valid", "test"};

std::string percent(int64_t part, int64_t whole) {
  if (whole == 0) return "-";
  return fmt::format("{:.1f}%", 100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

std::string tile(const std::string& value, const std::string& name) {
  return fmt::format("<div class=\"tile\"><b>{}</b><span>{}</span></div>", escape(value),
                     escape(name));
}

std::string tiles(const PrepareReport& r) {
  int64_t written = 0, tokens = 0, loss = 0, truncated = 0;
  for (const SplitReport& s : r.splits) {
    written += s.rows;
    tokens += s.tokens;
    loss += s.loss_tokens;
    truncated += s.truncated;
  }
  std::string out = "<div class=\"tiles\">";
  out += tile(grouped_digits(r.rows_read), "rows read");
  out += tile(grouped_digits(r.rows_kept), "rows usable");
  out += tile(grouped_digits(written), "examples written");
  if (r.tokenized) {
    out += tile(grouped_digits(tokens), "tokens");
    out += tile(percent(loss, tokens), "of the tokens carry loss");
    out += tile(grouped_digits(truncated), fmt::format("truncated at {}", r.max_seq_length));
  }
  return out + "</div>";
}

std::string split_table(const PrepareReport& r) {
  std::string out = "<h2>Splits</h2><p class=\"small\">No question is in two splits.";
  // A bar for labels that are few.
  static constexpr std::array<std::pair<const char*, const char*>, 3> kBars = {
      {{"a", "--c0"}, {"b", "--c1"}, {"t", "--c7"}}};
  const bool bar = !r.classes.empty() && r.classes.size() <= kBars.size();
  if (bar) out += r.form.of_pairs() ? " Who wins:" : " Labels:";
  for (size_t i = 0; bar && i < r.classes.size(); ++i)
    out += fmt::format("<i class=\"swatch\" style=\"background:var({})\"></i>{}", kBars[i].second,
                       escape(r.classes[i]));
  out += "</p><div class=\"wide\"><table><thead><tr><th></th><th>examples</th><th>questions</th>";
  constexpr size_t kMostColumns = 11;  // of a long scale the mean alone
  const bool shares = r.classes.size() <= kMostColumns;
  for (const std::string& name : r.classes)
    if (shares) out += "<th>" + escape(name) + "</th>";
  for (const Criterion& c : r.form.criteria) out += "<th>mean " + escape(c.name) + "</th>";
  if (bar) out += "<th>balance</th>";
  out += "<th>with reference</th><th>with reason</th>";
  if (r.tokenized)
    out +=
        "<th>tokens</th><th>carry loss</th><th>longest</th><th>truncated</th>"
        "<th>without targets</th>";
  out += "</tr></thead><tbody>";
  for (size_t k = 0; k < 3; ++k) {
    const SplitReport& s = r.splits[k];
    if (s.rows == 0) continue;
    out += fmt::format("<tr><th>{}</th><td>{}</td><td>{}</td>", kSplits[k], grouped_digits(s.rows),
                       grouped_digits(s.questions));
    for (const int64_t n : s.labels)
      if (shares)
        out += fmt::format("<td>{}<small>{}</small></td>", grouped_digits(n), percent(n, s.rows));
    for (const double sum : s.sums)
      out += fmt::format("<td>{:.2f}</td>", sum / static_cast<double>(s.rows));
    if (bar) out += "<td><div class=\"share\">";
    for (size_t i = 0; bar && i < s.labels.size(); ++i)
      out += fmt::format("<i class=\"{}\" style=\"width:{}\"></i>", kBars[i].first,
                         percent(s.labels[i], s.rows));
    if (bar) out += "</div></td>";
    out += fmt::format("<td>{}</td><td>{}</td>", percent(s.with_reference, s.rows),
                       percent(s.with_reason, s.rows));
    if (r.tokenized)
      out += fmt::format("<td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>",
                         grouped_digits(s.tokens), grouped_digits(s.loss_tokens),
                         grouped_digits(s.longest), grouped_digits(s.truncated),
                         grouped_digits(s.without_targets));
    out += "</tr>";
  }
  return out + "</tbody></table></div>";
}

std::string faults(const PrepareReport& r) {
  if (r.dropped.empty()) return "";
  int64_t total = 0;
  for (const auto& [kind, fault] : r.dropped) total += fault.count;
  std::string out = fmt::format("<h2>Left out: {}</h2>", grouped_digits(total));
  for (const auto& [kind, fault] : r.dropped) {
    out += fmt::format(
        "<details class=\"pair\"><summary><span class=\"tags\"><span>{} &times; {}"
        "</span></span></summary><ul class=\"faults\">",
        grouped_digits(fault.count), escape(kind));
    for (const auto& [place, detail] : fault.places)
      out += fmt::format("<li><b>{}</b> {}</li>", escape(place), escape(detail));
    const auto more = fault.count - static_cast<int64_t>(fault.places.size());
    if (more > 0) out += fmt::format("<li class=\"muted\">and {} more</li>", grouped_digits(more));
    out += "</ul></details>";
  }
  return out;
}

std::string histogram(const PrepareReport& r) {
  size_t end = r.length_histogram.size();
  while (end > 0 && r.length_histogram[end - 1] == 0) --end;
  if (end == 0) return "";
  const int64_t most = *std::max_element(r.length_histogram.begin(), r.length_histogram.end());
  std::string out =
      "<h2>Length of the examples</h2><p class=\"muted small\">Examples by their number of "
      "tokens; red ones are cut at the maximum sequence length.</p><div class=\"bars\">";
  for (size_t i = 0; i < end; ++i) {
    const int64_t low = static_cast<int64_t>(i) * r.histogram_width;
    const bool last = i + 1 == r.length_histogram.size();
    out +=
        fmt::format("<span>{}</span><i{} style=\"width:{:.1f}%\"></i><span class=\"n\">{}</span>",
                    last ? fmt::format("{}+", low)
                         : fmt::format("{}&ndash;{}", low, low + r.histogram_width - 1),
                    low > r.max_seq_length ? " class=\"cut\"" : "",
                    100.0 * static_cast<double>(r.length_histogram[i]) / static_cast<double>(most),
                    grouped_digits(r.length_histogram[i]));
  }
  return out + "</div>";
}

std::string samples(const PrepareReport& r) {
  if (r.samples.empty()) return "";
  std::string out = fmt::format(
      "<h2>{} examples at random</h2><p class=\"muted small\">{} What is <mark "
      "style=\"background:var(--mark);color:inherit\">marked</mark> carries loss{}.</p>",
      r.samples.size(),
      r.tokenized ? "The text that the model sees." : "Without a model's template.",
      r.tokenized ? "; what is struck out is cut off" : "");
  for (const Sample& s : r.samples) {
    out += fmt::format(
        "<h3>Label {} <span class=\"muted small\">{}, {}{}</span></h3><div class=\"sample\">",
        escape(s.label), s.split, escape(s.source),
        s.tokens > 0 ? fmt::format(", {} tokens", s.tokens) : "");
    for (const SampleToken& piece : s.pieces) {
      std::string text = escape(piece.text);
      if (piece.cut) text = "<s>" + text + "</s>";
      if (piece.carries_loss) text = "<mark>" + text + "</mark>";
      out += text;
    }
    out += "</div>";
  }
  return out;
}

}  // namespace

std::string data_report_html(const PrepareReport& r) {
  std::string body = std::string(kDataStyle) + "<h1>Prepared data</h1><p class=\"muted small\">";
  for (const auto& [path, format] : r.inputs)
    body += fmt::format("{} ({})<br>", escape(path), escape(format));
  body += fmt::format("template: {}, seed {}", escape(r.template_name), r.seed);
  if (!r.model.empty()) body += fmt::format(", tokens as of {}", escape(r.model));
  body += "</p>";
  for (const std::string& warning : r.warnings)
    body += fmt::format("<p class=\"warn\">{}</p>", escape(warning));
  body += tiles(r) + split_table(r) + faults(r) + histogram(r) + samples(r);
  return html_page("Prepared data", body);
}

}  // namespace gavel
