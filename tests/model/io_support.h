// What the tests of the model readers share: scratch directories, exact checksums, error texts.
#pragma once

#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>

#include "base/error.h"
#include "base/half.h"
#include "mlx/ops.h"
#include "mlx/transforms.h"
#include "model/weights.h"

namespace gavel::testing {

class ScratchDirectory {
 public:
  ScratchDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "gavel-test-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~ScratchDirectory() { std::filesystem::remove_all(path_); }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path write(const std::string& name, const std::string& contents) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name, std::ios::binary) << contents;
    return path_ / name;
  }

 private:
  std::filesystem::path path_;
};

// What is warned of while it lives.
class Warnings {
 public:
  Warnings() {
    spdlog::set_default_logger(std::make_shared<spdlog::logger>(
        "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(text_)));
  }
  ~Warnings() { spdlog::set_default_logger(before_); }
  Warnings(const Warnings&) = delete;
  Warnings& operator=(const Warnings&) = delete;
  // How often `part` is in it.
  int count(const std::string& part) const {
    int n = 0;
    const std::string text = text_.str();
    for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) ++n;
    return n;
  }

 private:
  std::ostringstream text_;
  std::shared_ptr<spdlog::logger> before_ = spdlog::default_logger();
};

// The sentence of the Error that `f` throws; "" where it throws none.
template <typename F>
std::string error_of(const F& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

#define EXPECT_ERROR(statement, part)                                              \
  do {                                                                             \
    const std::string text = ::gavel::testing::error_of([&] { statement; });       \
    EXPECT_NE(text.find(part), std::string::npos) << "the error was: " << text;    \
    EXPECT_EQ(text.find('\n'), std::string::npos) << "more than a line: " << text; \
  } while (false)

inline std::vector<float> floats(const mlx::core::array& a) {
  mlx::core::array f =
      mlx::core::contiguous(mlx::core::astype(a, mlx::core::float32, mlx::core::Device::cpu));
  f.eval();
  return {f.data<float>(), f.data<float>() + f.size()};
}

// The values of a weight, unpacked here bit by bit and not by MLX.
inline std::vector<float> values(const Weight& w) {
  if (!w.quantized()) return floats(w.data);
  const auto scales = floats(*w.scales), biases = floats(*w.biases);
  mlx::core::array words = mlx::core::contiguous(w.data);
  words.eval();
  const auto* bytes = reinterpret_cast<const uint8_t*>(words.data<uint32_t>());
  const int64_t count = int64_t{w.out_features()} * w.in_features();
  std::vector<float> out(static_cast<size_t>(count));
  const uint32_t mask = (1u << w.bits) - 1;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t bit = i * w.bits;
    uint32_t q = bytes[bit / 8];
    if (bit % 8 + w.bits > 8) q |= uint32_t{bytes[bit / 8 + 1]} << 8;
    q = (q >> (bit % 8)) & mask;
    const auto g = static_cast<size_t>(i / w.group_size);
    out[static_cast<size_t>(i)] = scales[g] * static_cast<float>(q) + biases[g];
  }
  return out;
}

// The exact, order-sensitive sum that scripts/make_model_goldens.py takes of float32 bits.
inline std::string checksum(const std::vector<float>& v) {
  uint64_t sum = 0;
  for (size_t i = 0; i < v.size(); ++i)
    sum += uint64_t{std::bit_cast<uint32_t>(v[i])} * (2 * i + 1);
  return std::to_string(sum);
}

inline std::filesystem::path golden(const std::string& name) {
  return std::filesystem::path(GAVEL_GOLDEN_DIR) / name;
}

}  // namespace gavel::testing
