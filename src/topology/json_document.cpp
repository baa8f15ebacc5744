// JSON by nlohmann's SAX parser, which is strict (RFC 8259) and does not recurse. Its callbacks
// carry no positions, so this finds each token again in the text, in step with them.

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "topology/document.hpp"

namespace cellroute::loading {
namespace {

using Json = nlohmann::json;

// Where the next token begins, and how long it is. The text up to it is known to be well-formed.
class Cursor {
 public:
  explicit Cursor(std::string_view bytes) : bytes_(bytes) {}

  // The next token's bytes: a bracket, a string with its quotes, a number or a literal.
  std::string_view next() {
    move_to(std::min(bytes_.find_first_not_of(" \t\r\n,:", at_), bytes_.size()));
    const std::size_t begin = at_;
    std::size_t end = begin + 1;
    if (bytes_[begin] == '"') {
      while (bytes_[end] != '"') end += bytes_[end] == '\\' ? 2u : 1u;
      ++end;
    } else if (std::string_view("{}[]").find(bytes_[begin]) == std::string_view::npos) {
      end = std::min(bytes_.find_first_of(" \t\r\n,:{}[]\"", begin), bytes_.size());
    }
    position_ = {line_, static_cast<std::uint32_t>(begin - line_start_ + 1)};
    move_to(end);
    return bytes_.substr(begin, end - begin);
  }

  Position position() const noexcept { return position_; }  // of the last token

 private:
  void move_to(std::size_t to) {
    for (; at_ < to; ++at_) {
      if (bytes_[at_] != '\n') continue;
      ++line_;
      line_start_ = at_ + 1;
    }
  }

  std::string_view bytes_;
  std::size_t at_ = 0;
  std::size_t line_start_ = 0;
  std::uint32_t line_ = 1;
  Position position_;
};

class Handler : public nlohmann::json_sax<Json> {
 public:
  Handler(std::string_view bytes, Findings& findings)
      : bytes_(bytes), cursor_(bytes), findings_(findings), builder_(findings) {}

  bool null() override { return scalar(Node::Kind::kNull); }
  bool boolean(bool) override { return scalar(Node::Kind::kBool); }
  bool number_integer(number_integer_t) override { return scalar(Node::Kind::kNumber); }
  bool number_unsigned(number_unsigned_t) override { return scalar(Node::Kind::kNumber); }
  bool number_float(number_float_t, const string_t&) override {
    return scalar(Node::Kind::kNumber);
  }
  bool string(string_t& text) override {
    cursor_.next();
    return builder_.scalar(Node::Kind::kString, cursor_.position(), std::move(text));
  }
  bool binary(binary_t&) override { return false; }  // JSON has none

  bool start_object(std::size_t) override { return begin(Node::Kind::kMap); }
  bool end_object() override { return end(); }
  bool start_array(std::size_t) override { return begin(Node::Kind::kList); }
  bool end_array() override { return end(); }

  bool key(string_t& text) override {
    cursor_.next();
    return builder_.key(cursor_.position(), std::move(text));
  }

  // Texts are `[json.exception.…] parse error at line 1, column 2: syntax error while parsing
  // value - invalid literal; last read: '…'`; the place is told by the finding.
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    constexpr std::size_t kMaxShown = 200;
    std::string text = error.what();
    for (const std::string_view before : {"] ", ": "}) {
      const std::size_t found = text.find(before);
      if (found != std::string::npos) text.erase(0, found + before.size());
    }
    const std::size_t offset = position > 0 ? position - 1 : 0;
    findings_.add(position_of(bytes_, offset), check::Path(),
                  "not JSON: " + check::escaped(text, kMaxShown));
    return false;
  }

  Node take() { return builder_.take(); }

 private:
  bool scalar(Node::Kind kind) {
    const std::string_view token = cursor_.next();
    return builder_.scalar(kind, cursor_.position(), std::string(token));
  }

  bool begin(Node::Kind kind) {
    cursor_.next();
    return builder_.begin(kind, cursor_.position());
  }

  bool end() {
    cursor_.next();
    return builder_.end();
  }

  std::string_view bytes_;
  Cursor cursor_;
  Findings& findings_;
  TreeBuilder builder_;
};

}  // namespace

std::optional<Node> read_json(std::string_view bytes, Findings& findings) {
  Handler handler(bytes, findings);
  const bool parsed = Json::sax_parse(bytes.begin(), bytes.end(), &handler);
  if (!parsed || !findings.empty()) return std::nullopt;
  return handler.take();
}

}  // namespace cellroute::loading
