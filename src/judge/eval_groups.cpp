#include "judge/eval_groups.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "judge/eval_parts.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kNoValue = "(none)";

std::set<std::string> fields_of(std::span<const JudgePair> pairs) {
  std::set<std::string> fields;
  for (const JudgePair& pair : pairs) {
    if (!pair.category.empty()) fields.insert("category");
    for (const auto& [name, value] : pair.meta) {
      fields.insert(name);
      if (name.size() > 2 && (name.ends_with("_a") || name.ends_with("_b")))
        fields.insert(name.substr(0, name.size() - 2));
    }
  }
  return fields;
}

// Of one pair: one value, or those of its two answers.
std::set<std::string> values_of(const JudgePair& pair, const std::string& field) {
  std::set<std::string> values, of_answers;
  for (const auto& [name, value] : pair.meta) {
    if (name == field) values.insert(value);
    if (name == field + "_a" || name == field + "_b") of_answers.insert(value);
  }
  if (values.empty() && field == "category" && !pair.category.empty()) values.insert(pair.category);
  if (values.empty()) values = of_answers;
  if (values.empty()) values.insert(kNoValue);
  // What gavel prepare writes is file:line, which would be a group for each pair.
  if (field == "source") {
    std::set<std::string> files;
    for (const std::string& value : values) {
      const size_t colon = value.rfind(':');
      const bool line = colon != std::string::npos && colon + 1 < value.size() &&
                        value.find_first_not_of("0123456789", colon + 1) == std::string::npos;
      files.insert(line ? value.substr(0, colon) : value);
    }
    return files;
  }
  return values;
}

bool is_number(const std::string& text) {
  char* end = nullptr;
  std::strtod(text.c_str(), &end);
  return !text.empty() && *end == '\0';
}

void put_in_order(std::vector<PairGroup>& groups) {
  std::stable_sort(groups.begin(), groups.end(), [](const PairGroup& x, const PairGroup& y) {
    return x.pairs.size() > y.pairs.size();
  });
  if (groups.size() > kMostGroups) {
    PairGroup rest;
    std::set<size_t> places;  // of two models, both may be rare
    for (size_t i = kMostGroups - 1; i < groups.size(); ++i)
      places.insert(groups[i].pairs.begin(), groups[i].pairs.end());
    rest.pairs.assign(places.begin(), places.end());
    rest.value = fmt::format("({} other values)", groups.size() - kMostGroups + 1);
    groups.resize(kMostGroups - 1);
    groups.push_back(std::move(rest));
  }
  const bool numbers = std::all_of(groups.begin(), groups.end(), [](const PairGroup& g) {
    return g.value.starts_with('(') || is_number(g.value);
  });
  if (numbers)
    std::stable_sort(groups.begin(), groups.end(), [](const PairGroup& x, const PairGroup& y) {
      if (is_number(x.value) != is_number(y.value)) return is_number(x.value);
      return is_number(x.value) &&
             std::strtod(x.value.c_str(), nullptr) < std::strtod(y.value.c_str(), nullptr);
    });
}

// At most so many characters, for a cell of a table.
std::string shortened(const std::string& text) {
  constexpr size_t kMost = 48;
  std::string out;
  size_t characters = 0;
  for (const char c : text) {
    if ((static_cast<unsigned char>(c) & 0xC0) != 0x80 && ++characters > kMost) return out + "...";
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out;
}

// Of single answers, the measures that lead their table.
std::string answers_table(const Json& field, const std::string& form) {
  std::vector<std::string> names = {"agreement", "weighted_kappa", "spearman", "mae"};
  if (form == "pass") names = {"accuracy", "kappa", "tpr", "tnr"};
  if (form == "criteria") names = {"agreement", "weighted_kappa", "total.spearman", "total.mae"};
  TableRows rows = {{field["field"], "judge", "answers"}};
  for (const std::string& name : names)
    rows[0].push_back(is_answer_share(name) ? name + " %" : name);
  for (const Json& group : field["groups"]) {
    for (const Json& judge : group["judges"]) {
      auto& row = rows.emplace_back(
          TableRows::value_type{shortened(group["value"]), judge["name"], group["pairs"].dump()});
      for (const std::string& name : names) row.push_back(measure_cell(judge["metrics"], name));
    }
    if (!group.contains("baselines")) continue;
    const Json& b = group["baselines"];
    rows.push_back({shortened(group["value"]), "always " + b["label"].get<std::string>(),
                    group["pairs"].dump(), percent_with_interval(b["majority"]), "", "", ""});
  }
  return aligned(rows);
}

std::vector<Judgement> of_group(const EvalResult& result, const PairGroup& group) {
  std::vector<Judgement> judgements;
  for (const size_t i : group.pairs) judgements.push_back(result.set.judgements.at(i));
  return judgements;
}

std::string table_of(const Json& field) {
  TableRows rows = {{field["field"], "judge", "pairs", "agreement %", "kappa", "consistent %",
                     "balanced by length %", "to 1st", "to 2nd"}};
  for (const Json& group : field["groups"]) {
    for (const Json& judge : group["judges"]) {
      const Json& metrics = judge["metrics"];
      const auto value = [&](const char* name) { return number_or_nan(metrics[name]["value"]); };
      rows.push_back({shortened(group["value"]), judge["name"], group["pairs"].dump(),
                      percent_with_interval(metrics["agreement"]), short_number(value("kappa"), 2),
                      percent_with_interval(metrics["consistency"]),
                      percent_with_interval(metrics["agreement_balanced"]),
                      percent(value("bias_first")), percent(value("bias_second"))});
    }
    const Json& b = group["baselines"];
    const auto add = [&](const std::string& name, const Json& right) {
      if (!right["value"].is_number()) return;
      rows.push_back({shortened(group["value"]), name, group["pairs"].dump(),
                      percent_with_interval(right), "", "", "", "", ""});
    };
    add("always " + b["label"].get<std::string>(), b["majority"]);
    add("the longer, without ties", b["always_longer"]);
  }
  return aligned(rows);
}

}  // namespace

PairGroups groups_by(std::span<const JudgePair> pairs, const std::string& field) {
  std::map<std::string, std::vector<size_t>> places;
  for (size_t i = 0; i < pairs.size(); ++i)
    for (const std::string& value : values_of(pairs[i], field)) places[value].push_back(i);
  if (places.size() == 1 && places.begin()->first == kNoValue) {
    const auto fields = fields_of(pairs);
    fail("--group-by {}: no pair has it; {}", field,
         fields.empty() ? "these pairs have nothing to group by"
                        : fmt::format("these pairs have {}", fmt::join(fields, ", ")));
  }
  PairGroups out{field, {}};
  for (auto& [value, list] : places) out.groups.push_back({value, std::move(list)});
  put_in_order(out.groups);
  return out;
}

Json groups_json(std::span<const EvalResult> results, std::span<const PairGroups> all,
                 const BootstrapOptions& options, const JudgeForm& form) {
  Json out = Json::array();
  for (const PairGroups& groups : all) {
    Json list = Json::array();
    for (const PairGroup& group : groups.groups) {
      Json judges = Json::array();
      for (const EvalResult& result : results)
        judges.push_back({{"name", result.judge.name},
                          {"metrics", measures_json(form, of_group(result, group), options)}});
      Json entry = {
          {"value", group.value}, {"pairs", group.pairs.size()}, {"judges", std::move(judges)}};
      if (!results.empty())
        if (Json b = baselines_json(form, of_group(results[0], group), options); !b.is_null())
          entry["baselines"] = std::move(b);
      list.push_back(std::move(entry));
    }
    out.push_back({{"field", groups.field}, {"groups", std::move(list)}});
  }
  return out;
}

std::string groups_tables(const Json& evaluation) {
  std::string out;
  if (const auto it = evaluation.find("groups"); it != evaluation.end())
    for (const Json& field : *it)
      out.append("\n").append(evaluation.contains("parts")
                                  ? answers_table(field, evaluation["form"])
                                  : table_of(field));
  return out;
}

}  // namespace gavel
