#include "ops/cuda/inference.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/error.h"

namespace gavel::cuda {
namespace {

void* pointer(const mx::array* a) { return a == nullptr ? nullptr : address(*a); }

}  // namespace

void Workspace::reset() {
  if (chunks_.size() > 1) {  // one of the whole size instead
    chunks_.clear();
    chunks_.push_back(device_memory(all_));
    size_ = all_;
  }
  used_ = 0;
  scratch_ = {};
}

void* Workspace::scratch(Scratch which, size_t bytes) {
  Piece& piece = scratch_[static_cast<size_t>(which)];
  if (piece.bytes < bytes) piece = {take(bytes), bytes};
  return piece.memory;
}

void* Workspace::take(size_t bytes) {
  bytes = (bytes + 255) / 256 * 256;
  if (used_ + bytes > size_) {
    size_ = std::max(bytes, size_t{64} << 20);
    used_ = 0;
    all_ += size_;
    chunks_.push_back(device_memory(size_));
  }
  used_ += bytes;
  return static_cast<char*>(address(chunks_.back())) + (used_ - bytes);
}

Rows Workspace::rows(int count, int width) {
  return {take(static_cast<size_t>(count) * static_cast<size_t>(width) * 2), count, width, width};
}

Inference::Inference()
    : blas_memory_(device_memory(Blas::kWorkspaceBytes)),
      blas_(queue_, address(blas_memory_)),
      counters_(device_memory(kCounters * sizeof(int32_t))) {
  queue_.clear(address(counters_), kCounters * sizeof(int32_t));
  queue_.wait();
}

void Inference::embed(const Weight& table, const int32_t* ids, const Rows& out) {
  const Launch shape{.blocks_x = out.rows, .threads = 128};
  if (!table.quantized()) {
    const auto f = queue_.function(
        Source::rows, fmt::format("embed_dense<{}, bf16>", type_name(table.data.dtype())));
    return queue_.launch(f, shape, address(table.data), ids, out.data, out.width);
  }
  const auto f = queue_.function(
      Source::rows,
      fmt::format("embed_quantized<{}, {}, bf16>", table.bits, type_name(table.scales->dtype())));
  queue_.launch(f, shape, address(table.data), address(*table.scales), address(*table.biases), ids,
                out.data, out.width / 8, table.group_size / 8);
}

void Inference::gather(const Rows& x, const int32_t* rows, const Rows& out) {
  queue_.launch(queue_.function(Source::rows, "gather_rows"),
                {.blocks_x = out.rows, .threads = 128}, x.data, rows, out.data, x.width / 8);
}

void Inference::norm(const Rows& x, const mx::array& weight, float eps, const Rows& y) {
  const int threads = std::min(512, (x.width / 8 + 31) / 32 * 32);
  queue_.launch(queue_.function(Source::inference, "norm_rows"),
                {.blocks_x = x.rows, .threads = threads, .early = true}, x.data, address(weight),
                y.data, x.width, eps);
}

void Inference::swiglu(const Rows& gate, const Rows& up, const Rows& out) {
  const int eights = blocks_for(int64_t{gate.rows} * gate.width, 8);
  queue_.launch(queue_.function(Source::elementwise, "swiglu"),
                {.blocks_x = blocks_for(eights, 256)}, gate.data, up.data, out.data, eights);
}

void Inference::rotate_and_store(const Rows& qkv, const Attention& a) {
  const auto f =
      queue_.function(Source::inference, fmt::format("rotate_and_store<{}>", a.sizes.head_dim));
  const auto kv_heads = static_cast<int>(a.sizes.kv_heads);
  const int64_t layer = static_cast<int64_t>(a.layer) * a.sizes.layer();
  queue_.launch(f,
                {.blocks_x = qkv.rows,
                 .blocks_y = blocks_for(a.heads + 2 * kv_heads, 16),
                 .threads = 128,
                 .early = true},
                qkv.data, a.positions, a.rows, address(*a.inv_freq), pointer(a.q_norm),
                pointer(a.k_norm), qkv.rows, a.heads, kv_heads, layer, a.sizes.plane(), a.eps);
}

void Inference::attention(const Rows& qkv, const Attention& a, const Rows& out) {
  const auto d = static_cast<int>(a.sizes.head_dim), kv_heads = static_cast<int>(a.sizes.kv_heads);
  const int64_t layer = static_cast<int64_t>(a.layer) * a.sizes.layer(), plane = a.sizes.plane();
  const float scale = 1.0f / std::sqrt(static_cast<float>(d));
  if (a.few_count > 0) {
    const int shared = 4 * kPageRows * d * 2;
    const auto f =
        queue_.function(Source::paged_attention, fmt::format("paged_attention_few<{}>", d), shared);
    queue_.launch(f,
                  {.blocks_x = a.few_count,
                   .blocks_y = kv_heads,
                   .threads = 128,
                   .shared_bytes = shared,
                   .early = true},
                  qkv.data, a.few, a.entries, out.data, a.parts, a.counters, qkv.stride, a.heads,
                  kv_heads, layer, plane, scale);
  }
  if (a.many_count > 0) {
    const int shared = 4 * kPageRows * d * 2;
    const auto f =
        queue_.function(Source::paged_attention, fmt::format("paged_attention<{}>", d), shared);
    queue_.launch(f,
                  {.blocks_x = a.heads,
                   .blocks_y = a.many_count,
                   .threads = 128,
                   .shared_bytes = shared,
                   .early = true},
                  qkv.data, a.many, a.entries, out.data, qkv.stride, a.heads, kv_heads, layer,
                  plane, scale);
  }
}

std::vector<LargestLogits> Inference::largest(Workspace& workspace, const float* logits, int rows,
                                              int vocab, int count) {
  count = std::clamp(count, 1, kMostLargest);
  const size_t words = static_cast<size_t>(2 + 2 * count), bytes = words * 4 * size_t(rows);
  const int slices = std::clamp(256 / rows, 1, 32), slice = blocks_for(vocab, slices);
  void *parts = workspace.take(bytes * static_cast<size_t>(slices)), *out = workspace.take(bytes);
  queue_.launch(queue_.function(Source::inference, "largest_of_slices"),
                {.blocks_x = rows, .blocks_y = slices, .threads = 1024, .early = true}, logits,
                parts, vocab, count, slice);
  queue_.launch(queue_.function(Source::inference, "largest_of_rows"),
                {.blocks_x = rows, .threads = 1024, .early = true}, parts, out, slices, count);
  auto* host = reinterpret_cast<const int32_t*>(results_.reserve(bytes));
  queue_.download(results_.data(), out, bytes);
  queue_.wait();
  std::vector<LargestLogits> result(static_cast<size_t>(rows));
  for (auto& row : result) {
    const auto number = [](int32_t bits) { return std::bit_cast<float>(bits); };
    row.log_sum_exp = number(host[0]);
    row.known = host[1] >= 0;
    for (int i = 0; i < host[1]; ++i)
      row.tokens.emplace_back(host[2 + i], number(host[2 + count + i]));
    host += words;
  }
  return result;
}

std::vector<float> Inference::pick(Workspace& workspace, const float* logits, int vocab,
                                   std::span<const int32_t> rows, std::span<const int32_t> ids) {
  const size_t bytes = rows.size_bytes();
  std::vector<float> picked(rows.size());
  if (picked.empty()) return picked;
  void* memory[] = {workspace.take(bytes), workspace.take(bytes), workspace.take(bytes)};
  std::byte* host = results_.reserve(3 * bytes);
  std::memcpy(host, rows.data(), bytes);
  std::memcpy(host + bytes, ids.data(), bytes);
  queue_.upload(memory[0], host, bytes);
  queue_.upload(memory[1], host + bytes, bytes);
  const auto count = static_cast<int>(rows.size());
  queue_.launch(queue_.function(Source::inference, "pick_logits"),
                {.blocks_x = blocks_for(count, 256)}, logits, memory[0], memory[1], memory[2],
                vocab, count);
  queue_.download(host + 2 * bytes, memory[2], bytes);
  queue_.wait();
  std::memcpy(picked.data(), host + 2 * bytes, bytes);
  return picked;
}

}  // namespace gavel::cuda
