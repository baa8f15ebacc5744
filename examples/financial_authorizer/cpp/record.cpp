#include "record.hpp"

#include <cstddef>

namespace authorizer {
namespace {

using lambda_host::Line;

constexpr std::size_t kLongest = 256;  // characters

void shorten(Line& value) {
  if (!value.is_string()) return;
  auto& text = value.get_ref<std::string&>();
  std::size_t characters = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const bool is_first = (static_cast<unsigned char>(text[at]) & 0xc0) != 0x80;
    if (is_first && ++characters > kLongest) return text.resize(at);
  }
}

}  // namespace

void Recorder::audit(std::string_view outcome, const Line& facts) const {
  write({{"type", "audit"}, {"outcome", outcome}}, facts);
}

void Recorder::security(std::string_view word, const Line& facts) const {
  write({{"type", "security"}, {"event", word}}, facts);
}

void Recorder::write(Line line, const Line& facts) const {
  line["at_ns"] = lambda_host::now_ns();
  line["invocation_id"] = invocation_id_;
  if (event_ != nullptr) {
    line["request_id"] = event_->request_id;
    line["source"] = event_->source;
    line["agent"] = event_->agent;
    line["method"] = event_->method;
    line["path"] = "/" + event_->path;
  }
  line.update(facts);
  for (auto& [name, value] : line.items()) shorten(value);
  lambda_host::write_line(line);
}

}  // namespace authorizer
