// An example's tokens: its own, or those of a file that is mapped into memory.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <utility>
#include <vector>

namespace gavel {

class TokenList {
 public:
  TokenList() = default;
  TokenList(std::vector<int32_t> own) : own_(std::move(own)) {}  // NOLINT: as a vector
  TokenList(std::initializer_list<int32_t> own) : own_(own) {}
  // Tokens that stay where they are and must outlive this.
  static TokenList of(std::span<const int32_t> tokens) {
    TokenList list;
    list.others_ = tokens;
    return list;
  }

  const int32_t* data() const { return others_.empty() ? own_.data() : others_.data(); }
  size_t size() const { return others_.empty() ? own_.size() : others_.size(); }
  bool empty() const { return size() == 0; }
  const int32_t* begin() const { return data(); }
  const int32_t* end() const { return data() + size(); }
  int32_t operator[](size_t i) const { return data()[i]; }
  int32_t back() const { return data()[size() - 1]; }
  operator std::span<const int32_t>() const { return {data(), size()}; }  // NOLINT: as a vector
  bool operator==(const TokenList& other) const {
    return std::equal(begin(), end(), other.begin(), other.end());
  }

 private:
  std::vector<int32_t> own_;
  std::span<const int32_t> others_;
};

}  // namespace gavel
