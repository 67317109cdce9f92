#include "export/ggml_quantize.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "base/half.h"
#include "base/threads.h"

namespace gavel {
namespace {

void put_half(uint8_t* out, float value) {
  const uint16_t h = f32_to_f16(value);
  std::memcpy(out, &h, 2);
}

void put_nibbles(const uint8_t* codes, uint8_t* out) {
  for (int j = 0; j < 16; ++j)
    out[j] = static_cast<uint8_t>((codes[j] & 15) | (codes[j + 16] & 15) << 4);
}

void q4_0(const float* x, uint8_t* out) {
  float extreme = 0.0f;  // the value of largest magnitude, with its sign
  for (int i = 0; i < 32; ++i)
    if (std::abs(x[i]) > std::abs(extreme)) extreme = x[i];
  const float d = extreme / -8.0f;
  const float id = d != 0.0f ? 1.0f / d : 0.0f;
  put_half(out, d);
  uint8_t codes[32];
  for (int i = 0; i < 32; ++i)
    codes[i] = static_cast<uint8_t>(std::clamp(static_cast<int>(x[i] * id + 8.5f), 0, 15));
  put_nibbles(codes, out + 2);
}

void q4_1(const float* x, uint8_t* out) {
  const auto [low, high] = std::minmax_element(x, x + 32);
  const float m = *low;
  const float d = (*high - m) / 15.0f;
  const float id = d != 0.0f ? 1.0f / d : 0.0f;
  put_half(out, d);
  put_half(out + 2, m);
  uint8_t codes[32];
  for (int i = 0; i < 32; ++i)
    codes[i] = static_cast<uint8_t>(std::clamp(static_cast<int>((x[i] - m) * id + 0.5f), 0, 15));
  put_nibbles(codes, out + 4);
}

void q8_0(const float* x, uint8_t* out) {
  float largest = 0.0f;
  for (int i = 0; i < 32; ++i) largest = std::max(largest, std::abs(x[i]));
  const float d = largest / 127.0f;
  const float id = d != 0.0f ? 1.0f / d : 0.0f;
  put_half(out, d);
  for (int i = 0; i < 32; ++i)
    out[2 + i] = static_cast<uint8_t>(static_cast<int8_t>(std::round(x[i] * id)));
}

bool fits_f16(float v) { return f16_to_f32(f32_to_f16(v)) == v; }

// Whether the scales and biases of a row's groups are numbers that blocks hold. The scale of a
// group whose codes are all 0 does not matter: MLX gives one of zeros the scale 1e-7, which f16 has
// not.
bool row_fits(const WeightRows& rows, int64_t row) {
  std::vector<uint8_t> codes;
  const int64_t size = rows.group_size();
  for (int64_t g = 0; g < rows.cols() / size; ++g) {
    const float s = rows.scale(row, g), b = rows.bias(row, g);
    if (rows.bits() == 8 ? b != -128.0f * s : !fits_f16(b)) return false;
    if (fits_f16(s)) continue;
    if (rows.bits() == 8) return false;
    if (codes.empty()) {
      codes.resize(static_cast<size_t>(rows.cols()));
      rows.codes(row, codes.data());
    }
    const auto begin = codes.begin() + g * size;
    if (std::any_of(begin, begin + size, [](uint8_t code) { return code != 0; })) return false;
  }
  return true;
}

}  // namespace

void quantize_ggml_row(GgmlType type, const float* values, int64_t count, std::byte* out) {
  auto* bytes = reinterpret_cast<uint8_t*>(out);
  const GgmlTypeInfo& info = ggml_type_info(type);
  if (type == GgmlType::f32) {
    std::memcpy(bytes, values, static_cast<size_t>(count) * 4);
    return;
  }
  for (int64_t i = 0; i < count; i += info.block_values, bytes += info.block_bytes) {
    switch (type) {
      case GgmlType::f16:
        put_half(bytes, values[i]);
        break;
      case GgmlType::bf16: {
        const uint16_t h = f32_to_bf16(values[i]);
        std::memcpy(bytes, &h, 2);
        break;
      }
      case GgmlType::q4_0:
        q4_0(values + i, bytes);
        break;
      case GgmlType::q4_1:
        q4_1(values + i, bytes);
        break;
      case GgmlType::q8_0:
        q8_0(values + i, bytes);
        break;
      default:
        fail("writing {} tensors is not supported", info.name);
    }
  }
}

std::optional<GgmlType> lossless_ggml_type(const WeightRows& rows) {
  if (!rows.quantized() || rows.group_size() % 32 != 0) return std::nullopt;
  const int bits = rows.bits();
  if (bits == 6 || bits == 7) return std::nullopt;
  const GgmlType type = bits <= 4 ? GgmlType::q4_1 : bits == 5 ? GgmlType::q5_1 : GgmlType::q8_0;
  std::atomic<bool> fits{true};
  parallel_for(rows.rows(), 64, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end && fits.load(std::memory_order_relaxed); ++row)
      if (!row_fits(rows, row)) fits = false;
  });
  return fits ? std::optional(type) : std::nullopt;
}

void pack_ggml_row(GgmlType type, const WeightRows& rows, int64_t row, std::byte* out) {
  auto* bytes = reinterpret_cast<uint8_t*>(out);
  std::vector<uint8_t> all(static_cast<size_t>(rows.cols()));
  rows.codes(row, all.data());
  const GgmlTypeInfo& info = ggml_type_info(type);
  for (int64_t c = 0; c < rows.cols(); c += 32, bytes += info.block_bytes) {
    const uint8_t* codes = all.data() + c;
    const int64_t group = c / rows.group_size();
    put_half(bytes, rows.scale(row, group));
    if (type == GgmlType::q8_0) {
      for (int i = 0; i < 32; ++i) bytes[2 + i] = codes[i] ^ 0x80u;
      continue;
    }
    put_half(bytes + 2, rows.bias(row, group));
    if (type == GgmlType::q4_1) {
      put_nibbles(codes, bytes + 4);
      continue;
    }
    uint32_t fifth = 0;  // Q5_1: the fifth bits in a word before the nibbles
    for (int i = 0; i < 32; ++i) fifth |= uint32_t{(codes[i] >> 4) & 1u} << i;
    std::memcpy(bytes + 4, &fifth, 4);
    put_nibbles(codes, bytes + 8);
  }
}

}  // namespace gavel
