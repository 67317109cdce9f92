// Further tables of an evaluation. They stand in eval.json as they are printed ("tables"), so that
// `gavel report` shows each of them without knowing what it measures; the numbers stand beside.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "judge/eval_format.h"

namespace gavel {

struct EvalTable {
  std::string title, note;  // the note may be empty
  TableRows rows;           // the heads first
};

// Appends it to "tables" of eval.json; a table of heads alone is left out.
void add_table(nlohmann::ordered_json& evaluation, const EvalTable& table);
// All of them for the terminal, a blank line before each.
std::string tables_text(const nlohmann::ordered_json& evaluation);

}  // namespace gavel
