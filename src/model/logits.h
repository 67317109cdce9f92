// Logits of a forward pass, where it left them.
#pragma once

#include <span>

#include "ops/largest_logits.h"
#include "ops/tensors.h"

namespace gavel {

// Of the wanted rows of a pass, in the order of its inputs. On a card they last until the next
// pass.
class Logits {
 public:
  virtual ~Logits() = default;
  virtual size_t rows() const = 0;
  // Row i [vocab_size] on the host, where it may be changed.
  virtual std::span<float> row(size_t i) = 0;
  // Whether largest() is to be had without the whole rows.
  virtual bool has_largest() const { return false; }
  // The `count` (at most 64) largest of every row.
  virtual std::vector<LargestLogits> largest(int) { return {}; }
  // Natural logs of the softmax of rows[i] at ids[i].
  virtual std::vector<double> log_probabilities(std::span<const int32_t> rows,
                                                std::span<const int32_t> ids) = 0;
  // All of them, float32 [rows, vocab_size].
  virtual mx::array whole() = 0;
};

// Those in the memory of the host.
class HostLogits final : public Logits {
 public:
  explicit HostLogits(mx::array all) : all_(std::move(all)) {}
  size_t rows() const override { return static_cast<size_t>(all_.shape(0)); }
  std::span<float> row(size_t i) override {
    const auto width = static_cast<size_t>(all_.shape(1));
    return {all_.data<float>() + i * width, width};
  }
  std::vector<double> log_probabilities(std::span<const int32_t> rows,
                                        std::span<const int32_t> ids) override {
    std::vector<double> result;
    double sum = 0.0;
    for (size_t i = 0; i < rows.size(); ++i) {
      const auto here = row(static_cast<size_t>(rows[i]));
      if (i == 0 || rows[i] != rows[i - 1])
        sum = kernels::log_sum_exp(here.data(), std::ssize(here));
      result.push_back(double{here[static_cast<size_t>(ids[i])]} - sum);
    }
    return result;
  }
  mx::array whole() override { return all_; }

 private:
  mx::array all_;
};

}  // namespace gavel
