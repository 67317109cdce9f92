#include "ops/library.h"

#include <utility>

namespace gavel {
namespace {

MlxLibrary& stored() {
  static MlxLibrary library;
  return library;
}

}  // namespace

void set_mlx_library(MlxLibrary library) { stored() = std::move(library); }

const MlxLibrary& mlx_library() { return stored(); }

}  // namespace gavel
