#include "mapping/part.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <tuple>
#include <utility>

#include "cellroute/check/problems.hpp"
#include "cellroute/mapping.hpp"

namespace cellroute::mapping {
namespace {

// A record in the part's bytes.
struct Item {
  crm::KeyHash hash;
  std::uint64_t offset;
};

enum class Entry : std::uint8_t { kPlain, kMark, kNone };

class Preparation {
 public:
  Preparation(const Plan& plan, std::string bytes) : plan_(plan), bytes_(std::move(bytes)) {}

  Result<Part> run() {
    read();
    if (Error error = keep_newest(); !error.ok()) return error;
    find_confused();
    for (std::size_t i = 0; i < items_.size(); ++i) emit(items_[i], kinds_[i]);
    return std::move(part_);
  }

 private:
  Spilled record(const Item& item) const {
    std::string_view from = std::string_view(bytes_).substr(item.offset);
    return take_spilled(from);
  }

  void read() {
    std::string_view rest = bytes_;
    while (!rest.empty()) {
      const std::uint64_t offset = bytes_.size() - rest.size();
      items_.push_back({crm::hash_key(plan_.seed, take_spilled(rest).key), offset});
    }
    part_.records = items_.size();
    std::sort(items_.begin(), items_.end(), [this](const Item& a, const Item& b) {
      if (a.hash.mark != b.hash.mark) return a.hash.mark < b.hash.mark;
      return record(a).key < record(b).key;
    });
  }

  bool same_key(const Item& a, const Item& b) const {
    return a.hash.mark == b.hash.mark && record(a).key == record(b).key;
  }

  Error keep_newest() {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < items_.size();) {
      Item newest = items_[i];
      const std::size_t first = i++;
      for (; i < items_.size() && same_key(items_[first], items_[i]); ++i) {
        if (age(items_[i]) > age(newest)) newest = items_[i];
      }
      for (std::size_t j = first; j < i; ++j) {
        if (Error error = check_same(newest, items_[j]); !error.ok()) return error;
      }
      part_.superseded += i - first - 1;
      const Spilled held = record(newest);
      const bool expired = held.expires != 0 && plan_.now >= held.expires;
      if (held.deleted || expired) {
        ++part_.left_out;
      } else {
        items_[kept++] = newest;
      }
    }
    items_.resize(kept);
    part_.keys = kept;
    return {};
  }

  std::pair<std::uint64_t, std::uint64_t> age(const Item& item) const {
    const Spilled held = record(item);
    return {held.epoch, held.revision};
  }

  // That the two, if none is newer, say the same.
  Error check_same(const Item& newest, const Item& item) const {
    if (age(newest) != age(item)) return {};
    const auto said = [](const Spilled& r) {
      return std::tuple(r.deleted, r.cell, r.profile, r.state, r.expires);
    };
    const Spilled a = record(newest);
    const Spilled b = record(item);
    if (said(a) == said(b)) return {};
    const auto [first, second] = std::minmax(a.number, b.number);
    return invalid_argument("records " + std::to_string(first) + " and " + std::to_string(second) +
                            " both map key " + check::quoted(a.key) +
                            ", of one epoch and revision, and differ");
  }

  // Keys of one fingerprint stand side by side; those of one pair of lines besides are confused.
  void find_confused() {
    kinds_.assign(items_.size(), Entry::kPlain);
    const auto fingerprint = [this](std::size_t i) {
      return plan_.layout.fingerprint(items_[i].hash);
    };
    for (std::size_t i = 0; i < items_.size();) {
      std::size_t end = i + 1;
      while (end < items_.size() && fingerprint(end) == fingerprint(i)) ++end;
      if (end - i > 1) find_confused(i, end);
      i = end;
    }
  }

  void find_confused(std::size_t begin, std::size_t end) {
    std::vector<std::pair<std::uint64_t, std::size_t>> lines;  // the lower one, the item
    for (std::size_t i = begin; i < end; ++i) {
      const std::uint64_t first = plan_.layout.first_line(items_[i].hash);
      const std::uint64_t second =
          plan_.layout.other_line(first, plan_.layout.fingerprint(items_[i].hash));
      lines.emplace_back(std::min(first, second), i);
    }
    std::sort(lines.begin(), lines.end());
    for (std::size_t i = 1; i < lines.size(); ++i) {
      if (lines[i].first != lines[i - 1].first) continue;
      Entry& before = kinds_[lines[i - 1].second];
      if (before == Entry::kPlain) before = Entry::kMark;
      kinds_[lines[i].second] = Entry::kNone;  // the first one's mark is its own, too
    }
  }

  void emit(const Item& item, Entry kind) {
    const Spilled held = record(item);
    const std::uint32_t cell = plan_.cells[held.cell];
    const std::uint32_t profile = plan_.profiles[held.profile];
    const bool fits = held.epoch <= 1 && held.state == 0 && held.expires == 0;
    const bool plain = kind == Entry::kPlain && fits;
    if (!plain) append_aside(item, held, cell, profile);
    if (kind == Entry::kNone) return;
    crm::EntryValue value{static_cast<std::uint32_t>(plan_.cells.size()) + 1, 0, 0};
    if (plain) value = {cell + 1, profile, static_cast<std::uint32_t>(held.epoch)};
    const std::uint64_t fingerprint = plan_.layout.fingerprint(item.hash);
    part_.entries.push_back(
        {plan_.layout.first_line(item.hash), crm::make_entry(plan_.layout, fingerprint, value)});
  }

  void append_aside(const Item& item, const Spilled& held, std::uint32_t cell,
                    std::uint32_t profile) {
    ++part_.aside_keys;
    crm::AsideHead head{};
    head.mark = item.hash.mark;
    head.epoch = held.epoch;
    head.expires = held.expires;
    head.cell = cell;
    head.profile = profile;
    head.key_bytes = static_cast<std::uint16_t>(held.key.size());
    head.state = held.state;
    const std::size_t at = part_.aside.size();
    part_.aside.resize(at + crm::aside_record_bytes(held.key.size()));
    std::memcpy(&part_.aside[at], &head, sizeof head);
    std::memcpy(&part_.aside[at + sizeof head], held.key.data(), held.key.size());
  }

  const Plan& plan_;
  std::string bytes_;
  std::vector<Item> items_;
  std::vector<Entry> kinds_;
  Part part_;
};

}  // namespace

Result<Part> prepare_part(const Spill& spill, std::size_t number, const Plan& plan) {
  Result<std::string> bytes = spill.read(number);
  if (!bytes.ok()) return bytes.error();
  return Preparation(plan, std::move(*bytes)).run();
}

}  // namespace cellroute::mapping
