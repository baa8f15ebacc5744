#include "json_reader.hpp"

#include <algorithm>
#include <set>
#include <vector>

namespace authorizer {
namespace {

using lambda_host::Json;

constexpr int kDeepest = 8;

// At least the nesting: brackets in strings count too, which refuses nothing that we issue.
int depth_of(std::string_view text) {
  int depth = 0;
  int deepest = 0;
  for (const char c : text) {
    if (c == '[' || c == '{') deepest = std::max(deepest, ++depth);
    if (c == ']' || c == '}') --depth;
  }
  return deepest;
}

// Sees the parser's events, and refuses an object with a member twice when it ends.
class OnceOnly {
 public:
  bool operator()(int, Json::parse_event_t event, const Json& parsed) {
    if (event == Json::parse_event_t::object_start) {
      objects_.emplace_back();
    } else if (event == Json::parse_event_t::key) {
      Object& object = objects_.back();
      object.twice |= !object.names.insert(parsed.get<std::string>()).second;
    } else if (event == Json::parse_event_t::object_end) {
      if (objects_.back().twice) throw JsonRefused{"member_twice"};
      objects_.pop_back();
    }
    return true;
  }

 private:
  struct Object {
    std::set<std::string> names;
    bool twice = false;
  };

  std::vector<Object> objects_;
};

}  // namespace

Json read_strict_json(const std::string& text) {
  if (depth_of(text) > kDeepest) throw JsonRefused{"json_too_deep"};
  OnceOnly once;
  Json value;
  // The parser would skip a byte order mark, which RFC 8259 forbids to send.
  if (!text.starts_with("\xef\xbb\xbf")) {
    try {
      value = Json::parse(text, [&](int depth, Json::parse_event_t event, Json& parsed) {
        return once(depth, event, parsed);
      });
    } catch (const Json::exception&) {
      value = nullptr;
    }
  }
  if (!value.is_object()) throw JsonRefused{"json_malformed"};
  return value;
}

}  // namespace authorizer
