#include "judge/eval_csv.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;

// In quotes where it must be; a text that a spreadsheet would take for a formula begins with a
// quote mark of its own there.
std::string cell(const std::string& text) {
  const bool formula =
      !text.empty() && std::string_view("=+-@\t\r").find(text[0]) != std::string_view::npos;
  const bool quoted = text.find_first_of(",\"\r\n") != std::string::npos;
  std::string out = quoted ? "\"" : "";
  if (formula) out += '\'';
  for (const char c : text) {
    if (c == '"') out += c;
    out += c;
  }
  if (quoted) out += '"';
  return out;
}

std::string number(const Json& value) {
  if (value.is_number_integer()) return value.dump();
  return value.is_number() ? fmt::format("{}", value.get<double>()) : "";
}

const Json& child(const Json& object, const char* key) {
  static const Json kNothing = Json::array();
  const auto it = object.find(key);
  return it == object.end() || it->is_null() ? kNothing : *it;
}

class Table {
 public:
  void add(const std::string& section, const std::string& judge, const std::string& of,
           const std::string& measure, const Json& value) {
    const bool interval = value.is_object() && value.contains("value");
    if (!interval && !value.is_number() && !value.is_null()) return;
    const auto of_interval = [&](const char* key) { return interval ? number(value[key]) : ""; };
    text_ += fmt::format("{},{},{},{},{},{},{}\r\n", cell(section), cell(judge), cell(of),
                         cell(measure), interval ? number(value["value"]) : number(value),
                         of_interval("low"), of_interval("high"));
  }
  // Every number and interval of an object.
  void add_all(const std::string& section, const std::string& judge, const std::string& of,
               const Json& object) {
    for (const auto& [measure, value] : object.items()) add(section, judge, of, measure, value);
  }
  // Of a list of objects, each named by one of its fields.
  void add_list(const std::string& section, const std::string& judge, const Json& list,
                const char* name) {
    for (const Json& entry : list) add_all(section, judge, entry[name], entry);
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_ = "section,judge,of,measure,value,low,high\r\n";
};

void add_judge(Table& table, const Json& judge) {
  const std::string name = judge["name"];
  table.add_all("metrics", name, "", child(judge, "metrics"));
  table.add_list("classes", name, child(judge, "classes"), "class");
  table.add_all("speed", name, "", child(judge, "speed"));
  table.add_list("calibrations", name, child(judge, "calibrations"), "method");
  table.add_list("probes", name, child(judge, "probes"), "probe");
  if (const Json& paraphrases = child(judge, "paraphrases"); paraphrases.is_object()) {
    table.add_list("paraphrases", name, paraphrases["templates"], "template");
    table.add("paraphrases", name, "", "same_by_all", paraphrases["same_by_all"]);
  }
  table.add_all("reasons", name, "", child(judge, "reasons"));
}

}  // namespace

std::string evaluation_csv(const Json& evaluation) {
  Table table;
  for (const Json& judge : child(evaluation, "judges")) add_judge(table, judge);
  for (const Json& field : child(evaluation, "groups"))
    for (const Json& group : field["groups"]) {
      const std::string of =
          field["field"].get<std::string>() + "=" + group["value"].get<std::string>();
      for (const Json& judge : group["judges"])
        table.add_all("groups", judge["name"], of, judge["metrics"]);
      table.add_all("baselines", "", of, child(group, "baselines"));
    }
  for (const Json& entry : child(evaluation, "win_rates")) {
    table.add_list("win_rates", entry["judge"], entry["models"], "model");
    table.add_all("family", entry["judge"], entry["family"]["name"], entry["family"]);
  }
  for (const Json& suite : child(evaluation, "suites"))
    for (const Json& judge : suite["judges"])
      table.add_all("suites", judge["name"], suite["suite"], judge["parts"]);
  for (const Json& c : child(evaluation, "comparisons")) {
    const std::string first = c["first"];
    table.add_all("comparisons", c["second"], first, c);
    table.add_all("comparisons", c["second"], first, c["differences"]);
  }
  table.add_all("people", "", "", child(evaluation, "people"));
  // Of single answers they are by part.
  for (const char* measure : {"alpha", "pairwise", "distance"})
    for (const auto& [part, value] : child(child(evaluation, "people"), measure).items())
      if (value.is_object()) table.add("people", "", part, measure, value);
  table.add_all("baselines", "", "", child(evaluation, "baselines"));
  return table.text();
}

}  // namespace gavel
