// No byte of a mapping file can change unseen, and none can make its reader leave it.
#include <catch2/catch.hpp>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "mapping_file_fixtures.hpp"

namespace cellroute {
namespace {

using namespace testing;

FileBytes small_file() {
  const TemporaryDirectory directory;
  must(try_build(directory.path("a.crm"), small_mappings(), small_feeds()));
  return bytes_of(directory.path("a.crm"));
}

// Look-ups of what is in the small file and what is not; only what they read matters.
void look_up_all(const MappingFile& file) {
  static const std::vector<Mapping> mappings = small_mappings();
  for (const Mapping& one : mappings) {
    const FileAnswer answer = file.find(one.key);
    if (answer.answer != Answer::kFound) continue;
    if (answer.cell >= file.cells().size() || answer.profile >= file.profiles().size()) {
      FAIL("an answer names what the file does not have");
    }
  }
  static_cast<void>(file.find("nobody"));
}

ErrorCode opened(const FileBytes& bytes) { return code_of(MappingFile::attach(bytes)); }

TEST_CASE("mapping file damage: every bit that changes is seen before the file serves") {
  FileBytes bytes = small_file();
  REQUIRE(opened(bytes) == ErrorCode::kOk);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      bytes[i] ^= std::byte{1} << bit;
      const ErrorCode code = opened(bytes);
      bytes[i] ^= std::byte{1} << bit;
      const bool version = i >= 8 && i < 12;
      if (code != (version ? ErrorCode::kUnsupported : ErrorCode::kCorrupt)) FAIL("byte " << i);
    }
  }
}

TEST_CASE("mapping file damage: a file cut short or grown is refused") {
  const FileBytes bytes = small_file();
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    if (opened({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length)}) !=
        ErrorCode::kCorrupt) {
      FAIL("cut at " << length);
    }
  }
  FileBytes longer = bytes;
  longer.push_back(std::byte{0});
  CHECK(opened(longer) == ErrorCode::kCorrupt);
}

TEST_CASE("mapping file damage: the error tells which bytes do not hold") {
  const TemporaryDirectory directory;
  const std::string path = directory.path("a.crm");
  std::vector<Mapping> mappings;
  for (int i = 0; i < 500'000; ++i) mappings.push_back({"key-" + std::to_string(i), "a"});
  must(try_build(path, mappings));
  FileBytes bytes = bytes_of(path);
  REQUIRE(bytes.size() > 3 << 20);
  const auto text_with = [&](std::size_t at) {
    bytes[at] ^= std::byte{0x10};
    write_bytes(path, bytes);
    bytes[at] ^= std::byte{0x10};
    const auto result = MappingFile::open(path);
    REQUIRE_FALSE(result.ok());
    return result.error().text();
  };
  CHECK(text_with(100) == path + ": bytes 0 to 255, the header, do not match their checksum");
  CHECK(text_with(300) == path + ": bytes 256 to 1,048,575 do not match their checksum");
  CHECK(text_with(2'500'000) ==
        path + ": bytes 2,097,152 to 3,145,727 do not match their checksum");
  CHECK_THAT(text_with(bytes.size() - 1), Catch::Contains("the checksums, do not match their own"));
  CHECK(text_with(0) == path + ": this is no mapping file");
  // Blocks that changed places.
  std::swap_ranges(bytes.begin() + (1 << 20), bytes.begin() + (2 << 20), bytes.begin() + (2 << 20));
  write_bytes(path, bytes);
  CHECK(code_of(MappingFile::open(path)) == ErrorCode::kCorrupt);
}

TEST_CASE("mapping file damage: what is no mapping file is refused") {
  const TemporaryDirectory directory;
  CHECK(code_of(MappingFile::open(directory.path("none.crm"))) == ErrorCode::kNotFound);
  CHECK(code_of(MappingFile::open(directory.path())) == ErrorCode::kCorrupt);
  CHECK(code_of(MappingFile::open("/dev/zero")) == ErrorCode::kCorrupt);
  write_bytes(directory.path("empty.crm"), {});
  CHECK(code_of(MappingFile::open(directory.path("empty.crm"))) == ErrorCode::kCorrupt);
  write_bytes(directory.path("other.crm"), FileBytes(5000, std::byte{'x'}));
  CHECK(code_of(MappingFile::open(directory.path("other.crm"), {.copy = true})) ==
        ErrorCode::kCorrupt);
}

TEST_CASE("mapping file damage: another version or algorithm is told apart from damage") {
  const FileBytes bytes = small_file();
  const auto with = [&](auto change) {
    FileBytes changed = bytes;
    crm::Header header = header_of(bytes);
    change(header);
    put_header(changed, header);
    return opened(changed);
  };
  CHECK(with([](crm::Header&) {}) == ErrorCode::kOk);
  CHECK(with([](crm::Header& h) { h.version = 2; }) == ErrorCode::kUnsupported);
  CHECK(with([](crm::Header& h) { h.hash_name[0] = 'y'; }) == ErrorCode::kUnsupported);
  CHECK(with([](crm::Header& h) { h.lines_name[0] = 'y'; }) == ErrorCode::kUnsupported);
  CHECK(with([](crm::Header& h) { h.sum_name[15] = 'y'; }) == ErrorCode::kUnsupported);
}

// Each field of the header, at each of many values, with checksums that are right again.
TEST_CASE("mapping file damage: a header that lies with right checksums is refused or harmless") {
  const FileBytes bytes = small_file();
  const std::uint64_t values[] = {0,
                                  1,
                                  2,
                                  7,
                                  8,
                                  9,
                                  63,
                                  64,
                                  255,
                                  65'535,
                                  65'536,
                                  1u << 28,
                                  0xffff'ffff,
                                  std::uint64_t{1} << 36,
                                  (std::uint64_t{1} << 36) + 1,
                                  std::uint64_t{1} << 46,
                                  std::uint64_t{1} << 58,
                                  std::numeric_limits<std::int64_t>::max(),
                                  ~std::uint64_t{0}};
  int served = 0;
  for (std::size_t at = 12; at < sizeof(crm::Header); ++at) {
    for (const std::size_t width : {1U, 2U, 4U, 8U}) {
      if (at + width > sizeof(crm::Header)) continue;
      for (const std::uint64_t value : values) {
        FileBytes changed = bytes;
        std::memcpy(&changed[at], &value, width);
        mend_sums(changed);
        const auto file = MappingFile::attach(changed);
        if (!file.ok()) continue;
        ++served;
        look_up_all(**file);
      }
    }
  }
  CHECK(served > 0);  // those that change the generation, or nothing
}

TEST_CASE("mapping file damage: a body that lies with right checksums is refused or harmless") {
  const FileBytes bytes = small_file();
  std::mt19937_64 random(11);
  int served = 0;
  int refused = 0;
  for (std::size_t i = sizeof(crm::Header); i < bytes.size(); ++i) {
    for (int j = 0; j < 16; ++j) {
      FileBytes changed = bytes;
      for (int k = 0; k <= j / 8; ++k) {
        changed[(k == 0 ? i : i + random() % (bytes.size() - i))] =
            static_cast<std::byte>(random());
      }
      mend_sums(changed);
      const auto file = MappingFile::attach(changed);
      (file.ok() ? served : refused) += 1;
      if (file.ok()) look_up_all(**file);
    }
  }
  CHECK(served > 1'000);  // another fingerprint, name or cursor is as good as any
  CHECK(refused > 1'000);
}

TEST_CASE("mapping file damage: what a file says is checked, whatever its checksums say") {
  const FileBytes bytes = small_file();
  const crm::Header header = header_of(bytes);
  const crm::Sections at(header);
  const auto with = [&](auto change) {
    FileBytes changed = bytes;
    change(changed);
    mend_sums(changed);
    return opened(changed);
  };
  const auto with_header = [&](auto change) {
    return with([&](FileBytes& b) {
      crm::Header changed = header;
      change(changed);
      put_header(b, changed);
    });
  };
  CHECK(with([](FileBytes&) {}) == ErrorCode::kOk);
  CHECK(with_header([](crm::Header& h) { ++h.keys; }) == ErrorCode::kCorrupt);
  CHECK(with_header([](crm::Header& h) { --h.entries; }) == ErrorCode::kCorrupt);
  CHECK(with_header([](crm::Header& h) { --h.cells; }) == ErrorCode::kCorrupt);
  CHECK(with_header([](crm::Header& h) { h.zeroes[3] = 1; }) == ErrorCode::kCorrupt);
  CHECK(with_header([](crm::Header& h) { ++h.seed; }) == ErrorCode::kCorrupt);
  // Cells out of order, then one twice.
  CHECK(with([&](FileBytes& b) { b[at.tables + 1] = std::byte{'z'}; }) == ErrorCode::kCorrupt);
  CHECK(with([&](FileBytes& b) { b[at.tables + 9] = b[at.tables + 14]; }) == ErrorCode::kCorrupt);
  CHECK(with([&](FileBytes& b) { b[at.lines - 1] = std::byte{1}; }) == ErrorCode::kCorrupt);
  // A key kept aside whose mark in the lines is another key's now.
  CHECK(with([&](FileBytes& b) {
          std::uint64_t mark = at.lines;
          const crm::EntryReader reader(header.layout());
          while (reader.value_of(crm::load64(&b[mark])).code != header.cells + 1) mark += 8;
          b[mark + 7] ^= std::byte{0x80};
        }) == ErrorCode::kCorrupt);
  // The directory, then the heap: a state, a cell, the padding, a key that is another.
  CHECK(with([&](FileBytes& b) { b[at.directory + 8] ^= std::byte{8}; }) == ErrorCode::kCorrupt);
  CHECK(with([&](FileBytes& b) { b[at.aside + 34] = std::byte{4}; }) == ErrorCode::kCorrupt);
  CHECK(with([&](FileBytes& b) { b[at.aside + 24] = std::byte{200}; }) == ErrorCode::kCorrupt);
  CHECK(with([&](FileBytes& b) { b[at.aside + 39] = std::byte{1}; }) == ErrorCode::kCorrupt);
  CHECK(with([&](FileBytes& b) { b[at.aside + 40] ^= std::byte{1}; }) == ErrorCode::kCorrupt);
  CHECK(with([&](FileBytes& b) { b[at.aside + 8] ^= std::byte{1}; }) == ErrorCode::kOk);  // epoch
}

TEST_CASE("mapping file damage: bytes that change under an open file make wrong answers at worst") {
  const FileBytes bytes = small_file();
  FileBytes served = bytes;
  const auto file = must(MappingFile::attach(served));
  std::mt19937_64 random(13);
  for (int i = 0; i < 3'000; ++i) {
    served = bytes;  // of the same length: the memory stays where it is
    for (std::uint64_t changes = 1 + random() % 200; changes > 0; --changes) {
      served[random() % served.size()] = static_cast<std::byte>(random());
    }
    look_up_all(*file);
  }
  for (std::byte& byte : served) byte = std::byte{0xff};
  look_up_all(*file);
}

}  // namespace
}  // namespace cellroute
