// ggml's block formats, value by value. The formulas are those of ggml's reference
// dequantize_row_* functions, evaluated in float.
#include <cstring>

#include "base/error.h"
#include "base/half.h"
#include "model/gguf_tensors.h"

namespace gavel {
namespace {

float half_at(const uint8_t* p) {
  uint16_t h;
  std::memcpy(&h, p, 2);
  return f16_to_f32(h);
}

// d f16, 16 bytes: byte j holds value j (low nibble) and j + 16 (high nibble).
void q4_0(const uint8_t* b, float* y) {
  const float d = half_at(b);
  for (int j = 0; j < 16; ++j) {
    y[j] = static_cast<float>((b[2 + j] & 15) - 8) * d;
    y[j + 16] = static_cast<float>((b[2 + j] >> 4) - 8) * d;
  }
}

void q4_1(const uint8_t* b, float* y) {
  const float d = half_at(b), m = half_at(b + 2);
  for (int j = 0; j < 16; ++j) {
    y[j] = static_cast<float>(b[4 + j] & 15) * d + m;
    y[j + 16] = static_cast<float>(b[4 + j] >> 4) * d + m;
  }
}

// As Q4, with the fifth bits of all 32 values in a word before the nibbles.
int q5(const uint8_t* high, const uint8_t* low, int i) {
  uint32_t bits;
  std::memcpy(&bits, high, 4);
  const int nibble = i < 16 ? low[i] & 15 : low[i - 16] >> 4;
  return nibble | static_cast<int>((bits >> i) & 1u) << 4;
}

void q5_0(const uint8_t* b, float* y) {
  const float d = half_at(b);
  for (int i = 0; i < 32; ++i) y[i] = static_cast<float>(q5(b + 2, b + 6, i) - 16) * d;
}

void q5_1(const uint8_t* b, float* y) {
  const float d = half_at(b), m = half_at(b + 2);
  for (int i = 0; i < 32; ++i) y[i] = static_cast<float>(q5(b + 4, b + 8, i)) * d + m;
}

void q8_0(const uint8_t* b, float* y) {
  const float d = half_at(b);
  for (int i = 0; i < 32; ++i) y[i] = static_cast<float>(static_cast<int8_t>(b[2 + i])) * d;
}

// 16 sub-blocks of 16: scales (4 bits scale, 4 bits minimum) [16], 2-bit values [64], d, dmin.
void q2_k(const uint8_t* b, float* y) {
  const uint8_t* scales = b;
  const uint8_t* q = b + 16;
  const float d = half_at(b + 80), dmin = half_at(b + 82);
  for (int sub = 0; sub < 16; ++sub) {
    const float scale = d * static_cast<float>(scales[sub] & 15);
    const float minimum = dmin * static_cast<float>(scales[sub] >> 4);
    const int shift = 2 * (sub / 2 % 4);
    const uint8_t* from = q + 32 * (sub / 8) + 16 * (sub % 2);
    for (int l = 0; l < 16; ++l)
      *y++ = scale * static_cast<float>((from[l] >> shift) & 3) - minimum;
  }
}

// Third bits [32], 2-bit values [64], 16 six-bit scales in 12 bytes, d.
void q3_k(const uint8_t* b, float* y) {
  const uint8_t* high = b;
  const uint8_t* q = b + 32;
  const uint8_t* packed = b + 96;
  const float d = half_at(b + 108);
  for (int sub = 0; sub < 16; ++sub) {
    const int low = sub < 8 ? packed[sub] & 15 : packed[sub - 8] >> 4;
    const int top = (packed[8 + sub % 4] >> (2 * (sub / 4))) & 3;
    const float scale = d * static_cast<float>((low | top << 4) - 32);
    const int shift = 2 * (sub / 2 % 4);
    const int bit = sub / 2;
    const int column = 16 * (sub % 2);
    const uint8_t* from = q + 32 * (sub / 8) + column;
    for (int l = 0; l < 16; ++l) {
      const int value = ((from[l] >> shift) & 3) - (((high[column + l] >> bit) & 1) != 0 ? 0 : 4);
      *y++ = scale * static_cast<float>(value);
    }
  }
}

void q45_k(const uint8_t* b, bool fifth_bit, float* y) {
  const float d = half_at(b), dmin = half_at(b + 2);
  const uint8_t* high = b + 16;
  const uint8_t* q = b + (fifth_bit ? 48 : 16);
  for (int sub = 0; sub < 8; ++sub) {
    int scale, minimum;
    k_scale_min(b + 4, sub, scale, minimum);
    const float s = d * static_cast<float>(scale), m = dmin * static_cast<float>(minimum);
    for (int l = 0; l < 32; ++l) {
      const uint8_t byte = q[32 * (sub / 2) + l];
      int value = sub % 2 == 0 ? byte & 15 : byte >> 4;
      if (fifth_bit) value |= ((high[l] >> sub) & 1) << 4;
      *y++ = s * static_cast<float>(value) - m;
    }
  }
}

// Low nibbles [128], upper two bits [64], signed scales of 16 values each [16], d.
void q6_k(const uint8_t* b, float* y) {
  const float d = half_at(b + 208);
  for (int half = 0; half < 2; ++half) {
    const uint8_t* low = b + 64 * half;
    const uint8_t* high = b + 128 + 32 * half;
    const auto* scales = reinterpret_cast<const int8_t*>(b + 192 + 8 * half);
    for (int quarter = 0; quarter < 4; ++quarter) {
      for (int l = 0; l < 32; ++l) {
        const uint8_t byte = low[32 * (quarter % 2) + l];
        const int nibble = quarter < 2 ? byte & 15 : byte >> 4;
        const int value = (nibble | ((high[l] >> (2 * quarter)) & 3) << 4) - 32;
        *y++ = d * static_cast<float>(scales[2 * quarter + l / 16]) * static_cast<float>(value);
      }
    }
  }
}

void q8_k(const uint8_t* b, float* y) {
  float d;
  std::memcpy(&d, b, 4);
  for (int i = 0; i < 256; ++i) y[i] = d * static_cast<float>(static_cast<int8_t>(b[4 + i]));
}

// As Q4_0, with values from a table.
void iq4_nl(const uint8_t* b, float* y) {
  const float d = half_at(b);
  for (int j = 0; j < 16; ++j) {
    y[j] = d * static_cast<float>(iq4_values[b[2 + j] & 15]);
    y[j + 16] = d * static_cast<float>(iq4_values[b[2 + j] >> 4]);
  }
}

// d, and eight such groups of 32 with a scale each.
void iq4_xs(const uint8_t* b, float* y) {
  const float d = half_at(b);
  for (int sub = 0; sub < 8; ++sub) {
    const float s = d * static_cast<float>(iq4_xs_scale(b, sub));
    const uint8_t* q = b + 8 + 16 * sub;
    for (int j = 0; j < 16; ++j) {
      y[32 * sub + j] = s * static_cast<float>(iq4_values[q[j] & 15]);
      y[32 * sub + j + 16] = s * static_cast<float>(iq4_values[q[j] >> 4]);
    }
  }
}

void dequantize_block(GgmlType type, const uint8_t* b, float* y) {
  switch (type) {
    case GgmlType::f32:
      std::memcpy(y, b, 4);
      return;
    case GgmlType::f16:
      *y = half_at(b);
      return;
    case GgmlType::bf16: {
      uint16_t h;
      std::memcpy(&h, b, 2);
      *y = bf16_to_f32(h);
      return;
    }
    case GgmlType::q4_0:
      return q4_0(b, y);
    case GgmlType::q4_1:
      return q4_1(b, y);
    case GgmlType::q5_0:
      return q5_0(b, y);
    case GgmlType::q5_1:
      return q5_1(b, y);
    case GgmlType::q8_0:
      return q8_0(b, y);
    case GgmlType::q2_k:
      return q2_k(b, y);
    case GgmlType::q3_k:
      return q3_k(b, y);
    case GgmlType::q4_k:
      return q45_k(b, false, y);
    case GgmlType::q5_k:
      return q45_k(b, true, y);
    case GgmlType::q6_k:
      return q6_k(b, y);
    case GgmlType::q8_k:
      return q8_k(b, y);
    case GgmlType::iq4_nl:
      return iq4_nl(b, y);
    case GgmlType::iq4_xs:
      return iq4_xs(b, y);
  }
}

}  // namespace

void dequantize_gguf_row(GgmlType type, const std::byte* blocks, int64_t count, float* out) {
  const GgmlTypeInfo& info = ggml_type_info(type);
  const auto* b = reinterpret_cast<const uint8_t*>(blocks);
  for (int64_t i = 0; i < count; i += info.block_values, b += info.block_bytes)
    dequantize_block(type, b, out + i);
}

}  // namespace gavel
