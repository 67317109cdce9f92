#include "data/judge_prompt.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "base/file.h"
#include "data/jsonl.h"

namespace gavel {
namespace {

bool is_name_char(char c) { return (c >= 'a' && c <= 'z') || c == '_'; }

std::string_view strip_end(std::string_view s, std::string_view what) {
  const size_t last = s.find_last_not_of(what);
  return last == std::string_view::npos ? std::string_view{} : s.substr(0, last + 1);
}

// A tag such as {name}, {?name} or {/name} at the start of `text`: its sigil (0 for none) and name.
struct Tag {
  char sigil = 0;
  std::string_view name;
  size_t length = 0;
};

std::optional<Tag> tag_at(std::string_view text) {
  if (!text.starts_with('{')) return std::nullopt;
  Tag tag;
  size_t i = 1;
  if (i < text.size() && (text[i] == '?' || text[i] == '/')) tag.sigil = text[i++];
  const size_t begin = i;
  while (i < text.size() && is_name_char(text[i])) ++i;
  if (i == begin || i >= text.size() || text[i] != '}') return std::nullopt;
  tag.name = text.substr(begin, i - begin);
  tag.length = i + 1;
  return tag;
}

// The length of the line end after a tag that stands alone on its line, else 0.
size_t standalone_end(std::string_view text, size_t begin, size_t end) {
  const bool starts_line = begin == 0 || text[begin - 1] == '\n';
  if (!starts_line) return 0;
  return text.substr(end).starts_with('\n') ? 1 : 0;
}

// "" for what is no field of the pair.
std::string_view value_of(const JudgePair& pair, std::string_view name) {
  if (name == "question") return pair.question;
  if (name == "answer_a" || name == "answer") return pair.answer_a;
  if (name == "answer_b") return pair.answer_b;
  if (name == "reference") return pair.reference;
  if (name == "rubric") return pair.rubric;
  if (name == "reason") return pair.reason;
  return {};
}

}  // namespace

std::vector<JudgeTemplate::Piece> JudgeTemplate::parse_section(
    std::string_view text, const std::string& where, int64_t first_line,
    const std::vector<std::string_view>& allowed) {
  std::vector<Piece> pieces;
  std::string literal;
  std::string open;  // the optional part that is open
  int64_t line = first_line;
  const auto flush = [&] {
    if (!literal.empty()) pieces.push_back({Piece::Kind::text, std::exchange(literal, {})});
  };
  for (size_t i = 0; i < text.size();) {
    const auto tag = tag_at(text.substr(i));
    if (!tag) {
      line += text[i] == '\n' ? 1 : 0;
      literal += text[i++];
      continue;
    }
    const std::string name(tag->name);
    if (std::find(allowed.begin(), allowed.end(), tag->name) == allowed.end()) {
      std::string known;
      for (const auto a : allowed) known += fmt::format("{}{{{}}}", known.empty() ? "" : ", ", a);
      fail("{}:{}: the placeholder {{{}}} is not known here; known are {}", where, line, name,
           known);
    }
    const size_t end = i + tag->length;
    i = end;
    flush();
    if (tag->sigil == 0) {
      pieces.push_back({Piece::Kind::value, name});
      continue;
    }
    const size_t eaten = standalone_end(text, end - tag->length, end);
    line += static_cast<int64_t>(eaten);
    i += eaten;
    if (tag->sigil == '?') {
      if (!open.empty())
        fail("{}:{}: {{?{}}} is inside {{?{}}}: optional parts do not nest", where, line, name,
             open);
      open = name;
      pieces.push_back({Piece::Kind::open, name});
    } else {
      if (open != name) fail("{}:{}: {{/{}}} closes no {{?{}}}", where, line, name, name);
      open.clear();
      pieces.push_back({Piece::Kind::close, name});
    }
  }
  if (!open.empty()) fail("{}: {{?{}}} is never closed by {{/{}}}", where, open, open);
  flush();
  return pieces;
}

Message JudgeTemplate::fill(const std::string& role, const std::vector<Piece>& pieces,
                            const JudgePair& pair, std::string_view label) const {
  const auto value = [&](std::string_view name) {
    if (name == "label") return label;
    return name == "scale" ? std::string_view(scale_) : value_of(pair, name);
  };
  Message out{role, ""};
  bool skipping = false;
  for (const Piece& piece : pieces) {
    if (piece.kind == Piece::Kind::open) skipping = value(piece.text).empty();
    if (piece.kind == Piece::Kind::close) skipping = false;
    if (skipping) continue;
    const size_t begin = out.content.size();
    if (piece.kind == Piece::Kind::text) out.content += piece.text;
    if (piece.kind != Piece::Kind::value) continue;
    out.content += value(piece.text);
    if (piece.text != "scale") out.literal.push_back({begin, out.content.size()});
  }
  return out;
}

JudgeTemplate JudgeTemplate::parse(std::string_view source, const std::string& name) {
  if (const auto at = invalid_utf8_at(source)) fail("{}: invalid UTF-8 at byte {}", name, *at);
  struct Section {
    std::string_view title;
    std::string text;
    int64_t first_line = 0;
  };
  std::array<Section, 4> sections = {{{"[system]"}, {"[user]"}, {"[assistant]"}, {"[form]"}}};
  Section* current = nullptr;
  int64_t number = 0;
  for (std::string_view rest = source; !rest.empty();) {
    const size_t end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    ++number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    const auto found = std::find_if(sections.begin(), sections.end(), [&](const Section& s) {
      return s.title == strip_end(line, " \t");
    });
    if (found != sections.end()) {
      if (found->first_line != 0) fail("{}:{}: a second section {}", name, number, found->title);
      found->first_line = number + 1;
      current = &*found;
    } else if (current != nullptr) {
      current->text.append(line) += '\n';
    }
  }
  JudgeTemplate out;
  out.source_ = source;
  if (sections[1].first_line == 0) fail("{}: the template has no [user] section", name);
  if (sections[3].first_line != 0)
    out.form_ = parse_form(sections[3].text, name, sections[3].first_line);
  out.scale_ = describe_scale(out.form_);
  std::vector<std::string_view> inputs = {"question", "reference"};
  if (!out.form_.of_pairs()) inputs.push_back("rubric");
  if (out.form_.one_answer())
    inputs.push_back("answer");
  else
    inputs.insert(inputs.begin() + 1, {"answer_a", "answer_b"});
  if (!out.form_.criteria.empty()) inputs.push_back("scale");
  const auto parse = [&](const Section& s, const std::vector<std::string_view>& allowed) {
    return parse_section(strip_end(s.text, " \t\n"), name, s.first_line, allowed);
  };
  out.system_ = parse(sections[0], inputs);
  out.user_ = parse(sections[1], inputs);
  if (sections[2].first_line == 0)
    sections[2].text = out.form_.kind == FormKind::rank
                           ? "**Verdict:** {label}"
                           : "{?reason}\n{reason}\n\n{/reason}\n**Verdict:** {label}";
  out.assistant_ = parse(sections[2], {"reason", "label"});
  out.check_inputs(name);
  out.find_verdict_lead(name);
  return out;
}

bool JudgeTemplate::uses(std::string_view placeholder) const {
  const auto has = [&](const std::vector<Piece>& pieces) {
    return std::any_of(pieces.begin(), pieces.end(), [&](const Piece& p) {
      return p.kind == Piece::Kind::value && p.text == placeholder;
    });
  };
  return has(system_) || has(user_);
}

bool JudgeTemplate::takes(std::string_view field) const {
  return uses(field) || (field == "rubric" && form_.of_pairs());
}

void JudgeTemplate::check_inputs(const std::string& name) const {
  const auto need = [&](std::string_view needed) {
    if (!uses(needed)) fail("{}: the template does not use {{{}}}", name, needed);
  };
  need("question");
  if (form_.one_answer()) return need("answer");
  need("answer_a");
  need("answer_b");
}

void JudgeTemplate::find_verdict_lead(const std::string& name) {
  // The label must come last, with a text before it that says where the verdict is.
  const auto& pieces = assistant_;
  const size_t n = pieces.size();
  const auto is_label = [](const Piece& p) {
    return p.kind == Piece::Kind::value && p.text == "label";
  };
  if (std::count_if(pieces.begin(), pieces.end(), is_label) != 1)
    fail("{}: the [assistant] section must use {{label}} once", name);
  const auto label = std::find_if(pieces.begin(), pieces.end(), is_label) - pieces.begin();
  const bool last =
      static_cast<size_t>(label) + 1 == n ||
      (static_cast<size_t>(label) + 2 == n && pieces[n - 1].kind == Piece::Kind::text);
  if (!last || label == 0 || pieces[label - 1].kind != Piece::Kind::text)
    fail("{}: in [assistant], {{label}} must come last, after a text such as **Verdict:**", name);
  std::string_view lead = strip_end(pieces[label - 1].text, " \t\n");
  lead_gap_ = pieces[label - 1].text.substr(lead.size());
  if (const size_t line = lead.rfind('\n'); line != std::string_view::npos)
    lead.remove_prefix(line + 1);
  if (lead.empty())
    fail("{}: in [assistant], a text such as **Verdict:** must stand before {{label}}", name);
  verdict_lead_ = lead;
  const bool reasons =
      std::any_of(pieces.begin(), pieces.end(), [](const Piece& p) { return p.text == "reason"; });
  if (form_.kind == FormKind::rank && (reasons || label != 1))
    fail(
        "{}: of the form rank, [assistant] must be a text on which {{label}} follows, without a "
        "{{reason}}: the word is scored, nothing is written",
        name);
}

JudgeTemplate JudgeTemplate::from_file(const std::filesystem::path& path) {
  return parse(read_file(path, size_t{1} << 20), path.string());
}

std::vector<Message> JudgeTemplate::to_messages(const JudgePair& pair) const {
  std::vector<Message> messages;
  if (!system_.empty()) messages.push_back(fill("system", system_, pair, ""));
  messages.push_back(fill("user", user_, pair, ""));
  return messages;
}

std::string JudgeTemplate::target_text(const JudgePair& pair) const {
  return fill("assistant", assistant_, pair, label_text(pair)).content;
}

std::array<std::string, 2> JudgeTemplate::scored_texts() const {
  return {fill("assistant", assistant_, {}, form_.words[0]).content,
          fill("assistant", assistant_, {}, form_.words[1]).content};
}

std::string JudgeTemplate::verdict_text(std::string_view label) const {
  return fmt::format("{}{}{}", verdict_lead_, lead_gap_, label);
}

std::string JudgeTemplate::label_text(const JudgePair& pair) const {
  switch (form_.kind) {
    case FormKind::pair:
      if (!pair.label) fail("the pair {} has no label", pair.id);
      return std::string(to_string(*pair.label));
    case FormKind::rank:
      fail("of the form rank nothing is written");
    case FormKind::pass:
      if (!pair.pass) fail("the answer {} is not said to pass or to fail", pair.id);
      return form_.words[*pair.pass ? 0 : 1];
    case FormKind::score:
    case FormKind::criteria:
      break;
  }
  std::string text;
  for (const Criterion& c : form_.criteria) {
    const auto found = std::find_if(pair.scores.begin(), pair.scores.end(),
                                    [&](const auto& s) { return s.first == c.name; });
    if (found == pair.scores.end()) fail("the answer {} has no score for {}", pair.id, c.name);
    const double value = found->second;
    if (!(value >= c.scale.low && value <= c.scale.high) || value != std::floor(value))
      fail("the answer {} has the {} {}, which is no integer of the scale {} to {}", pair.id,
           c.name, value, c.scale.low, c.scale.high);
    if (form_.kind == FormKind::score) return fmt::format("{}", static_cast<int>(value));
    text += fmt::format("{}{}: {}", text.empty() ? "" : "\n", c.name, static_cast<int>(value));
  }
  return text;
}

}  // namespace gavel
