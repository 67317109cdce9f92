// Logits of quantized MLX directories against mlx_lm's.
#include "export/quantize.h"
#include "mlx/ops.h"
#include "model/io_support.h"
#include "model/safetensors.h"
#include "model/transformer.h"

namespace gavel {
namespace {

using namespace gavel::testing;
namespace mx = mlx::core;

// ||ours - theirs|| / ||theirs|| over every `step`th logit of the golden's ten tokens.
double relative_error(const LoadedModel& loaded, const std::string& name, int step) {
  const mx::array theirs = read_safetensors(golden("mlx_lm_logits.safetensors")).at(name);
  const int rows = theirs.shape(0);
  std::vector<int32_t> ids;
  for (int i = 0; i < rows; ++i) ids.push_back((37 * i + 3) % loaded.config.vocab_size);
  const Model model = make_model(loaded);
  const mx::array all = logits(model, hidden_states(model, mx::array(ids.data(), {rows}, mx::int32),
                                                    make_segments({rows}), nullptr));
  const mx::array ours = mx::slice(all, {0, 0}, all.shape(), {1, step});
  EXPECT_EQ(ours.shape(), theirs.shape());
  const mx::array error = mx::sqrt(mx::sum(mx::square(ours - theirs)));
  return double{(error / mx::sqrt(mx::sum(mx::square(theirs)))).item<float>()};
}

TEST(MlxLm, LogitsOfQuantizedDirectories) {
  for (const char* name : {"qwen2_mlx4", "llama_mlx3"}) {
    const LoadedModel loaded = load_model(golden("models") / name);
    EXPECT_LT(relative_error(loaded, name, 1), 1e-4) << name;
  }
}

TEST(MlxLm, LogitsOfTheEmbeddedModelIn4Bits) {
  const auto path =
      std::filesystem::path(GAVEL_SOURCE_DIR) / "models/SmolLM2-135M-Instruct.Q4_1.gguf";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "run ./run setup for the embedded model";
  LoadedModel loaded = load_model(path);
  quantize_model(loaded, {.base = {64, 4}});
  const double error = relative_error(loaded, "smollm2_mlx4", 97);
  RecordProperty("relative_error", std::to_string(error));
  EXPECT_LT(error, 1e-3);
}

}  // namespace
}  // namespace gavel
