// Greedy text of the embedded model against transformers (scripts/make_greedy_goldens.py), one
// prompt alone and all of them batched with shared prefixes.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "embedded_model.h"
#include "generate/engine.h"

namespace gavel {
namespace {
namespace fs = std::filesystem;

struct Golden {
  std::vector<int> prompt, tokens;
};

std::vector<Golden> goldens() {
  std::vector<Golden> all;
  for (const auto& row :
       nlohmann::json::parse(read_file(fs::path(GAVEL_GOLDEN_DIR) / "greedy.json")))
    all.push_back({row["prompt"].get<std::vector<int>>(), row["tokens"].get<std::vector<int>>()});
  return all;
}

class Greedy : public EmbeddedModelTest {
 protected:
  // The goldens go on past the end-of-sequence token, and so does this.
  static GenerateOptions sixty_four() {
    return {.max_tokens = 64, .sampling = {}, .eos_token_ids = {}};
  }
};

TEST_F(Greedy, SixtyFourTokensAreThoseOfTransformers) {
  const auto all = goldens();
  ASSERT_GE(all.size(), 20u);
  std::vector<std::vector<int>> prompts;
  for (const auto& g : all) prompts.push_back(g.prompt);
  for (const auto precision : {kernels::Precision::float32, kernels::kInferencePrecision}) {
    SCOPED_TRACE(kernels::precision_name(precision));
    const Model used = with_precision(*model, precision);
    const auto batched = generate(used, nullptr, prompts, sixty_four(), 8);
    for (size_t i = 0; i < all.size(); ++i) EXPECT_EQ(batched[i]->tokens, all[i].tokens) << i;
    const auto alone = generate(used, nullptr, {prompts[3]}, sixty_four(), 1);
    EXPECT_EQ(alone[0]->tokens, all[3].tokens);
  }
}

TEST_F(Greedy, ScoresAreTheSameWhateverTheBatch) {
  const auto all = goldens();
  std::vector<ScoreRequest> requests;
  for (const auto& g : all)
    requests.push_back({g.prompt, {{g.tokens[0]}, {g.tokens[0], g.tokens[1], g.tokens[2]}, {17}}});
  const auto together = score(*model, nullptr, requests, 8);
  for (size_t i = 0; i < 3; ++i) {
    const auto alone = score(*model, nullptr, std::span(requests).subspan(i, 1), 1)[0];
    for (size_t c = 0; c < alone.size(); ++c) EXPECT_NEAR(alone[c], together[i][c], 1e-3);
    EXPECT_GT(alone[0], alone[2]);  // the greedy token is likelier than another
    EXPECT_LE(alone[1], alone[0]);
  }
}

}  // namespace
}  // namespace gavel
