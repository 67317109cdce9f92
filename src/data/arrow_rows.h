// Parquet and Arrow files as text: each row a line of JSON. They are read by libgavel_arrow.so
// (src/arrow_plugin), which is loaded when the first such file is opened.
#pragma once

#include <filesystem>
#include <memory>
#include <string_view>

#include "data/byte_stream.h"

namespace gavel {

// Whether a file that begins so is Parquet or Arrow (IPC file or stream): what to call it, else "".
std::string_view arrow_kind(std::string_view head);

// Its rows. Throws Error where the library is not there, saying how to get it, and, while it is
// read too, for a file that is damaged or has a column without a meaning in JSON.
class ArrowRows final : public ByteStream {
 public:
  // `kind`: what arrow_kind calls it.
  ArrowRows(const std::filesystem::path& path, std::string_view kind);
  ~ArrowRows() override;
  ArrowRows(const ArrowRows&) = delete;
  ArrowRows& operator=(const ArrowRows&) = delete;

  size_t read(char* out, size_t size) override;
  double share_done() const { return share_; }  // 0 to 1

 private:
  std::string name_;  // with its kind, for errors
  void* rows_ = nullptr;
  std::string_view text_;  // not yet given
  double share_ = 0;
};

}  // namespace gavel
