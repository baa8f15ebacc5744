// Topologies from files: YAML for people, JSON for programs, protobuf's text and binary forms for
// those who use it. All four are the schema in cellroute.proto.
//
// What is loaded has passed check_topology(): compile() takes it. An error's text names every
// problem, one a line, up to kMaxProblems, with file, line, column, field and what to do:
//
//   topology.yaml:12:11: cells[3].tier: unknown tier "retial"; did you mean "retail"?
//
// Thread safety: all functions may be called from any number of threads at once. They throw
// nothing but std::bad_alloc.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cellroute/status.hpp"
#include "cellroute/topology.hpp"

namespace cellroute {

enum class TopologyFormat : std::uint8_t {
  kYaml,       // .yaml, .yml; no anchors, aliases, tags or merge keys, no second document
  kJson,       // .json; RFC 8259, no comments
  kTextproto,  // .textproto, .txtpb, .pbtxt
  kBinary,     // .pb, .binpb
};

// The format that a file's ending stands for (in small letters), if any.
std::optional<TopologyFormat> topology_format_of(std::string_view path);

// At most 64 MiB. Errors: kInvalidArgument: the topology is wrong, or no format is given and the
// ending tells none; kNotFound: there is no such file; kUnavailable: it cannot be read.
Result<Topology> load_topology_file(const std::string& path,
                                    std::optional<TopologyFormat> format = std::nullopt);

// `name` is what errors call the input. Errors: kInvalidArgument.
Result<Topology> load_topology(std::string_view bytes, TopologyFormat format,
                               std::string_view name);

// The topology as load_topology() reads it back: JSON for kYaml too, which is YAML as well. Fields
// with their defaults are left out and maps are sorted, so that equal topologies give equal bytes.
// Errors: kInvalidArgument: a string is not UTF-8, which no format can hold.
Result<std::string> write_topology(const Topology& topology, TopologyFormat format);

}  // namespace cellroute
