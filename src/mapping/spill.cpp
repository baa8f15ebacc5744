#include "mapping/spill.hpp"

#include <span>
#include <utility>

namespace cellroute::mapping {
namespace {

constexpr unsigned kStateBits = 3;  // of the first byte: the state
constexpr unsigned kDeleted = 4;
constexpr unsigned kExpires = 8;

// LEB128: seven bits a byte, the lowest first.
void append_number(std::uint64_t number, std::string& out) {
  for (; number >= 0x80; number >>= 7) out += static_cast<char>(number | 0x80);
  out += static_cast<char>(number);
}

std::uint64_t take_number(std::string_view& bytes) {
  std::uint64_t number = 0;
  unsigned shift = 0;
  std::size_t at = 0;
  for (;; shift += 7) {
    const auto byte = static_cast<unsigned char>(bytes[at++]);
    number |= std::uint64_t{byte & 0x7fU} << shift;
    if (byte < 0x80) break;
  }
  bytes.remove_prefix(at);
  return number;
}

}  // namespace

void append_spilled(const Spilled& record, std::string& out) {
  const unsigned flags =
      record.state | (record.deleted ? kDeleted : 0) | (record.expires != 0 ? kExpires : 0);
  out += static_cast<char>(flags);
  append_number(record.key.size(), out);
  append_number(record.cell, out);
  append_number(record.profile, out);
  append_number(record.epoch, out);
  append_number(record.revision, out);
  append_number(record.number, out);
  if (record.expires != 0) append_number(static_cast<std::uint64_t>(record.expires), out);
  out += record.key;
}

Spilled take_spilled(std::string_view& bytes) {
  Spilled record;
  const auto flags = static_cast<unsigned char>(bytes[0]);
  bytes.remove_prefix(1);
  const std::uint64_t key_bytes = take_number(bytes);
  record.state = flags & kStateBits;
  record.deleted = (flags & kDeleted) != 0;
  record.cell = static_cast<std::uint32_t>(take_number(bytes));
  record.profile = static_cast<std::uint32_t>(take_number(bytes));
  record.epoch = take_number(bytes);
  record.revision = take_number(bytes);
  record.number = take_number(bytes);
  if ((flags & kExpires) != 0) record.expires = static_cast<Nanos>(take_number(bytes));
  record.key = bytes.substr(0, key_bytes);
  bytes.remove_prefix(key_bytes);
  return record;
}

Result<Spill> Spill::create(const std::string& path) {
  Result<Descriptor> file = open_nameless(path);
  if (!file.ok()) return file.error();
  return Spill(path, std::move(*file));
}

Error Spill::add(std::size_t number, std::string_view bytes) {
  Part& part = parts_[number];
  if (part.pending.size() + bytes.size() > kChunk) {
    if (Error error = write(part); !error.ok()) return error;
  }
  part.pending += bytes;
  return {};
}

Error Spill::write(Part& part) {
  const auto bytes = std::as_bytes(std::span(part.pending));
  if (Error error = write_at(file_, name_, end_, bytes); !error.ok()) return error;
  part.written.push_back({end_, static_cast<std::uint32_t>(bytes.size())});
  end_ += bytes.size();
  part.pending.clear();
  return {};
}

Error Spill::flush() {
  for (Part& part : parts_) {
    if (part.pending.empty()) continue;
    if (Error error = write(part); !error.ok()) return error;
    part.pending.shrink_to_fit();
  }
  return {};
}

Result<std::string> Spill::read(std::size_t number) const {
  std::size_t size = 0;
  for (const Chunk& chunk : parts_[number].written) size += chunk.bytes;
  std::string bytes(size, '\0');
  std::size_t at = 0;
  for (const Chunk& chunk : parts_[number].written) {
    const auto into = std::as_writable_bytes(std::span(bytes)).subspan(at, chunk.bytes);
    if (Error error = read_at(file_, name_, chunk.offset, into); !error.ok()) return error;
    at += chunk.bytes;
  }
  return bytes;
}

}  // namespace cellroute::mapping
