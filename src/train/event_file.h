// TensorBoard's event files: TFRecords of Event messages, of which this writes numbers and texts.
// Checked with TensorBoard's own reader by scripts/check_tensorboard.py.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gavel {

class EventFile {
 public:
  // Throws Error where the file cannot be written.
  explicit EventFile(const std::filesystem::path& path);
  // Values at one step, by name.
  void numbers(int64_t step, const std::vector<std::pair<std::string, double>>& values);
  // Markdown.
  void text(int64_t step, const std::string& name, const std::string& markdown);
  // What other files of the folder say from this step on does not count.
  void restart(int64_t step);

 private:
  void event(int64_t step, const std::string& fields);

  std::ofstream out_;
};

// CRC-32C (Castagnoli).
uint32_t crc32c(std::string_view bytes);

}  // namespace gavel
