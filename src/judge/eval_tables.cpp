#include "judge/eval_tables.h"

#include <nlohmann/json.hpp>

namespace gavel {

using Json = nlohmann::ordered_json;

void add_table(Json& evaluation, const EvalTable& table) {
  if (table.rows.size() < 2) return;
  Json& tables = evaluation["tables"];
  if (!tables.is_array()) tables = Json::array();
  tables.push_back({{"title", table.title}, {"note", table.note}, {"rows", table.rows}});
}

std::string tables_text(const Json& evaluation) {
  std::string out;
  const auto it = evaluation.find("tables");
  if (it == evaluation.end()) return out;
  for (const Json& table : *it) {
    out.append("\n").append(table["title"]).append("\n");
    out += aligned(table["rows"].get<TableRows>());
    if (const std::string note = table["note"]; !note.empty()) out += note + "\n";
  }
  return out;
}

}  // namespace gavel
