#include "command/jsonl_input.hpp"

#include <simdjson.h>

#include <cstdint>
#include <string>

#include "stores/base64.hpp"

namespace cellroute::command {
namespace {

using simdjson::dom::element;

// The fields that a request has, each a bit in the set of those seen.
enum Field : std::uint32_t {
  kKey = 1,
  kKeyBase64 = 2,
  kTier = 4,
  kRegion = 8,
  kPlan = 16,
  kResource = 32,
  kFlags = 64,
  kRisk = 128,
  kAccess = 256,
  kAt = 512,
  kOther = 0,
};

Field field_named(std::string_view name) noexcept {
  switch (name.size()) {
    case 3: return name == "key" ? kKey : kOther;
    case 4:
      return name == "tier" ? kTier : name == "risk" ? kRisk : name == "plan" ? kPlan : kOther;
    case 5: return name == "flags" ? kFlags : name == "at_ns" ? kAt : kOther;
    case 6: return name == "region" ? kRegion : name == "access" ? kAccess : kOther;
    case 8: return name == "resource" ? kResource : kOther;
    case 10: return name == "key_base64" ? kKeyBase64 : kOther;
    default: return kOther;
  }
}

// Reads the fields of one object. Each reader returns what is wrong, or nothing.
class ObjectReader {
 public:
  ObjectReader(Batch& batch, InputRecord& record, std::string& decoded)
      : batch_(batch), record_(record), decoded_(decoded) {}

  std::string_view read(simdjson::dom::object object) {
    for (const auto [name, value] : object) {
      const Field field = field_named(name);
      if (field == kOther) continue;
      if ((seen_ & field) != 0) return "a field is given twice";
      seen_ |= field;
      if (value.is_null()) continue;
      if (const std::string_view wrong = read_field(field, value); !wrong.empty()) return wrong;
    }
    if (!has_key_) return "\"key\" is missing";
    return {};
  }

 private:
  std::string_view read_field(Field field, element value) {
    switch (field) {
      case kKey: return read_key(value);
      case kKeyBase64: return read_key_base64(value);
      case kTier: return read_text(value, record_.tier, "\"tier\" must be a string");
      case kRegion: return read_text(value, record_.region, "\"region\" must be a string");
      case kPlan: return read_text(value, record_.plan, "\"plan\" must be a string");
      case kResource: return read_text(value, record_.resource, "\"resource\" must be a string");
      case kFlags: return read_flags(value);
      case kRisk: return read_risk(value);
      case kAccess: return read_access(value);
      case kAt: return read_time(value);
      case kOther: break;
    }
    return {};
  }

  std::string_view read_text(element value, std::string_view& text, std::string_view wrong) {
    std::string_view held;
    if (value.get(held) != simdjson::SUCCESS) return wrong;
    text = batch_.keep(held);
    return {};
  }

  std::string_view read_key(element value) {
    if (has_key_) return "\"key\" and \"key_base64\" are both given";
    has_key_ = true;
    return read_text(value, record_.key, "\"key\" must be a string");
  }

  std::string_view read_key_base64(element value) {
    if (has_key_) return "\"key\" and \"key_base64\" are both given";
    has_key_ = true;
    std::string_view text;
    decoded_.clear();
    if (value.get(text) != simdjson::SUCCESS || !decode_base64(text, decoded_)) {
      return "\"key_base64\" must be a string in base 64 with padding";
    }
    record_.key = batch_.keep(decoded_);
    return {};
  }

  std::string_view read_flags(element value) {
    simdjson::dom::array flags;
    if (value.get(flags) != simdjson::SUCCESS) return "\"flags\" must be an array of strings";
    for (const element flag : flags) {
      std::string_view name;
      if (flag.get(name) != simdjson::SUCCESS) return "\"flags\" must be an array of strings";
      if (name.empty()) return "a flag has no name";
      if (!batch_.add_flag(record_, batch_.keep(name))) return "more than 64 flags";
    }
    return {};
  }

  std::string_view read_risk(element value) {
    record_.has_risk = true;
    return value.get(record_.risk) == simdjson::SUCCESS ? "" : "\"risk\" must be a number";
  }

  std::string_view read_access(element value) {
    std::string_view access;
    if (value.get(access) != simdjson::SUCCESS || (access != "READ" && access != "WRITE")) {
      return "\"access\" must be \"READ\" or \"WRITE\"";
    }
    record_.access = access == "READ" ? Access::kRead : Access::kWrite;
    return {};
  }

  std::string_view read_time(element value) {
    std::int64_t at = 0;
    if (value.get(at) != simdjson::SUCCESS) {
      return "\"at_ns\" must be an integer: Unix time in nanoseconds";
    }
    record_.at = at;
    return {};
  }

  Batch& batch_;
  InputRecord& record_;
  std::string& decoded_;
  std::uint32_t seen_ = 0;
  bool has_key_ = false;
};

}  // namespace

struct JsonLine::Parser {
  simdjson::dom::parser json;
  std::string decoded;
};

JsonLine::JsonLine() : parser_(std::make_unique<Parser>()) {}
JsonLine::~JsonLine() = default;

void JsonLine::read(std::string_view line, Batch& batch, InputRecord& record) {
  element document;
  constexpr bool kCopyForPadding = false;  // the caller gives it
  const auto parsed = parser_->json.parse(line.data(), line.size(), kCopyForPadding).get(document);
  if (parsed != simdjson::SUCCESS) {
    record.malformed = simdjson::error_message(parsed);
    return;
  }
  simdjson::dom::object object;
  if (document.get(object) != simdjson::SUCCESS) {
    record.malformed = "the line is JSON, but no object";
    return;
  }
  record.malformed = ObjectReader(batch, record, parser_->decoded).read(object);
}

}  // namespace cellroute::command
