#include "judge/familiarity.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/random.h"
#include "judge/calibration.h"

namespace gavel {
namespace {

namespace fs = std::filesystem;

std::vector<PairSize> drawn(size_t count, int64_t longest, uint64_t seed) {
  Random random(seed);
  std::vector<PairSize> out;
  const auto length = [&](int64_t most) {
    return 1 + static_cast<int64_t>(random.below(static_cast<uint64_t>(most)));
  };
  for (size_t i = 0; i < count; ++i) out.push_back({length(200), length(longest), length(longest)});
  return out;
}

TEST(Familiarity, NothingIsKnownOfTooFewOrEqualPairs) {
  EXPECT_TRUE(learn_familiarity(drawn(kFewestFamiliar - 1, 400, 1)).places.empty());
  EXPECT_TRUE(learn_familiarity(std::vector<PairSize>(80, PairSize{9, 9, 9})).places.empty());
  EXPECT_EQ(strangeness({}, {1, 1, 100000}), 1);
}

TEST(Familiarity, AQuarterOfLikePairsIsStrangeAndUnlikePairsAreStranger) {
  const auto known = drawn(400, 400, 1);
  const Familiarity f = learn_familiarity(known);
  EXPECT_EQ(f.places.size(), 400u);
  const auto share = [&](const std::vector<PairSize>& pairs) {
    return static_cast<double>(
               std::count_if(pairs.begin(), pairs.end(),
                             [&](const PairSize& p) { return strangeness(f, p) > 1; })) /
           static_cast<double>(pairs.size());
  };
  EXPECT_NEAR(share(known), 0.25, 0.02);  // a known pair is not its own neighbour
  EXPECT_NEAR(share(drawn(2000, 400, 2)), 0.25, 0.06);
  EXPECT_EQ(strangeness(f, {100, 300, 200}), strangeness(f, {100, 200, 300}));
  const double far = strangeness(f, {100, 4000, 100}), farther = strangeness(f, {100, 40000, 100});
  EXPECT_GT(far, 2);
  EXPECT_GT(farther, far);
  EXPECT_LE(strangeness(f, {1LL << 60, 1, 1LL << 60}), 1e6);
  EXPECT_LE(learn_familiarity(drawn(3000, 400, 3)).places.size(), kMostFamiliarPairs);
}

// The rule written again, on one pair.
TEST(Familiarity, StrangenessIsTheSquareOfTheDistanceToTheTenNearest) {
  const auto known = drawn(60, 300, 4);
  const Familiarity f = learn_familiarity(known);
  const PairSize pair{90, 2500, 40};
  const auto place = [](const PairSize& p) {
    const double a = std::log(p.answer_a + 1.0), b = std::log(p.answer_b + 1.0);
    return PairPlace{a + b, std::abs(a - b), std::log(p.question + 1.0)};
  };
  std::vector<double> distances;
  for (const PairSize& other : known) {
    double sum = 0;
    for (size_t k = 0; k < 3; ++k)
      sum += std::pow((place(pair)[k] - place(other)[k]) / f.spread[k], 2);
    distances.push_back(std::sqrt(sum / 3));
  }
  std::sort(distances.begin(), distances.end());
  double mean = 0;
  for (size_t i = 0; i < 10; ++i) mean += distances[i] / 10;
  EXPECT_NEAR(strangeness(f, pair), std::pow(mean / f.usual, 2), 0.01);
}

Calibration calibration_of(const std::vector<PairSize>& known) {
  Calibration c;
  c.map.temperature = 1.3;
  c.map.familiarity = learn_familiarity(known);
  return c;
}

Judgement sure_of(const PairSize& size) {
  Judgement j;
  j.verdict = j.first_order = Verdict::b;
  j.length_question = size.question;
  j.length_a = size.answer_a;
  j.length_b = size.answer_b;
  return j;
}

TEST(Familiarity, AStrangePairIsToldLessSurelyByTheSameVerdict) {
  const Calibration c = calibration_of(drawn(100, 400, 5));
  const PairSize strange{50, 20, 9000};
  const double times = strangeness(c.map.familiarity, strange);
  ASSERT_GT(times, 3);
  Judgement scored = sure_of(strange);
  scored.scores = {1, 4};
  Judgement now = calibrated(scored, c);
  EXPECT_EQ(now.verdict, Verdict::b);
  EXPECT_NEAR((*now.probabilities)[1], 1 / (1 + std::exp(-3 / 1.3 / times)), 1e-12);
  Judgement of_pair = sure_of(strange);
  of_pair.probabilities = {0.1, 0.8, 0.1};
  now = calibrated(of_pair, c);
  const Probabilities plain = scale_by_temperature(*of_pair.probabilities, 1.3);
  EXPECT_NEAR((*now.probabilities)[2], plain[2], 1e-12);
  EXPECT_NEAR(std::log((*now.probabilities)[1] / (*now.probabilities)[0]),
              std::log(plain[1] / plain[0]) / times, 1e-9);
  of_pair.probabilities = {0, 1, 0};
  EXPECT_LT((*calibrated(of_pair, c).probabilities)[1], 1);
}

TEST(Familiarity, IsKeptWithTheCalibration) {
  const fs::path folder =
      fs::temp_directory_path() / ("gavel_familiarity_" + std::to_string(::getpid()));
  fs::create_directories(folder);
  const auto known = drawn(100, 400, 6);
  const Calibration c = calibration_of(known);
  save_calibration(folder, JudgeMode::verdict, false, c);
  const auto read = load_calibration(folder, JudgeMode::verdict, false);
  ASSERT_TRUE(read);
  for (const PairSize& pair : {known[7], PairSize{50, 20, 9000}})
    EXPECT_EQ(strangeness(read->map.familiarity, pair), strangeness(c.map.familiarity, pair));
  const fs::path file = folder / "calibration.json";
  const std::string text = read_file(file, 1 << 24);
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"\"usual\":", "\"usual\":-"}, {"\"center\":[", "\"center\":[1,"}, {"[[", "[7,["}}) {
    std::string damaged = text;
    damaged.replace(damaged.find(from), from.size(), to);
    write_file_atomic(file, damaged);
    EXPECT_THROW(load_calibration(folder, JudgeMode::verdict, false), Error) << from;
  }
  fs::remove_all(folder);
}

TEST(Familiarity, TheFitLearnsItFromPairsAlone) {
  Random random(7);
  std::vector<Judgement> judged;
  for (const PairSize& size : drawn(80, 400, 8)) {
    judged.push_back(sure_of(size));
    judged.back().probabilities = {0.3, 0.7, 0};
    judged.back().label = random.uniform() < 0.7 ? Verdict::b : Verdict::a;
  }
  for (const CalibrationMethod method : kCalibrationMethods)
    EXPECT_EQ(fit_map(judged, method).familiarity.places.size(), 80u);
  for (Judgement& j : judged) j.length_question = 0;  // not known
  EXPECT_TRUE(fit_map(judged, CalibrationMethod::temperature).familiarity.places.empty());
}

}  // namespace
}  // namespace gavel
