#include "generate/session.h"

#include <algorithm>

#include "hub/hub.h"

namespace gavel {

std::shared_ptr<Session> open_session(const std::string& name, const Backend& backend,
                                      const std::string& chat_template) {
  auto loaded = load_model(resolve_model(name));
  auto model = make_model(loaded, backend);
  release_weights(loaded, backend);
  auto encoder = make_encoder(loaded, chat_template);
  return std::make_shared<Session>(
      Session{std::move(loaded), std::move(model), std::move(encoder)});
}

std::optional<ModelLora> load_lora(const Session& session, const std::string& path) {
  if (path.empty()) return std::nullopt;
  return bind(session.model, load_adapter(session.model, path));
}

TextStream::TextStream(Tokenizer tokenizer, std::vector<std::string> stops,
                       std::function<void(const std::string&)> emit)
    : decoder_(std::move(tokenizer)), stops_(std::move(stops)), emit_(std::move(emit)) {
  std::erase(stops_, "");
}

bool TextStream::push(int token) {
  pending_ += decoder_.push(token);
  size_t found = std::string::npos;
  for (const auto& stop : stops_) found = std::min(found, pending_.find(stop));
  if (found != std::string::npos) {
    pending_.resize(found);
    flush(0);
    return false;
  }
  // Keep back what may be the beginning of a stop string.
  size_t keep = 0;
  for (const auto& stop : stops_)
    for (size_t n = std::min(stop.size() - 1, pending_.size()); n > keep; --n)
      if (pending_.ends_with(std::string_view(stop).substr(0, n))) keep = n;
  flush(keep);
  return true;
}

void TextStream::finish() {
  pending_ += decoder_.finish();
  flush(0);
}

void TextStream::flush(size_t keep) {
  const size_t count = pending_.size() - keep;
  if (count == 0) return;
  const std::string piece = pending_.substr(0, count);
  pending_.erase(0, count);
  text_ += piece;
  if (emit_) emit_(piece);
}

}  // namespace gavel
