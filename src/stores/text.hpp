// How the stores' error texts show what is not theirs: escaped and bounded.
#pragma once

#include <string>
#include <string_view>

#include "cellroute/check/problems.hpp"

namespace cellroute::stores {

// "key "tenant-7"", cut after 64 bytes with its whole length behind, unprintable bytes as \xNN.
inline std::string key_text(std::string_view key) {
  std::string text = "key " + check::quoted(key);
  if (key.size() > 64) text += " (" + check::counted(key.size()) + " bytes)";
  return text;
}

}  // namespace cellroute::stores
