#include "report/html_parts.h"

#include <fmt/format.h>

#include <cmath>

#include "text/markup.h"

namespace gavel {

using markup::escape;

std::string text_box(const std::string& title, const std::string& text) {
  return "<div class=\"text\"><h4>" + escape(title) + "</h4>" +
         (text.empty() ? "<span class=\"muted\">(none)</span>" : escape(text)) + "</div>";
}

std::string opinion_tag(const std::string& judge, const Opinion& opinion) {
  return fmt::format(
      "<span>{}: <b class=\"{}\">{} {}</b>{}{}</span>", escape(judge),
      opinion.right ? "good" : "bad", escape(opinion.verdict), opinion.right ? "✓" : "✗",
      std::isfinite(opinion.confidence) ? fmt::format(" ({:.0f}%)", 100 * opinion.confidence) : "",
      opinion.exchanged.empty() ? "" : ", exchanged " + escape(opinion.exchanged));
}

std::string opinion_boxes(const std::string& judge, const Opinion& opinion) {
  std::string out = text_box(judge + " wrote", opinion.text);
  if (!opinion.exchanged.empty())
    out += text_box(judge + " wrote with the answers exchanged", opinion.exchanged_text);
  return out;
}

}  // namespace gavel
