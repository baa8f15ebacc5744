// Prometheus's text exposition format, version 0.0.4: families of samples.
#pragma once

#include <charconv>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "cellroute/time.hpp"

namespace cellroute::capi {

struct MetricLabel {
  std::string_view name;
  std::string_view value;
};
using MetricLabels = std::initializer_list<MetricLabel>;

// Thread safety: a plain value.
class MetricText {
 public:
  // Begins a family; its samples follow at once. `help` is one line without backslashes.
  void family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    append({"# HELP ", name, " ", help, "\n# TYPE ", name, " ", type, "\n"});
  }

  void sample(MetricLabels labels, std::uint64_t value) { sample("", labels, digits(value)); }
  // In seconds, exactly.
  void seconds(std::string_view suffix, MetricLabels labels, std::uint64_t nanos) {
    constexpr std::uint64_t kUnit = kSecond;
    const std::string fraction = digits(kUnit + nanos % kUnit);  // nine digits behind a 1
    sample(suffix, labels, digits(nanos / kUnit) + "." + fraction.substr(1));
  }
  // Of a family's part, as "_bucket".
  void sample(std::string_view suffix, MetricLabels labels, std::string_view value) {
    append({name_, suffix});
    char before = '{';
    for (const auto& [name, text] : labels) {
      text_ += before;
      append({name, "=\""});
      escape(text);
      text_ += '"';
      before = ',';
    }
    append({labels.size() == 0 ? " " : "} ", value, "\n"});
  }
  void sample(std::string_view suffix, MetricLabels labels, std::uint64_t value) {
    sample(suffix, labels, digits(value));
  }

  const std::string& text() const noexcept { return text_; }

 private:
  static std::string digits(std::uint64_t value) {
    char room[20];
    return {room, std::to_chars(room, room + sizeof room, value).ptr};
  }

  void append(std::initializer_list<std::string_view> parts) {
    for (const std::string_view part : parts) text_ += part;
  }

  void escape(std::string_view value) {
    for (const char c : value) {
      if (c == '\n') {
        text_ += "\\n";
        continue;
      }
      if (c == '\\' || c == '"') text_ += '\\';
      text_ += c;
    }
  }

  std::string text_;
  std::string_view name_;
};

}  // namespace cellroute::capi
