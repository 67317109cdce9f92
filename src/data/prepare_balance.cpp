// What the first pass does with the rows that were kept: the inputs' shares, positions and labels.
#include <cmath>
#include <limits>
#include <map>

#include "base/random.h"
#include "data/prepare_passes.h"

namespace gavel {

void mix_inputs(Preparation& p) {
  std::vector<double> shares;  // of the names, in their order
  std::map<std::string, size_t> places;
  for (const auto& [name, share] : p.options.mix) {
    places[name] = shares.size();
    shares.push_back(share);
  }
  std::vector<size_t> place_of(p.options.inputs.size());
  for (size_t i = 0; i < place_of.size(); ++i) place_of[i] = places.at(input_name(p.options, i));
  for (uint8_t split = 0; split < 3; ++split) {
    std::vector<std::vector<size_t>> rows(shares.size());
    for (size_t i = 0; i < p.plans.size(); ++i)
      if (p.plans[i].keep && p.plans[i].split == split)
        rows[place_of[p.plans[i].input]].push_back(i);
    double whole = std::numeric_limits<double>::infinity();
    for (size_t k = 0; k < rows.size(); ++k)
      if (shares[k] > 0 && !rows[k].empty())
        whole = std::min(whole, static_cast<double>(rows[k].size()) / shares[k]);
    if (std::isinf(whole)) whole = 0;
    Random random(p.options.seed, 300 + split);
    for (size_t k = 0; k < rows.size(); ++k) {
      random.shuffle(std::span(rows[k]));
      const auto most = static_cast<size_t>(std::llround(whole * shares[k]));
      for (size_t i = most; i < rows[k].size(); ++i) {
        p.plans[rows[k][i]].keep = 0;
        ++p.report.dropped["left out for the mix"].count;
      }
    }
  }
}

void balance_positions(Preparation& p) {
  for (uint8_t split = 0; split < 3; ++split) {
    std::array<std::vector<size_t>, 2> wins;
    for (size_t i = 0; i < p.plans.size(); ++i)
      if (p.plans[i].keep && p.plans[i].split == split && p.plans[i].label < 2)
        wins[p.plans[i].label].push_back(i);
    auto& more = wins[0].size() > wins[1].size() ? wins[0] : wins[1];
    const size_t excess = (more.size() - std::min(wins[0].size(), wins[1].size())) / 2;
    Random random(p.options.seed, 100 + split);
    random.shuffle(std::span(more));
    for (size_t k = 0; k < excess; ++k) {
      RowPlan& d = p.plans[more[k]];
      d.exchange = 1;
      d.label = 1 - d.label;
      ++p.report.swapped_for_position;
    }
  }
}

void balance_classes(Preparation& p) {
  std::vector<std::vector<size_t>> rows(p.report.classes.size());
  for (size_t i = 0; i < p.plans.size(); ++i)
    if (p.plans[i].keep && p.plans[i].split == 0) rows[p.plans[i].label].push_back(i);
  size_t rarest = std::numeric_limits<size_t>::max();
  for (const auto& r : rows)
    if (!r.empty()) rarest = std::min(rarest, r.size());
  Random random(p.options.seed, 200);
  for (size_t label = 0; label < rows.size(); ++label) {
    random.shuffle(std::span(rows[label]));
    for (size_t k = rarest; k < rows[label].size(); ++k) {
      p.plans[rows[label][k]].keep = 0;
      ++p.report.dropped["left out to balance the labels"].count;
    }
  }
}

}  // namespace gavel
