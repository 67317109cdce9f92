// A GGUF model in one file or split into several, as llama.cpp's gguf-split writes them:
// NAME-00001-of-00003.gguf and so on. Part 1 has the metadata; every part says in split.no (from
// 0), split.count and split.tensors.count (of all parts) what it belongs to.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/gguf_part_name.h"
#include "model/gguf.h"

namespace gavel {

class GgufParts {
 public:
  // The file, or all parts of the split model of which it is one. Throws Error naming the part that
  // is missing or does not belong there.
  explicit GgufParts(const std::filesystem::path& path);

  const GgufFile& first() const { return *files_.front(); }  // the one with the metadata
  const std::vector<std::shared_ptr<const GgufFile>>& files() const { return files_; }

  struct Tensor {
    std::shared_ptr<const GgufFile> file;
    const GgufTensor* tensor = nullptr;  // null: there is none
  };
  Tensor find_tensor(const std::string& name) const;

 private:
  std::vector<std::shared_ptr<const GgufFile>> files_;
};

}  // namespace gavel
