#include <fmt/format.h>

#include "cli/description.h"
#include "cli/options.h"

namespace gavel {
namespace {

// A text for roff: no line of it is taken for a request, hyphens stay hyphens.
std::string roff(const std::string& text) {
  std::string out;
  bool line_begins = true;
  for (const char c : text) {
    if (line_begins && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else
      out += c;
    line_begins = c == '\n';
  }
  return out;
}

std::string names_of(const cli::OptionText& option) {
  if (option.names.empty()) return "\\fI" + roff(option.value) + "\\fR";
  std::string out;
  for (const auto& name : option.names)
    out += (out.empty() ? "\\fB" : ", \\fB") + roff(name) + "\\fR";
  if (!option.values.empty())
    out += " " + roff(fmt::format("{}", fmt::join(option.values, "|")));
  else if (!option.value.empty())
    out += " \\fI" + roff(option.value) + "\\fR";
  return out;
}

}  // namespace

std::string manual_page(const CLI::App& app, const std::string& version) {
  const std::string program = app.get_name();
  std::string out = fmt::format(".TH {0} 1 \"\" \"{0} {1}\" \"\"\n.SH NAME\n{0} \\- {2}\n", program,
                                roff(version), "fine\\-tune a language model to be a judge");
  out += fmt::format(".SH SYNOPSIS\n\\fB{}\\fR \\fIcommand\\fR [options]\n", program);
  out += ".SH DESCRIPTION\n" + roff(app.get_description()) + "\n.SH COMMANDS\n";
  const auto commands = cli::describe_commands(app);
  for (const auto& command : commands)
    out += fmt::format(".TP\n\\fB{}\\fR\n{}\n", roff(command.name), roff(command.description));
  for (const auto& command : commands) {
    out += fmt::format(".SH {} {}\n{}\n", program, roff(command.name), roff(command.description));
    for (const auto& option : command.options) {
      out += ".TP\n" + names_of(option) + "\n" + roff(option.description);
      if (!option.initial.empty()) out += " (default: " + roff(option.initial) + ")";
      out += "\n";
    }
    if (!command.footer.empty()) out += ".PP\n.nf\n" + roff(command.footer) + "\n.fi\n";
  }
  return out;
}

}  // namespace gavel
