// What the fuzz targets of the topology's formats have in common: any input either loads, and then
// loads back equal from every format it is written in; or it is refused with a text for people.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "topology/load.hpp"

namespace cellroute::fuzz {

inline void require(bool holds, const std::string& text) {
  if (holds) return;
  std::fprintf(stderr, "%s\n", text.c_str());
  std::abort();
}

inline int load_and_write(const std::uint8_t* data, std::size_t size, TopologyFormat format) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const Result<Topology> loaded = load_topology(bytes, format, "input");
  if (!loaded) {
    const std::string& text = loaded.error().text();
    require(text.starts_with("input") && text.size() < 100'000, "no text for people: " + text);
    for (const char c : text) {
      require(c == '\n' || (c >= ' ' && c <= '~'), "unprintable: " + text);
    }
    return 0;
  }
  for (const TopologyFormat other : {TopologyFormat::kYaml, TopologyFormat::kJson,
                                     TopologyFormat::kTextproto, TopologyFormat::kBinary}) {
    const Result<std::string> written = write_topology(*loaded, other);
    require(written.ok(), written.ok() ? "" : written.error().text());
    const Result<Topology> again = load_topology(*written, other, "written");
    require(again.ok(), again.ok() ? "" : again.error().text() + '\n' + *written);
    require(*again == *loaded, "differs when read back:\n" + *written);
  }
  return 0;
}

}  // namespace cellroute::fuzz
