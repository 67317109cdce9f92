#include "data/batches.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/error.h"

namespace gavel {
namespace {

std::vector<Example> examples_of(const std::vector<int>& lengths,
                                 const std::vector<int>& groups = {}) {
  std::vector<Example> examples(lengths.size());
  for (size_t i = 0; i < lengths.size(); ++i) {
    examples[i].tokens = std::vector<int32_t>(static_cast<size_t>(lengths[i]));
    examples[i].group = groups.empty() ? static_cast<int64_t>(i) : groups[i];
  }
  return examples;
}

using Batches = std::vector<std::vector<int32_t>>;

Batches epoch_of(BatchPlan& plan) {
  Batches batches;
  for (int64_t i = 0; i < plan.batches_per_epoch(); ++i) batches.push_back(plan.next_batch());
  return batches;
}

TEST(Batches, HoldExamplesOfLikeLengthAndVisitEachOncePerEpoch) {
  const auto examples = examples_of({9, 1, 8, 2, 7, 3, 6, 4, 5});
  BatchPlan plan(examples, 2, 1);
  ASSERT_EQ(plan.batches_per_epoch(), 5);
  for (int epoch = 0; epoch < 3; ++epoch) {
    Batches batches = epoch_of(plan);
    std::sort(batches.begin(), batches.end());
    // Sorted by length the examples are 1 3 5 7 8 6 4 2 0; the longest is left alone.
    EXPECT_EQ(batches, (Batches{{0}, {1, 3}, {4, 2}, {5, 7}, {8, 6}}));
  }
}

TEST(Batches, OrderDependsOnSeedAndEpochAlone) {
  const auto examples = examples_of(std::vector<int>(64, 5));
  for (const auto order : {BatchOrder::by_length, BatchOrder::shuffled}) {
    BatchPlan one(examples, 4, 7, order), same(examples, 4, 7, order), other(examples, 4, 8, order);
    const Batches first = epoch_of(one);
    EXPECT_EQ(first, epoch_of(same));
    EXPECT_NE(first, epoch_of(other));
    EXPECT_NE(first, epoch_of(one));  // the second epoch
  }
}

TEST(Batches, ResumeAtAnyPlaceGivesTheSameBatches) {
  std::vector<int> lengths(30);
  for (int i = 0; i < 30; ++i) lengths[i] = 1 + i * 7 % 13;
  const auto examples = examples_of(lengths);
  for (const auto order : {BatchOrder::by_length, BatchOrder::shuffled}) {
    BatchPlan whole(examples, 4, 3, order);
    std::vector<BatchState> states;
    Batches batches;
    for (int i = 0; i < 40; ++i) {
      states.push_back(whole.state());
      batches.push_back(whole.next_batch());
    }
    for (int start = 0; start < 40; ++start) {
      BatchPlan resumed(examples, 4, 3, order);
      resumed.set_state(states[start]);
      for (int i = start; i < 40; ++i) ASSERT_EQ(resumed.next_batch(), batches[i]) << start;
    }
  }
}

TEST(Batches, ShuffledEpochsDrawOtherBatchesAndMissNothing) {
  const auto examples = examples_of(std::vector<int>(21, 5));
  BatchPlan plan(examples, 4, 3, BatchOrder::shuffled);
  std::set<std::vector<int32_t>> all;
  for (int epoch = 0; epoch < 4; ++epoch) {
    std::set<int32_t> seen;
    for (const auto& batch : epoch_of(plan)) {
      all.insert(batch);
      seen.insert(batch.begin(), batch.end());
    }
    EXPECT_EQ(seen.size(), 21u);
  }
  EXPECT_GT(all.size(), 12u);
}

TEST(Batches, GroupsStayTogether) {
  const auto examples = examples_of({5, 30, 9, 9, 1, 2, 7, 20}, {0, 0, 1, 1, 2, 2, 3, 3});
  for (const auto order : {BatchOrder::by_length, BatchOrder::shuffled}) {
    BatchPlan plan(examples, 4, 5, order);
    for (const auto& batch : epoch_of(plan))
      for (const int32_t i : batch)
        EXPECT_NE(std::find(batch.begin(), batch.end(), i ^ 1), batch.end()) << i;
  }
}

TEST(Batches, ValidationIsTheSameEachTimeAndBounded) {
  const auto examples = examples_of({3, 1, 2, 9, 8, 7, 5, 4});
  const auto some = validation_batches(examples, 2, 3, 1);
  EXPECT_EQ(some.size(), 3u);
  EXPECT_EQ(some, validation_batches(examples, 2, 3, 1));
  EXPECT_EQ(validation_batches(examples, 2, -1, 1).size(), 4u);
  EXPECT_EQ(validation_batches(examples, 2, 99, 1).size(), 4u);
}

TEST(Batches, RefuseWhatCannotBe) {
  const auto examples = examples_of({3, 1});
  EXPECT_THROW(BatchPlan({}, 2, 1), Error);
  EXPECT_THROW(BatchPlan(examples, 0, 1), Error);
  BatchPlan plan(examples, 1, 1);
  EXPECT_THROW(plan.set_state({0, 3}), Error);
  EXPECT_THROW(plan.set_state({-1, 0}), Error);
}

}  // namespace
}  // namespace gavel
