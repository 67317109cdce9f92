// A quick hash of a model's weights.
#include <algorithm>

#include "base/random.h"
#include "model/transformer.h"

namespace gavel {
namespace {

constexpr int64_t kSamples = 8, kSampleBytes = 512;

// Samples are copied before they are read, since reading moves a whole array out of a card's
// memory.
uint64_t hash_of(const mx::array& array, uint64_t seed) {
  uint64_t h =
      Random::mix(seed ^ (static_cast<uint64_t>(array.dtype().val()) << 32) ^ array.nbytes());
  for (const int n : array.shape()) h = Random::mix(h ^ static_cast<uint64_t>(n));
  const mx::array flat = mx::flatten(array);
  const auto size = static_cast<int64_t>(flat.size());
  const int64_t length = std::min<int64_t>(size, kSampleBytes / array.itemsize());
  std::vector<mx::array> samples;
  for (int64_t i = 0; i < kSamples; ++i) {
    const auto from = static_cast<int>((size - length) / (kSamples - 1) * i);
    samples.push_back(mx::slice(flat, {from}, {from + static_cast<int>(length)}));
  }
  mx::array copy = mx::concatenate(samples);
  copy.eval();
  return stable_hash({copy.data<char>(), copy.nbytes()}, h);
}

}  // namespace

uint64_t weights_hash(const Model& model) {
  uint64_t h = 0;
  const auto vector = [&](const std::optional<mx::array>& a) { h = a ? hash_of(*a, h) : h + 1; };
  const auto weight = [&](const Weight& w) {
    vector(w.data);
    vector(w.scales);
    vector(w.biases);
    h = Random::mix(h ^ static_cast<uint64_t>(w.bits * 65536 + w.group_size));
  };
  weight(model.embed_tokens);
  if (!model.config.tie_word_embeddings) weight(model.lm_head);
  vector(model.norm);
  vector(model.inv_freq);
  for (const DecoderLayer& layer : model.layers) {
    for (const Weight& w : layer.weights) weight(w);
    for (const auto& b : layer.biases) vector(b);
    for (const auto& n : {layer.q_norm, layer.k_norm}) vector(n);
    vector(layer.input_layernorm);
    vector(layer.post_attention_layernorm);
  }
  return h;
}

}  // namespace gavel
