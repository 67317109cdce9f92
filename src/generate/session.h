// A model ready for use: loaded, with its text encoder and, where given, adapters.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "adapter/lora.h"
#include "generate/engine.h"
#include "model/encoder.h"
#include "ops/device.h"

namespace gavel {

struct Session {
  LoadedModel loaded;  // its weights are shared with `model`
  Model model;
  TextEncoder encoder;
};

// Resolves and loads what a user gave as --model, and as --chat-template (make_encoder).
std::shared_ptr<Session> open_session(const std::string& model, const Backend& backend,
                                      const std::string& chat_template = "");

// The adapter at `path` bound to the model; nothing for an empty path.
std::optional<ModelLora> load_lora(const Session& session, const std::string& path);

// Text that comes out of a sequence token by token, ended by stop strings: `emit` gets each piece
// of text that is certain not to be part of a stop string.
class TextStream {
 public:
  TextStream(Tokenizer tokenizer, std::vector<std::string> stops,
             std::function<void(const std::string&)> emit);
  bool push(int token);  // false once a stop string was found
  void finish();
  const std::string& text() const { return text_; }  // all that was emitted

 private:
  void flush(size_t keep);
  StreamDecoder decoder_;
  std::vector<std::string> stops_;
  std::function<void(const std::string&)> emit_;
  std::string pending_, text_;
};

}  // namespace gavel
