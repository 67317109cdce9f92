#include "ops/cpu/weight_panel.h"

namespace gavel::kernels {

void load_scalars(const WeightView& w, const void* from, int64_t row, int64_t group, bool down_rows,
                  int64_t count, float* out) {
  const int64_t groups = w.k / w.group_size;
  simd().convert_scalars(
      w.type, static_cast<const uint8_t*>(from) + (row * groups + group) * scalar_bytes(w.type),
      down_rows ? groups : 1, count, out);
}

void unpack_bytes(const WeightView& w, int64_t row, int64_t begin, int64_t count, uint8_t* out) {
  const uint8_t* packed = packed_row(w, row);
  for (int64_t i = 0; i < count; ++i)
    out[i] = static_cast<uint8_t>(packed_value(packed, w.bits, begin + i));
}

void WeightColumns::load(const WeightView& w, int64_t first, int64_t count, int64_t d0, int64_t d1,
                         int center) {
  const Simd& s = simd();
  const int64_t panel = s.panel, blocks = (d1 - d0) / kBlock;
  const int64_t first_group = d0 / w.group_size, groups = (d1 - 1) / w.group_size + 1 - first_group;
  const int64_t group_blocks = w.group_size / kBlock;
  bits = w.bits == 4 ? 4 : 8;
  const int64_t words_a_row = (d1 - d0) * bits / 32;
  uint32_t* word = word_memory_.get(words_a_row * panel);
  float* scale = scalars_.get(2 * blocks * panel);
  float* bias = scale + blocks * panel;
  float* by_row = row_scalars_.get(4 * groups * panel);  // scales and biases as they lie
  float* by_group = by_row + 2 * groups * panel;         // the same [groups][panel]
  words = word;
  scales = scale;
  biases = bias;

  // Words change places as floats do: no arithmetic touches them.
  const uint8_t* from = packed_row(w, first) + d0 * w.bits / 8;
  int64_t row_words = w.k * w.bits / 32;
  if (w.bits != 4 && w.bits != 8) {
    uint8_t* unpacked = bytes_.get(count * (d1 - d0));
    for (int64_t j = 0; j < count; ++j)
      unpack_bytes(w, first + j, d0, d1 - d0, unpacked + j * (d1 - d0));
    from = unpacked;
    row_words = words_a_row;
  }
  s.transpose(reinterpret_cast<const float*>(from), row_words, count, words_a_row,
              reinterpret_cast<float*>(word));

  for (int64_t j = 0; j < count; ++j) {
    load_scalars(w, w.scales, first + j, first_group, false, groups, by_row + j * groups);
    load_scalars(w, w.biases, first + j, first_group, false, groups, by_row + (panel + j) * groups);
  }
  s.transpose(by_row, groups, count, groups, by_group);
  s.transpose(by_row + panel * groups, groups, count, groups, by_group + groups * panel);
  for (int64_t b = 0; b < blocks; ++b) {
    const int64_t group = (d0 / kBlock + b) / group_blocks - first_group;
    const float* group_scale = by_group + group * panel;
    const float* group_bias = group_scale + groups * panel;
    for (int64_t j = 0; j < panel; ++j) {
      scale[b * panel + j] = group_scale[j];
      bias[b * panel + j] = group_bias[j] + static_cast<float>(center) * group_scale[j];
    }
  }
}

}  // namespace gavel::kernels
