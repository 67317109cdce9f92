// Packed batches: what examples share is computed once, and nothing else changes.
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "embedded_model.h"
#include "train/loss.h"

namespace gavel {
namespace {

Example example(std::vector<int32_t> tokens, int32_t prompt_length) {
  Example e;
  e.tokens = std::move(tokens);
  e.prompt_length = prompt_length;
  return e;
}

std::vector<int32_t> numbers(int32_t first, int32_t count) {
  std::vector<int32_t> result;
  for (int32_t i = 0; i < count; ++i) result.push_back(first + 7 * i);
  return result;
}

std::vector<int32_t> joined(std::vector<int32_t> a, const std::vector<int32_t>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

std::vector<const Example*> pointers(const std::vector<Example>& examples) {
  std::vector<const Example*> result;
  for (const auto& e : examples) result.push_back(&e);
  return result;
}

// Three examples begin alike, two of them go on alike, one has nothing in common with any.
std::vector<Example> family() {
  const auto root = numbers(100, 20), branch = joined(root, numbers(900, 15));
  return {example(joined(branch, numbers(2000, 9)), 40), example(numbers(5000, 30), 12),
          example(joined(root, numbers(3000, 12)), 25),
          example(joined(branch, numbers(4000, 11)), 38)};
}

TEST(Pack, SharedBeginningsAreOneSegment) {
  const auto examples = family();
  const auto packed = pack(pointers(examples));
  // 20 rows of the root, 15 of the branch, what is left of each (less its last token).
  EXPECT_EQ(packed.segments->rows(), 20 + 15 + 8 + 10 + 11 + 29);
  EXPECT_EQ(packed.tokens, 43 + 29 + 31 + 45);
  EXPECT_EQ(packed.segments->parents, (std::vector<int32_t>{-1, 0, 1, 1, 0, -1}));
  EXPECT_EQ(packed.segments->positions[20], 20);
  EXPECT_EQ(packed.segments->positions[20 + 15 + 8], 35);
  int64_t loss_tokens = 0;
  for (const auto& e : examples) loss_tokens += e.loss_tokens();
  EXPECT_EQ(packed.loss_tokens, loss_tokens);
}

TEST(Pack, RowsThatCarryLossAreNotShared) {
  const std::vector<Example> same = {example(numbers(1, 30), 0), example(numbers(1, 30), 0)};
  EXPECT_EQ(pack(pointers(same)).segments->rows(), 58);
  const std::vector<Example> masked = {example(numbers(1, 30), 20), example(numbers(1, 30), 20)};
  EXPECT_EQ(pack(pointers(masked)).segments->rows(), 19 + 2 * 10);
}

TEST(Pack, ShortBeginningsAreNotShared) {
  const std::vector<Example> examples = {
      example(joined(numbers(1, 5), numbers(300, 20)), 10),
      example(joined(numbers(1, 5), numbers(800, 20)), 10),
  };
  EXPECT_EQ(pack(pointers(examples)).segments->rows(), 48);
}

TEST(Pack, NothingToLearnIsAnEmptyBatch) {
  const std::vector<Example> examples = {example(numbers(1, 5), 5)};
  const auto packed = pack(pointers(examples));
  EXPECT_EQ(packed.loss_tokens, 0);
  EXPECT_EQ(packed.segments->rows(), 0);
}

Example ranked(std::vector<int32_t> tokens, float wins, int64_t group) {
  const auto prompt = static_cast<int32_t>(tokens.size()) - 1;
  Example e = example(std::move(tokens), prompt);
  e.other_token = 77;
  e.wins = wins;
  e.group = group;
  return e;
}

TEST(Pack, RankedPairsKnowTheirRowsAndStayTogether) {
  const auto root = numbers(100, 20);
  const std::vector<Example> examples = {
      ranked(joined(root, numbers(900, 9)), 1, 0), ranked(joined(root, numbers(500, 6)), 0, 0),
      ranked(numbers(4, 30), 0.5, 1), ranked(numbers(3, 30), 0.5, 1)};
  const auto packed = pack_rows(pointers(examples), true);
  EXPECT_EQ(packed.segments->rows(), 20 + 8 + 5 + 2 * 29);
  // Leaves stand in the order of their tokens.
  EXPECT_EQ(packed.places, (std::vector<int32_t>{3, 2, 1, 0}));
  EXPECT_EQ(packed.wins, (std::vector<float>{1, 0.5}));
  EXPECT_EQ(packed.others, (std::vector<int32_t>(4, 77)));
  EXPECT_EQ(packed.targets[3], examples[0].tokens.back());
  EXPECT_EQ(packed.targets[0], examples[3].tokens.back());
  EXPECT_EQ(pack(pointers(examples)).loss_tokens, 2);
  const auto all = pointers(examples);
  EXPECT_EQ(split_batch(all, 1).size(), 2u);
  EXPECT_EQ(split_batch(all, 40)[0].size(), 2u);
  EXPECT_THROW(pack_rows(std::span(all).first(1), true), Error);
  const Example other = example(numbers(1, 30), 20);
  const std::vector<const Example*> mixed = {&examples[0], &examples[1], &other};
  EXPECT_THROW(pack_rows(mixed, true), Error);
}

class PackedLoss : public EmbeddedModelTest {};

TEST_F(PackedLoss, SharingChangesNeitherLossNorGradient) {
  LoraConfig config{.rank = 4, .scale = 2.0f, .dropout = 0.0f, .targets = {}, .num_layers = -1};
  config.targets = {Projection::q, Projection::v};
  Adapter adapter = make_adapter(*model, config, LoraInit::gaussian, 3);
  auto params = flatten(adapter);
  params = mx::add(
      params,
      mx::multiply(mx::sin(mx::arange(0.0, static_cast<double>(params.size()), 1.0, mx::float32)),
                   mx::array(0.01f)));  // B would be zeros
  const auto examples = family();
  double losses[2];
  std::vector<float> grads[2];
  for (const bool share : {false, true}) {
    auto [loss, gradient] =
        loss_and_gradient(*model, adapter, params, pack(pointers(examples), share), {});
    mx::eval({loss, gradient});
    losses[share] = double{loss.item<float>()};
    grads[share].assign(gradient.data<float>(), gradient.data<float>() + gradient.size());
  }
  EXPECT_NEAR(losses[1] / losses[0], 1.0, 1e-6);
  double difference = 0.0, norm = 0.0;
  for (size_t i = 0; i < params.size(); ++i) {
    difference += std::pow(double{grads[1][i]} - double{grads[0][i]}, 2);
    norm += std::pow(double{grads[0][i]}, 2);
  }
  EXPECT_GT(norm, 0.0);
  EXPECT_LT(std::sqrt(difference / norm), 5e-5);
}

}  // namespace
}  // namespace gavel
