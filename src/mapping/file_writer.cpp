#include "mapping/file_writer.hpp"

#include <algorithm>
#include <cstring>
#include <string>

namespace cellroute::mapping {
namespace {

constexpr std::uint64_t kReadBytes = std::uint64_t{1} << 20;

class SectionWriter {
 public:
  SectionWriter(const NewFile& file, crm::Header& header)
      : file_(file), header_(header), at_(header) {}

  Error run(std::string_view tables, std::span<const std::byte> lines) {
    std::string text(tables);
    text.resize(at_.lines - at_.tables);
    if (Error error = write(at_.tables, std::as_bytes(std::span(text))); !error.ok()) return error;
    if (Error error = write(at_.lines, lines); !error.ok()) return error;
    if (Error error = read_heap(); !error.ok()) return error;
    if (Error error = write(at_.directory, std::as_bytes(std::span(directory_))); !error.ok()) {
      return error;
    }
    const auto sums = std::as_bytes(sums_.finish());
    header_.sums_sum = crm::sum_of(sums.data(), sums.size(), 0);
    header_.header_sum = crm::header_sum(header_);
    if (Error error = write_at(file_.descriptor(), file_.name(), at_.sums, sums); !error.ok()) {
      return error;
    }
    return write_at(file_.descriptor(), file_.name(), 0, std::as_bytes(std::span(&header_, 1)));
  }

 private:
  Error write(std::uint64_t offset, std::span<const std::byte> bytes) {
    sums_.add(bytes);
    return write_at(file_.descriptor(), file_.name(), offset, bytes);
  }

  // Makes the directory while it sums the heap; what is read ends with a whole record.
  Error read_heap() {
    directory_.reserve(crm::aside_buckets(header_.aside) + 1);
    directory_.push_back(0);
    std::vector<std::byte> buffer(std::min(kReadBytes, header_.aside_bytes));
    for (std::uint64_t done = 0; done < header_.aside_bytes;) {
      const std::span<std::byte> piece(buffer.data(),
                                       std::min(kReadBytes, header_.aside_bytes - done));
      if (Error error = read_at(file_.descriptor(), file_.name(), at_.aside + done, piece);
          !error.ok()) {
        return error;
      }
      const std::uint64_t whole = add_records(done, piece);
      if (crowded_) {
        return refused("the keys kept aside crowd in one place: build with another seed");
      }
      sums_.add(piece.first(whole));
      done += whole;
    }
    directory_.resize(crm::aside_buckets(header_.aside) + 1, header_.aside_bytes);
    return {};
  }

  // The length of the records that lie in `piece` as a whole, which begins at `from` in the heap.
  std::uint64_t add_records(std::uint64_t from, std::span<const std::byte> piece) {
    std::uint64_t at = 0;
    while (piece.size() - at >= sizeof(crm::AsideHead)) {
      crm::AsideHead head;
      std::memcpy(&head, piece.data() + at, sizeof head);
      const std::uint64_t bytes = crm::aside_record_bytes(head.key_bytes);
      if (bytes > piece.size() - at) break;
      const std::uint64_t bucket = scale(head.mark, crm::aside_buckets(header_.aside));
      if (directory_.size() <= bucket) {
        directory_.resize(bucket + 1, from + at);
        in_bucket_ = 0;
      }
      crowded_ = crowded_ || ++in_bucket_ > crm::kMaxAsideInBucket;
      at += bytes;
    }
    return at;
  }

  const NewFile& file_;
  crm::Header& header_;
  crm::Sections at_;
  BlockSums sums_;
  std::vector<std::uint64_t> directory_;
  std::uint64_t in_bucket_ = 0;
  bool crowded_ = false;
};

}  // namespace

void BlockSums::add(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    if (!begun_) XXH3_64bits_reset_withSeed(&state_, offset_ / crm::kBlockBytes);
    begun_ = true;
    const std::uint64_t room = crm::kBlockBytes - offset_ % crm::kBlockBytes;
    const auto part = bytes.first(std::min<std::size_t>(room, bytes.size()));
    XXH3_64bits_update(&state_, part.data(), part.size());
    offset_ += part.size();
    bytes = bytes.subspan(part.size());
    if (offset_ % crm::kBlockBytes == 0) end_block();
  }
}

std::span<const std::uint64_t> BlockSums::finish() {
  if (begun_) end_block();
  return sums_;
}

void BlockSums::end_block() {
  sums_.push_back(XXH3_64bits_digest(&state_));
  begun_ = false;
}

Error write_sections(const NewFile& file, crm::Header& header, std::string_view tables,
                     std::span<const std::byte> lines) {
  return SectionWriter(file, header).run(tables, lines);
}

}  // namespace cellroute::mapping
