// Generating on an NVIDIA card: the decoder layer as launches on plain device memory
// (ops/cuda/inference.h), caches in pages. No graph is made of a step's operations.
#pragma once

#include <array>
#include <list>
#include <memory>
#include <span>

#include "model/logits.h"
#include "model/transformer.h"
#include "ops/cuda/inference.h"

namespace gavel {

// The packed new rows of a pass over caches.
struct PackedInputs {
  std::vector<int32_t> ids, rows;  // rows: those whose logits are wanted, ascending
  std::shared_ptr<Segments> segments = std::make_shared<Segments>();
  std::vector<std::shared_ptr<KvCache>> caches;
};

// An adapter as the card's kernels read it.
struct CardLora {
  Arrays made_from;  // its matrices, which tell whether it is still the same one
  Arrays memory;
  struct Layer {
    std::array<cuda::LoraInputs, 4> inputs;  // of q, k, v; of o; of gate and up; of down
    std::array<cuda::LoraPart, kProjections> parts;
  };
  std::vector<Layer> layers;
};

// For one model, and one thread at a time.
class CardInference {
 public:
  explicit CardInference(const Model& model);
  std::unique_ptr<KvStorage> make_storage() const;
  // Runs the packed rows; their caches are extended for them already. The logits last until the
  // next pass.
  std::unique_ptr<Logits> forward(const Model& model, const ModelLora* lora,
                                  const PackedInputs& inputs);

 private:
  friend class CardLogits;
  struct Tables;
  Tables upload(const PackedInputs& inputs, const ModelConfig& config);
  const CardLora* prepared(const Model& model, const ModelLora* lora);

  cuda::Inference run_;
  std::shared_ptr<cuda::PagePool> pool_;
  cuda::Workspace workspace_;
  cuda::PinnedMemory tables_;
  std::list<CardLora> loras_;  // last used first
};

// Null where the model is not on a card, or has sizes that the kernels do not take.
std::shared_ptr<CardInference> make_card_inference(const Model& model);

}  // namespace gavel
