#include <fmt/format.h>

#include "base/error.h"
#include "cli/description.h"
#include "cli/options.h"

namespace gavel {
namespace {

using cli::CommandText;
using cli::OptionText;

std::string joined(const std::vector<std::string>& words, const char* separator) {
  return fmt::format("{}", fmt::join(words, separator));
}

// 'text' for a shell; one line.
std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'')
      out += "'\\''";
    else
      out += c == '\n' ? ' ' : c;
  }
  return out + "'";
}

std::string bash(const std::string& program, const std::vector<CommandText>& commands) {
  std::string names, cases;
  for (const auto& command : commands) {
    names += " " + command.name;
    std::string options, values;
    for (const auto& option : command.options) {
      options += (option.names.empty() ? "" : " ") + joined(option.names, " ");
      if (option.names.empty() || option.value.empty()) continue;
      // The value of an option without a list may be a file.
      const std::string reply =
          option.values.empty() ? "-f" : fmt::format("-W {}", quoted(joined(option.values, " ")));
      values += fmt::format("        {}) COMPREPLY=($(compgen {} -- \"$word\")); return ;;\n",
                            joined(option.names, "|"), reply);
    }
    cases += fmt::format("    {})\n      case \"$before\" in\n{}      esac\n      options={} ;;\n",
                         command.name, values, quoted(options.empty() ? "" : options.substr(1)));
  }
  return fmt::format(
      R"(# bash completion of {0}: put it into ~/.local/share/bash-completion/completions/{0}
_{0}() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}" options=""
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '{1} --help --version' -- "$word"))
    return
  fi
  case "${{COMP_WORDS[1]}}" in
{2}  esac
  if [[ "$word" == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$word"))
  else
    COMPREPLY=($(compgen -f -- "$word"))
  fi
}}
complete -o filenames -F _{0} {0}
)",
      program, names.empty() ? "" : names.substr(1), cases);
}

// What _arguments and _describe take as a text: no brackets or colons of its own.
std::string zsh_text(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

std::string zsh(const std::string& program, const std::vector<CommandText>& commands) {
  std::string list, cases;
  for (const auto& command : commands) {
    list += "    " + quoted(command.name + ":" + zsh_text(command.description)) + "\n";
    cases += fmt::format("    {}) _arguments \\\n", command.name);
    for (const auto& option : command.options) {
      std::string value;
      if (!option.value.empty())
        value = option.values.empty()
                    ? fmt::format(":{}:_files", zsh_text(option.value))
                    : fmt::format(":{}:({})", zsh_text(option.value), joined(option.values, " "));
      for (const auto& name : option.names)
        cases += "        " +
                 quoted("*" + name + "[" + zsh_text(option.description) + "]" + value) + " \\\n";
    }
    cases += "        '*:file:_files' ;;\n";
  }
  return fmt::format(R"(#compdef {0}
# zsh completion of {0}: put it as _{0} into a folder of $fpath
_{0}() {{
  local -a commands=(
{1}  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local command=$words[2]
  words=("{0}" "${{words[@]:2}}")
  (( CURRENT-- ))
  case "$command" in
{2}  esac
}}
compdef _{0} {0}
)",
                     program, list, cases);
}

// 'text' for fish, which knows \' and \\ within.
std::string fish_quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out + "'";
}

std::string fish(const std::string& program, const std::vector<CommandText>& commands) {
  std::string out = fmt::format(
      "# fish completion of {0}: put it into ~/.config/fish/completions/{0}.fish\n", program);
  for (const auto& command : commands) {
    out += fmt::format("complete -c {} -n __fish_use_subcommand -f -a {} -d {}\n", program,
                       command.name, fish_quoted(command.description));
    for (const auto& option : command.options) {
      if (option.names.empty()) continue;
      out +=
          fmt::format("complete -c {} -n '__fish_seen_subcommand_from {}'", program, command.name);
      for (const auto& name : option.names)
        out += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      if (!option.values.empty())
        out += " -x -a " + fish_quoted(joined(option.values, " "));
      else if (!option.value.empty())
        out += " -r";
      out += " -d " + fish_quoted(option.description) + "\n";
    }
  }
  return out;
}

}  // namespace

std::string completion_script(const CLI::App& app, const std::string& shell) {
  const auto commands = cli::describe_commands(app);
  if (shell == "bash") return bash(app.get_name(), commands);
  if (shell == "zsh") return zsh(app.get_name(), commands);
  if (shell == "fish") return fish(app.get_name(), commands);
  throw UsageError(fmt::format("no completion for '{}': there is bash, zsh and fish", shell));
}

}  // namespace gavel
