#include "model/gguf_tensors.h"

#include <atomic>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/half.h"
#include "base/memory.h"
#include "base/threads.h"
#include "mlx/allocator.h"
#include "model/mapped_array.h"
#include "model/packing.h"

namespace gavel {
namespace mx = mlx::core;
namespace {

std::shared_ptr<const MappedFile> map_of(const std::shared_ptr<const GgufFile>& file) {
  return {file, &file->file()};
}

mx::array make_array(mx::Shape shape, mx::Dtype dtype) {
  size_t bytes = mx::size_of(dtype);
  for (const auto n : shape) bytes *= static_cast<size_t>(n);
  auto memory = mx::allocator::malloc(bytes);
  prefer_large_pages(memory.buffer().raw_ptr(), bytes);
  return mx::array(std::move(memory), std::move(shape), dtype);
}

// ---- packed forms ----

// 16 bytes of nibbles, value j low and j + 16 high, become 32 values in order, low nibble first.
void repack_nibbles(const uint8_t* from, uint8_t* to) {
  for (int i = 0; i < 8; ++i) {
    to[i] = static_cast<uint8_t>((from[2 * i] & 15) | (from[2 * i + 1] & 15) << 4);
    to[8 + i] = static_cast<uint8_t>((from[2 * i] >> 4) | (from[2 * i + 1] & 0xf0));
  }
}

// 16 bytes of such nibbles, each the place of a value in IQ4's table, become 32 bytes, 128 added.
void repack_table(const uint8_t* from, uint8_t* to) {
  for (int i = 0; i < 16; ++i) {
    to[i] = static_cast<uint8_t>(iq4_values[from[i] & 15] + 128);
    to[16 + i] = static_cast<uint8_t>(iq4_values[from[i] >> 4] + 128);
  }
}

// Stores a scale or bias; false where the stored type does not hold it exactly.
bool store(uint16_t* to, float value) {
  *to = f32_to_f16(value);
  return f16_to_f32(*to) == value;
}
bool store(float* to, float value) {
  *to = value;
  return true;
}

// Both are stored, whether or not the first fits.
template <typename S>
bool store_group(S* scales, float scale, S* biases, float bias) {
  const bool exact = store(scales, scale);
  return store(biases, bias) && exact;
}

// One block's groups of 32 into packed words, scales and biases.
template <typename S>
bool convert_block(GgmlType type, const uint8_t* b, uint8_t* packed, S* scales, S* biases) {
  const auto half = [](const uint8_t* p) {
    uint16_t h;
    std::memcpy(&h, p, 2);
    return f16_to_f32(h);
  };
  const auto five = [](const uint8_t* high, const uint8_t* low, uint8_t* to) {
    uint32_t bits;
    std::memcpy(&bits, high, 4);
    uint8_t values[32];
    for (int i = 0; i < 16; ++i) {
      values[i] = static_cast<uint8_t>((low[i] & 15) | ((bits >> i) & 1u) << 4);
      values[i + 16] = static_cast<uint8_t>((low[i] >> 4) | ((bits >> (i + 16)) & 1u) << 4);
    }
    pack_five_bits(values, to);
  };
  const float d = half(b);
  switch (type) {
    case GgmlType::q4_0:
      repack_nibbles(b + 2, packed);
      return store_group(scales, d, biases, -8.0f * d);
    case GgmlType::q4_1:
      repack_nibbles(b + 4, packed);
      return store_group(scales, d, biases, half(b + 2));
    case GgmlType::q5_0:
      five(b + 2, b + 6, packed);
      return store_group(scales, d, biases, -16.0f * d);
    case GgmlType::q5_1:
      five(b + 4, b + 8, packed);
      return store_group(scales, d, biases, half(b + 2));
    case GgmlType::q8_0:  // -128..127 becomes 0..255
      for (int i = 0; i < 32; ++i) packed[i] = b[2 + i] ^ 0x80u;
      return store_group(scales, d, biases, -128.0f * d);
    case GgmlType::iq4_nl:
      repack_table(b + 2, packed);
      return store_group(scales, d, biases, -128.0f * d);
    case GgmlType::iq4_xs: {
      bool exact = true;
      for (int sub = 0; sub < 8; ++sub) {
        const float scale = d * static_cast<float>(iq4_xs_scale(b, sub));
        repack_table(b + 8 + 16 * sub, packed + 32 * sub);
        exact &= store_group(scales + sub, scale, biases + sub, -128.0f * scale);
      }
      return exact;
    }
    default:
      break;
  }
  // Q4_K and Q5_K: eight groups of 32, their nibbles in pairs of groups.
  const bool fifth_bit = type == GgmlType::q5_k;
  const float dmin = half(b + 2);
  const uint8_t* high = b + 16;
  const uint8_t* q = b + (fifth_bit ? 48 : 16);
  bool exact = true;
  for (int sub = 0; sub < 8; ++sub) {
    int scale, minimum;
    k_scale_min(b + 4, sub, scale, minimum);
    exact &= store_group(scales + sub, d * static_cast<float>(scale), biases + sub,
                         -dmin * static_cast<float>(minimum));
    uint8_t values[32];
    for (int l = 0; l < 32; ++l) {
      const uint8_t byte = q[32 * (sub / 2) + l];
      values[l] = sub % 2 == 0 ? byte & 15 : byte >> 4;
      if (fifth_bit) values[l] |= static_cast<uint8_t>(((high[l] >> sub) & 1) << 4);
    }
    if (fifth_bit) {
      pack_five_bits(values, packed + 20 * sub);
    } else {
      for (int l = 0; l < 16; ++l)
        packed[16 * sub + l] = static_cast<uint8_t>(values[2 * l] | values[2 * l + 1] << 4);
    }
  }
  return exact;
}

int packed_bits(GgmlType type) {
  switch (type) {
    case GgmlType::q4_0:
    case GgmlType::q4_1:
    case GgmlType::q4_k:
      return 4;
    case GgmlType::q5_0:
    case GgmlType::q5_1:
    case GgmlType::q5_k:
      return 5;
    case GgmlType::q8_0:
    case GgmlType::iq4_nl:
    case GgmlType::iq4_xs:
      return 8;
    default:
      return 0;
  }
}

// Calls row(source bytes, destination row) for every row, in parallel, and releases the pages.
template <typename Row>
void each_row(const GgufFile& file, const GgufTensor& tensor, int head_dim, const Row& row) {
  const int64_t rows = tensor.shape[0];
  const size_t row_bytes = tensor.bytes / static_cast<size_t>(rows);
  const auto grain = static_cast<int64_t>(std::max<size_t>(1, (size_t{1} << 20) / row_bytes));
  const std::byte* data = file.file().bytes().data() + tensor.offset;
  parallel_for_dynamic(rows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r)
      row(data + static_cast<size_t>(r) * row_bytes, deinterleaved_row(r, head_dim));
    file.file().release(tensor.offset + static_cast<size_t>(begin) * row_bytes,
                        static_cast<size_t>(end - begin) * row_bytes);
  });
}

// S: the scales' type in memory. Nothing where a scale or bias does not fit it exactly.
template <typename S>
std::optional<Weight> convert_packed(const GgufFile& file, const GgufTensor& tensor, int head_dim) {
  const GgmlTypeInfo& info = ggml_type_info(tensor.type);
  const int bits = packed_bits(tensor.type);
  const auto rows = static_cast<int>(tensor.shape[0]);
  const auto cols = tensor.shape[1];
  const mx::Dtype dtype = sizeof(S) == 2 ? mx::float16 : mx::float32;
  const auto words = static_cast<int>(cols * bits / 32);
  const auto groups = static_cast<int>(cols / 32);
  Weight w{make_array({rows, words}, mx::uint32), make_array({rows, groups}, dtype),
           make_array({rows, groups}, dtype), 32, bits};
  auto* packed = w.data.data<uint8_t>();
  auto* scales = reinterpret_cast<S*>(w.scales->data<uint8_t>());
  auto* biases = reinterpret_cast<S*>(w.biases->data<uint8_t>());
  const int64_t groups_per_block = info.block_values / 32;
  std::atomic<bool> exact{true};
  each_row(file, tensor, head_dim, [&](const std::byte* from, int64_t to) {
    const auto* b = reinterpret_cast<const uint8_t*>(from);
    bool row_exact = true;
    for (int64_t g = 0; g < groups; g += groups_per_block, b += info.block_bytes) {
      const int64_t at = to * groups + g;
      row_exact &=
          convert_block<S>(tensor.type, b, packed + at * bits * 4, scales + at, biases + at);
    }
    if (!row_exact) exact.store(false, std::memory_order_relaxed);
  });
  if (!exact) return std::nullopt;
  return w;
}

// Dequantized to f16, or to f32 where a value is too large for f16.
mx::array dequantize(const GgufFile& file, const GgufTensor& tensor, int head_dim) {
  const int64_t cols = tensor.shape[1];
  const mx::Shape shape{static_cast<int>(tensor.shape[0]), static_cast<int>(cols)};
  std::atomic<bool> fits{true};
  mx::array out = make_array(shape, mx::float16);
  auto* half = reinterpret_cast<uint16_t*>(out.data<uint8_t>());
  each_row(file, tensor, head_dim, [&](const std::byte* from, int64_t to) {
    std::vector<float> values(static_cast<size_t>(cols));
    dequantize_gguf_row(tensor.type, from, cols, values.data());
    for (int64_t i = 0; i < cols; ++i) {
      if (!(std::abs(values[static_cast<size_t>(i)]) < 65520.0f))
        fits.store(false, std::memory_order_relaxed);
      half[to * cols + i] = f32_to_f16(values[static_cast<size_t>(i)]);
    }
  });
  if (fits) return out;
  out = make_array(shape, mx::float32);
  auto* single = out.data<float>();
  each_row(file, tensor, head_dim, [&](const std::byte* from, int64_t to) {
    dequantize_gguf_row(tensor.type, from, cols, single + to * cols);
  });
  return out;
}

std::optional<mx::Dtype> dense_dtype(GgmlType type) {
  if (type == GgmlType::f32) return mx::float32;
  if (type == GgmlType::f16) return mx::float16;
  if (type == GgmlType::bf16) return mx::bfloat16;
  return std::nullopt;
}

// Plain numbers: where they lie, or copied in the other order of rows.
mx::array dense(const std::shared_ptr<const GgufFile>& file, const GgufTensor& tensor,
                mx::Dtype dtype, int head_dim) {
  mx::Shape shape;
  for (const int64_t n : tensor.shape) shape.push_back(static_cast<int>(n));
  if (head_dim == 0) return mapped_array(map_of(file), tensor.offset, std::move(shape), dtype);
  mx::array out = make_array(std::move(shape), dtype);
  auto* data = out.data<uint8_t>();
  const size_t row_bytes = tensor.bytes / static_cast<size_t>(tensor.shape[0]);
  each_row(*file, tensor, head_dim, [&](const std::byte* from, int64_t to) {
    std::memcpy(data + static_cast<size_t>(to) * row_bytes, from, row_bytes);
  });
  return out;
}

}  // namespace

Weight read_gguf_matrix(const std::shared_ptr<const GgufFile>& file, const GgufTensor& tensor,
                        int deinterleave_head_dim) {
  if (tensor.shape.size() != 2)
    fail("{}: tensor {} has {} dimensions where a matrix is expected", file->name(), tensor.name,
         tensor.shape.size());
  if (deinterleave_head_dim != 0 && tensor.shape[0] % deinterleave_head_dim != 0)
    fail("{}: tensor {} has {} rows, which do not divide into heads of {}", file->name(),
         tensor.name, tensor.shape[0], deinterleave_head_dim);
  if (const auto dtype = dense_dtype(tensor.type))
    return {dense(file, tensor, *dtype, deinterleave_head_dim), std::nullopt, std::nullopt, 0, 0};
  if (packed_bits(tensor.type) == 0)
    return {dequantize(*file, tensor, deinterleave_head_dim), std::nullopt, std::nullopt, 0, 0};
  // A K-quant's (or IQ4_XS's) scale is a product of an f16 and a small integer: that needs f32.
  const bool k_quant = ggml_type_info(tensor.type).block_values > 32;
  if (!k_quant)
    if (auto w = convert_packed<uint16_t>(*file, tensor, deinterleave_head_dim)) return *w;
  return *convert_packed<float>(*file, tensor, deinterleave_head_dim);
}

mx::array read_gguf_vector(const std::shared_ptr<const GgufFile>& file, const GgufTensor& tensor,
                           int deinterleave_head_dim) {
  const auto dtype = dense_dtype(tensor.type);
  if (!dtype || tensor.shape.size() != 1)
    fail("{}: tensor {} must be a vector of F32, F16 or BF16, and is {} with {} dimensions",
         file->name(), tensor.name, ggml_type_info(tensor.type).name, tensor.shape.size());
  if (deinterleave_head_dim != 0 && tensor.shape[0] % deinterleave_head_dim != 0)
    fail("{}: tensor {} has {} values, which do not divide into heads of {}", file->name(),
         tensor.name, tensor.shape[0], deinterleave_head_dim);
  return dense(file, tensor, *dtype, deinterleave_head_dim);
}

}  // namespace gavel
