// Writing GGUF files (version 3).
#pragma once

#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "model/gguf.h"

namespace gavel {

struct GgufOutTensor {
  std::string name;
  GgmlType type = GgmlType::f32;
  std::vector<int64_t> shape;  // slowest first, as in GgufTensor
  // Fills row `row`'s blocks. Called from several threads.
  std::function<void(int64_t row, std::byte* out)> write_row;
};

class GgufWriter {
 public:
  // Metadata, in the order in which they are to appear.
  void set(const std::string& key, const std::string& value);
  void set_u32(const std::string& key, uint32_t value);
  void set_f32s(const std::string& key, const std::vector<float>& values);
  void set_f32(const std::string& key, float value);
  void set_bool(const std::string& key, bool value);
  void set_strings(const std::string& key, const std::vector<std::string>& values);
  void set_i32s(const std::string& key, const std::vector<int>& values);

  void add(GgufOutTensor tensor) { tensors_.push_back(std::move(tensor)); }

  // Writes everything, a few megabytes at a time, and replaces `path` atomically. Where the tensors
  // take more than part_bytes (0: no limit), they are split into parts of at most so many bytes of
  // tensors (a larger tensor has a part of its own), named after `path`: out.gguf becomes
  // out-00001-of-00003.gguf and so on. The first part, which others are found by, is written last.
  // Returns the files written, in order.
  std::vector<std::filesystem::path> write(const std::filesystem::path& path,
                                           uint64_t part_bytes = 0) const;

 private:
  using Tensors = std::span<const GgufOutTensor>;
  void write_part(const std::filesystem::path& path, const std::string& metadata, uint64_t count,
                  Tensors tensors) const;

  std::string metadata_;
  uint64_t metadata_count_ = 0;
  std::vector<GgufOutTensor> tensors_;
};

}  // namespace gavel
