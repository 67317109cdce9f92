#include "report/sweep_log.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "report/run_log.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;

// Numbers by size, all else by letters.
bool before(const std::string& x, const std::string& y) {
  char *end_x = nullptr, *end_y = nullptr;
  const double a = std::strtod(x.c_str(), &end_x), b = std::strtod(y.c_str(), &end_y);
  const bool numbers = end_x != x.c_str() && *end_x == 0 && end_y != y.c_str() && *end_y == 0;
  return numbers ? a < b : x < y;
}

// Mean of the finite ones.
double mean_of(const std::vector<const SweepRow*>& rows, double SweepRow::*field) {
  double sum = 0, count = 0;
  for (const SweepRow* row : rows)
    if (std::isfinite(row->*field)) {
      sum += row->*field;
      ++count;
    }
  return count > 0 ? sum / count : std::nan("");
}

}  // namespace

std::vector<SweepRow> read_sweep(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) fail("cannot open {}", file.string());
  std::vector<SweepRow> rows;
  for (std::string line; std::getline(in, line);) {
    const Json entry = Json::parse(line, nullptr, false);
    if (!entry.is_object() || text_or_empty(entry, "run").empty()) continue;
    SweepRow row;
    row.run = text_or_empty(entry, "run");
    if (const auto it = entry.find("settings"); it != entry.end() && it->is_object())
      for (const auto& [key, value] : it->items())
        row.settings.emplace_back(key, text_or_empty(*it, key.c_str()));
    row.valid_loss = number_or_nan(entry, "valid_loss");
    row.train_loss = number_or_nan(entry, "train_loss");
    row.agreement = number_or_nan(entry, "agreement");
    row.consistency = number_or_nan(entry, "consistency");
    row.best_step = number_or_nan(entry, "best_step");
    row.parameters = number_or_nan(entry, "parameters");
    row.seconds = number_or_nan(entry, "seconds");
    const auto same =
        std::find_if(rows.begin(), rows.end(), [&](const SweepRow& r) { return r.run == row.run; });
    if (same != rows.end())
      *same = std::move(row);
    else
      rows.push_back(std::move(row));
  }
  const auto key = [](const SweepRow& r) {
    return std::isfinite(r.valid_loss) ? r.valid_loss : 1e300;
  };
  std::stable_sort(rows.begin(), rows.end(),
                   [&](const SweepRow& x, const SweepRow& y) { return key(x) < key(y); });
  return rows;
}

std::vector<std::pair<std::string, std::vector<SweepMean>>> sweep_means(
    const std::vector<SweepRow>& rows) {
  std::vector<std::pair<std::string, std::vector<SweepMean>>> result;
  std::vector<std::vector<std::vector<const SweepRow*>>> divisions;  // of the rows, by result
  if (rows.empty()) return result;
  for (const auto& [setting, ignored] : rows.front().settings) {
    std::vector<std::pair<std::string, std::vector<const SweepRow*>>> groups;
    for (const SweepRow& row : rows)
      for (const auto& [key, value] : row.settings) {
        if (key != setting) continue;
        const auto it = std::find_if(groups.begin(), groups.end(),
                                     [&value = value](const auto& g) { return g.first == value; });
        if (it == groups.end())
          groups.push_back({value, {&row}});
        else
          it->second.push_back(&row);
      }
    if (groups.size() < 2) continue;
    std::sort(groups.begin(), groups.end(),
              [](const auto& x, const auto& y) { return before(x.first, y.first); });
    std::vector<SweepMean> means;
    std::vector<std::vector<const SweepRow*>> division;
    for (const auto& [value, members] : groups) {
      means.push_back({value, members.size(), mean_of(members, &SweepRow::valid_loss),
                       mean_of(members, &SweepRow::agreement)});
      division.push_back(members);
    }
    // Settings that went together (alpha follows the rank, say) cannot be told apart.
    const auto same = std::find(divisions.begin(), divisions.end(), division);
    if (same != divisions.end()) {
      auto& [names, earlier] = result[static_cast<size_t>(same - divisions.begin())];
      names += ", " + setting;
      for (size_t i = 0; i < means.size(); ++i) earlier[i].value += ", " + means[i].value;
      continue;
    }
    divisions.push_back(std::move(division));
    result.emplace_back(setting, std::move(means));
  }
  return result;
}

}  // namespace gavel
