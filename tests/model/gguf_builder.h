// Writes GGUF files, good and bad, for tests.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

namespace gavel::testing {

class Bytes {
 public:
  template <typename T>
  Bytes& add(T value) {
    static_assert(std::is_arithmetic_v<T>);
    const size_t at = data.size();
    data.resize(at + sizeof value);
    std::memcpy(data.data() + at, &value, sizeof value);
    return *this;
  }
  Bytes& text(const std::string& s) {
    add<uint64_t>(s.size());
    data += s;
    return *this;
  }
  Bytes& raw(const std::string& s) {
    data += s;
    return *this;
  }
  std::string data;
};

struct GgufBuilder {
  struct Tensor {
    std::string name;
    std::vector<uint64_t> dims;  // as in the file, fastest first
    uint32_t type;
    std::string data;
  };
  uint32_t version = 3;
  std::vector<std::string> values;  // whole entries: key, type, value
  std::vector<Tensor> tensors;

  void set(const std::string& key, const std::string& value) {
    values.push_back(Bytes().text(key).add<uint32_t>(8).text(value).data);
  }
  void set(const std::string& key, uint32_t value) {
    values.push_back(Bytes().text(key).add<uint32_t>(4).add(value).data);
  }
  void set(const std::string& key, float value) {
    values.push_back(Bytes().text(key).add<uint32_t>(6).add(value).data);
  }
  void set_strings(const std::string& key, const std::vector<std::string>& list) {
    Bytes b;
    b.text(key).add<uint32_t>(9).add<uint32_t>(8).add<uint64_t>(list.size());
    for (const auto& s : list) b.text(s);
    values.push_back(b.data);
  }
  template <typename T>
  void set_numbers(const std::string& key, uint32_t type, const std::vector<T>& list) {
    Bytes b;
    b.text(key).add<uint32_t>(9).add(type).add<uint64_t>(list.size());
    for (const T v : list) b.add(v);
    values.push_back(b.data);
  }
  void add_f32(const std::string& name, const std::vector<uint64_t>& dims, float value = 0.5f) {
    uint64_t count = 1;
    for (const auto d : dims) count *= d;
    Bytes b;
    for (uint64_t i = 0; i < count; ++i) b.add(value + static_cast<float>(i));
    tensors.push_back({name, dims, 0, b.data});
  }

  std::string build() const {
    Bytes out;
    out.raw("GGUF").add(version).add<uint64_t>(tensors.size()).add<uint64_t>(values.size());
    for (const auto& v : values) out.raw(v);
    uint64_t offset = 0;
    std::string data;
    for (const auto& t : tensors) {
      out.text(t.name).add<uint32_t>(static_cast<uint32_t>(t.dims.size()));
      for (const auto d : t.dims) out.add(d);
      out.add(t.type).add(offset);
      data += t.data;
      data.resize((data.size() + 31) / 32 * 32);
      offset = data.size();
    }
    out.data.resize((out.data.size() + 31) / 32 * 32);
    return out.data + data;
  }
};

}  // namespace gavel::testing
