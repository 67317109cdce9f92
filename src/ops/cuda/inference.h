// The operations of inference on the card: named functions over plain device memory, each a launch
// or a few on one queue. All activations are bfloat16, a row a token.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>

#include "ops/cuda/blas.h"
#include "ops/cuda/kv_pages.h"
#include "ops/largest_logits.h"

namespace gavel::cuda {

// Rows of bfloat16 values, `stride` apart.
struct Rows {
  void* data = nullptr;
  int rows = 0, width = 0, stride = 0;
  Rows first(int count) const { return {data, count, width, stride}; }
};

// Memory of the card for one step, given out piece after piece and all taken back at once.
class Workspace {
 public:
  // All pieces are free again; nothing may be under way that uses them.
  void reset();
  void* take(size_t bytes);
  // A piece that is overwritten again and again: the same one, where it is large enough.
  enum class Scratch : uint8_t { weights, lora, sums, arranged, beside };
  void* scratch(Scratch which, size_t bytes);
  Rows rows(int count, int width);

 private:
  std::vector<mx::array> chunks_;  // the last is given out
  size_t size_ = 0, used_ = 0, all_ = 0;
  struct Piece {
    void* memory = nullptr;
    size_t bytes = 0;
  };
  std::array<Piece, 5> scratch_;
};

// Rows that products read; where `norm` is given, they are normed first (RMSNorm), in `normed`
// where the product does not do it on the way.
struct Input {
  Rows x;
  const mx::array* norm = nullptr;
  float eps = 0.0f;
  Rows normed = {};
};
// A LoRA branch as the kernels read it.
struct LoraPart {
  void* b = nullptr;  // [n, rank], the scale multiplied in; null: none
  int rank = 0;       // a multiple of 8, filled up with zeros
  int first = 0;      // of its columns in x A
};
// One of the linear layers that read the same rows.
struct Product {
  const Weight* weight = nullptr;
  const mx::array* bias = nullptr;  // null: none
  LoraPart lora;
  Rows y;
  bool residual = false;  // y is added to
};
// The LoRA matrices A of the layers that read the same rows, below each other.
struct LoraInputs {
  void* a = nullptr;  // [ranks, k]; null: none
  int ranks = 0;
};

class Inference {
 public:
  Inference();
  const Queue& queue() const { return queue_; }

  // Rows ids of the table; ids on the card.
  void embed(const Weight& table, const int32_t* ids, const Rows& out);
  void gather(const Rows& x, const int32_t* rows, const Rows& out);
  void norm(const Rows& x, const mx::array& weight, float eps, const Rows& y);
  // The products of x with each weight. Up to 64 rows are multiplied with 4 and 8 bits as they lie
  // in memory (from 17 on otherwise on compute capability 9.0); otherwise weights are made bfloat16
  // and cuBLAS multiplies.
  void products(Workspace& workspace, Input in, std::span<const Product> products,
                const LoraInputs& lora);
  // out = silu(gate) * up, both products of x.
  void gated(Workspace& workspace, Input in, const Product& gate, const Product& up,
             const LoraInputs& lora, const Rows& out);
  // logits [rows, vocabulary] float32.
  void logits(Workspace& workspace, Input in, const Weight& head, float* logits);
  // q, k and v side by side in `qkv` [rows, (heads + 2 kv_heads) * head_dim]: normed where weights
  // are given, q and k turned, k and v written to where `row_addresses` says.
  struct Attention {
    PageSizes sizes;
    int heads = 0;
    size_t layer = 0;
    float eps = 0.0f;
    const mx::array *inv_freq = nullptr, *q_norm = nullptr, *k_norm = nullptr;
    // Of this step, on the card.
    const int32_t* positions = nullptr;
    const uint64_t* rows = nullptr;
    const PageEntry* entries = nullptr;
    const PageTask *few = nullptr, *many = nullptr;
    int few_count = 0, many_count = 0;
    float* parts = nullptr;       // few_part_floats(sizes) for each slot of a key head
    int32_t* counters = nullptr;  // zeros, one for each slot of a key head
  };
  static size_t part_floats(const PageSizes& s) {
    return static_cast<size_t>(16 * s.head_dim + 32);
  }
  void rotate_and_store(const Rows& qkv, const Attention& a);
  void attention(const Rows& qkv, const Attention& a, const Rows& out);

  // Of each row of logits; waits for all that was asked before.
  std::vector<LargestLogits> largest(Workspace& workspace, const float* logits, int rows, int vocab,
                                     int count);
  // logits[rows[i], ids[i]]; waits likewise.
  std::vector<float> pick(Workspace& workspace, const float* logits, int vocab,
                          std::span<const int32_t> rows, std::span<const int32_t> ids);

 private:
  // What else the kernel of few rows takes: x A; where silu(gate) * up or float32 sums go.
  struct Few {
    const float* xa = nullptr;
    int xa_stride = 0;
    const Rows* out = nullptr;
    float* float_out = nullptr;
  };
  void make_normed(Input& in);
  void* lora_inner(Workspace& workspace, Input& in, const LoraInputs& lora, bool few);
  bool multiply_few(Workspace& workspace, Input& in, std::span<const Product> products,
                    const Few& how);
  bool multiply_wide(Workspace& workspace, const Input& in, std::span<const Product> products,
                     const Few& how);
  void multiply_many(Workspace& workspace, const Rows& x, const Product& product, const void* xa,
                     int xa_stride);
  void multiply_dense(Workspace& workspace, const Rows& x, const Weight& w, void* y, int y_stride,
                      bool add, bool float_out);
  void swiglu(const Rows& gate, const Rows& up, const Rows& out);

  Queue queue_;
  bool wide_ = compute_capability() == 90;  // has the kernel for 17 to 64 rows
  mx::array blas_memory_;
  Blas blas_;
  static constexpr int kCounters = 8192;
  mx::array counters_;  // zeros between kernels
  PinnedMemory results_;
};

}  // namespace gavel::cuda
