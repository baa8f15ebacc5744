#include "topology/load.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>

#include "cellroute/topology_check.hpp"
#include "topology/document.hpp"
#include "topology/locate.hpp"
#include "topology/message_from_document.hpp"
#include "topology/struct_from_message.hpp"
#include "topology/textproto.hpp"

namespace cellroute {
namespace {

using google::protobuf::TextFormat;
using loading::Findings;
using loading::Node;
using loading::Position;

// The parsed message with a way from its fields to their places in the file.
struct Parsed {
  v1::Topology message;
  std::optional<Node> root;        // YAML, JSON
  TextFormat::ParseInfoTree tree;  // textproto

  Position locate(const std::string& path) const {
    return root ? loading::locate(*root, path) : loading::locate(message, tree, path);
  }
};

// False: what is wrong is so wrong that the rest would be guesswork.
bool parse(std::string_view bytes, TopologyFormat format, Parsed& parsed, Findings& findings) {
  if (format == TopologyFormat::kBinary) {
    return loading::read_binary(bytes, parsed.message, findings);
  }
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (bytes.starts_with(kByteOrderMark)) bytes.remove_prefix(kByteOrderMark.size());
  if (!loading::check_characters(bytes, findings)) return false;
  if (format == TopologyFormat::kTextproto) {
    return loading::read_textproto(bytes, parsed.message, parsed.tree, findings);
  }
  const bool yaml = format == TopologyFormat::kYaml;
  parsed.root = yaml ? loading::read_yaml(bytes, findings) : loading::read_json(bytes, findings);
  if (!parsed.root) return false;
  loading::fill_message(*parsed.root, parsed.message, findings);
  return true;
}

void add_all(const std::vector<Problem>& problems, const Parsed& parsed, Findings& findings) {
  for (const Problem& problem : problems) {
    findings.add(problem.path.empty() ? Position() : parsed.locate(problem.path), problem);
  }
}

Topology read(std::string_view bytes, TopologyFormat format, Findings& findings) {
  if (bytes.size() > loading::kMaxInputBytes) {
    findings.add(Position(), check::Path(),
                 "more than " + check::counted(loading::kMaxInputBytes) + " bytes");
    return {};
  }
  Parsed parsed;
  if (!parse(bytes, format, parsed, findings)) return {};
  check::Problems problems;
  Topology topology = loading::struct_from_message(parsed.message, problems);
  add_all(problems.take(), parsed, findings);
  if (findings.empty()) add_all(check_topology(topology), parsed, findings);
  return topology;
}

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

Error file_error(const std::string& path, const char* what, int number) {
  const ErrorCode code = number == ENOENT ? ErrorCode::kNotFound : ErrorCode::kUnavailable;
  return Error(code, path + ": " + what + ": " + std::generic_category().message(number));
}

// Reads one byte more than the bound at most, so that an endless file ends.
Result<std::string> read_file(const std::string& path) {
  const File file(std::fopen(path.c_str(), "rb"), &std::fclose);
  if (file == nullptr) return file_error(path, "cannot open", errno);
  std::string bytes;
  std::array<char, 1 << 16> block;
  while (bytes.size() <= loading::kMaxInputBytes) {
    const std::size_t count = std::fread(block.data(), 1, block.size(), file.get());
    if (count == 0) break;
    bytes.append(block.data(), count);
  }
  if (std::ferror(file.get()) != 0) return file_error(path, "cannot read", errno);
  return bytes;
}

}  // namespace

std::optional<TopologyFormat> topology_format_of(std::string_view path) {
  constexpr std::array<std::pair<std::string_view, TopologyFormat>, 8> kEndings{{
      {".yaml", TopologyFormat::kYaml},
      {".yml", TopologyFormat::kYaml},
      {".json", TopologyFormat::kJson},
      {".textproto", TopologyFormat::kTextproto},
      {".txtpb", TopologyFormat::kTextproto},
      {".pbtxt", TopologyFormat::kTextproto},
      {".pb", TopologyFormat::kBinary},
      {".binpb", TopologyFormat::kBinary},
  }};
  for (const auto& [ending, format] : kEndings) {
    if (path.ends_with(ending)) return format;
  }
  return std::nullopt;
}

Result<Topology> load_topology_file(const std::string& path, std::optional<TopologyFormat> format) {
  if (!format) format = topology_format_of(path);
  if (!format) {
    return invalid_argument(path +
                            ": the ending tells no format: .yaml, .yml, .json, .textproto, "
                            ".txtpb, .pbtxt, .pb, .binpb");
  }
  const Result<std::string> bytes = read_file(path);
  if (!bytes) return bytes.error();
  return load_topology(*bytes, *format, path);
}

Result<Topology> load_topology(std::string_view bytes, TopologyFormat format,
                               std::string_view name) {
  Findings findings;
  Topology topology = read(bytes, format, findings);
  if (!findings.empty()) return invalid_argument(findings.text(name));
  return topology;
}

}  // namespace cellroute
