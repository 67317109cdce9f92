// The GGUF container (versions 2 and 3): its metadata and table of tensors, memory-mapped.
// Everything in the file is checked before it is used. Source: the GGUF specification of ggml.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/file.h"

namespace gavel {

enum class GgufValueType : uint32_t {
  u8 = 0,
  i8,
  u16,
  i16,
  u32,
  i32,
  f32,
  boolean,
  string,
  array,
  u64,
  i64,
  f64
};

struct GgufValue {
  GgufValueType type = GgufValueType::u32;
  GgufValueType element = GgufValueType::u32;  // of an array
  std::variant<bool, int64_t, uint64_t, double, std::string, std::vector<int64_t>,
               std::vector<double>, std::vector<std::string>>
      value;  // i64 for signed integers, u64 for unsigned; arrays of booleans as integers
};

// ggml's tensor types that are known here, by the numbers that GGUF files carry.
enum class GgmlType : uint32_t {
  f32 = 0,
  f16 = 1,
  q4_0 = 2,
  q4_1 = 3,
  q5_0 = 6,
  q5_1 = 7,
  q8_0 = 8,
  q2_k = 10,
  q3_k = 11,
  q4_k = 12,
  q5_k = 13,
  q6_k = 14,
  q8_k = 15,
  iq4_nl = 20,
  iq4_xs = 23,
  bf16 = 30
};

struct GgmlTypeInfo {
  GgmlType type;
  const char* name;
  int block_values;  // values in a block
  int block_bytes;   // bytes of a block
};
// Null where the number is not known here.
const GgmlTypeInfo* ggml_type_info(uint32_t type);
const GgmlTypeInfo& ggml_type_info(GgmlType type);

struct GgufTensor {
  std::string name;
  GgmlType type = GgmlType::f32;
  std::vector<int64_t> shape;  // slowest dimension first, as in MLX (the file has it reversed)
  size_t offset = 0;           // of its data, from the beginning of the file
  size_t bytes = 0;
};

class GgufFile {
 public:
  // Throws Error naming the file: not a GGUF, a version or type that is not known, cut anywhere, or
  // a count, size or offset that does not fit the file.
  explicit GgufFile(const std::filesystem::path& path);

  const std::string& name() const { return name_; }  // the path, for sentences
  const MappedFile& file() const { return file_; }
  const std::map<std::string, GgufValue>& metadata() const { return metadata_; }
  const std::vector<GgufTensor>& tensors() const { return tensors_; }
  const GgufTensor* find_tensor(const std::string& name) const;

  // Metadata by key: nothing where absent; Error where it has another type or does not fit.
  std::optional<int64_t> integer(const std::string& key) const;
  std::optional<double> number(const std::string& key) const;
  std::optional<bool> boolean(const std::string& key) const;
  const std::string* text(const std::string& key) const;
  const std::vector<std::string>* strings(const std::string& key) const;
  const std::vector<int64_t>* integers(const std::string& key) const;
  const std::vector<double>* numbers(const std::string& key) const;

 private:
  const GgufValue* find(const std::string& key) const;

  MappedFile file_;
  std::string name_;
  std::map<std::string, GgufValue> metadata_;
  std::vector<GgufTensor> tensors_;
  std::unordered_map<std::string, size_t> tensor_index_;
};

}  // namespace gavel
