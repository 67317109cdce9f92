// What a failed test says besides what is wrong: how to run it alone, and where the right values of
// the goldens that it reads come from.
#pragma once

#include <sstream>
#include <string>
#include <vector>

namespace gavel::testing {

// The pieces of a line between backticks.
inline std::vector<std::string> quoted_names(const std::string& cell) {
  std::vector<std::string> names;
  for (size_t at = cell.find('`'); at != std::string::npos; at = cell.find('`', at + 1)) {
    const size_t end = cell.find('`', at + 1);
    if (end == std::string::npos) break;
    names.push_back(cell.substr(at + 1, end - at - 1));
    at = end;
  }
  return names;
}

// Whether a literal in the source ends with this name, or goes on with a file in it.
inline bool names_file(const std::string& source, const std::string& name) {
  for (size_t at = source.find(name); at != std::string::npos; at = source.find(name, at + 1)) {
    const char before = at > 0 ? source[at - 1] : ' ';
    const char after = at + name.size() < source.size() ? source[at + name.size()] : ' ';
    if ((before == '"' || before == '/') && (after == '"' || after == '/')) return true;
  }
  return false;
}

// `source`: of the test. `architecture`: docs/architecture.md, whose table of goldens has in each
// row the files, the script that made them, and the programs that it asked.
inline std::string what_to_do(const std::string& program, const std::string& test,
                              const std::string& source, const std::string& architecture) {
  std::string out =
      "What to do: " + program + " --gtest_filter='" + test + "' runs this test alone";
  std::istringstream lines(architecture);
  for (std::string line; std::getline(lines, line);) {
    std::vector<std::string> cells;
    std::istringstream row(line);
    for (std::string cell; std::getline(row, cell, '|');) cells.push_back(cell);
    if (cells.size() < 4) continue;
    const auto scripts = quoted_names(cells[2]);
    if (scripts.empty() || !scripts[0].ends_with(".py")) continue;
    for (std::string golden : quoted_names(cells[1])) {
      if (golden.ends_with('/')) golden.pop_back();
      if (!names_file(source, golden)) continue;
      out += ". Its right values, tests/golden/" + golden + ", are by" + cells[3] + "(scripts/" +
             scripts[0].substr(scripts[0].find('/') + 1) +
             " writes them): where they should change, run that; else the code is wrong";
      break;
    }
  }
  return out + ".";
}

}  // namespace gavel::testing
