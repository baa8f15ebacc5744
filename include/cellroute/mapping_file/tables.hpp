// The tables of a mapping file: its cells and profiles by name, and where its feeds stood.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cellroute/mapping.hpp"
#include "cellroute/mapping_file/format.hpp"

namespace cellroute {

// How far a feed of changes had been read when the file was built: what it tells from `cursor` on
// may be newer than the file, what came before is in it.
struct FeedCursor {
  std::string feed;    // what the builder calls it, 1 to 512 bytes
  std::string cursor;  // the store's, at most 4,096 bytes

  bool operator==(const FeedCursor&) const = default;
};

namespace crm {

inline constexpr std::size_t kMaxFeedBytes = 512;
inline constexpr std::size_t kMaxCursorBytes = 4096;

struct Tables {
  std::vector<std::string> cells;                      // ascending
  std::vector<std::optional<MappedProfile>> profiles;  // ascending as written; none: no profile
  std::vector<FeedCursor> feeds;                       // ascending by feed
};

inline void append_short(std::string_view text, std::string& out) {
  out += static_cast<char>(text.size());
  out += text;
}

inline void append_long(std::string_view text, std::string& out) {
  out += static_cast<char>(text.size() & 0xff);
  out += static_cast<char>(text.size() >> 8);
  out += text;
}

// Null: no profile. Precondition: it keeps its rules (broken_profile_rule), its flags ascend.
inline void append_profile(const MappedProfile* profile, std::string& out) {
  out += profile != nullptr ? '\1' : '\0';
  if (profile == nullptr) return;
  append_short(profile->tier, out);
  append_short(profile->region, out);
  append_short(profile->plan, out);
  out += static_cast<char>(profile->flags.size());
  for (const std::string& flag : profile->flags) append_short(flag, out);
}

// Reads the tables' bytes; once they end too early, everything read is empty and ok() is false.
class TableReader {
 public:
  explicit TableReader(std::string_view bytes) : rest_(bytes) {}

  bool ok() const noexcept { return ok_; }
  std::size_t left() const noexcept { return rest_.size(); }
  std::string_view rest() const noexcept { return rest_; }

  unsigned byte() noexcept {
    const std::string_view one = take(1);
    return one.empty() ? 0 : static_cast<unsigned char>(one[0]);
  }
  std::string_view short_text() noexcept { return take(byte()); }
  std::string_view long_text() noexcept {
    const unsigned low = byte();
    return take(low | byte() << 8);
  }

 private:
  std::string_view take(std::size_t count) noexcept {
    if (count > rest_.size()) {
      ok_ = false;
      rest_ = {};
      return {};
    }
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }

  std::string_view rest_;
  bool ok_ = true;
};

// False where it breaks a rule.
inline bool read_profile(TableReader& reader, std::optional<MappedProfile>& profile) {
  const unsigned present = reader.byte();
  if (present > 1) return false;
  if (present == 0) return true;
  MappedProfile& read = profile.emplace();
  read.tier = reader.short_text();
  read.region = reader.short_text();
  read.plan = reader.short_text();
  const unsigned flags = reader.byte();
  for (unsigned i = 0; i < flags && reader.ok(); ++i) {
    std::string flag(reader.short_text());
    if (i > 0 && flag <= read.flags.back()) return false;
    read.flags.push_back(std::move(flag));
  }
  return reader.ok() && detail::broken_profile_rule(read) == nullptr;
}

inline Result<Tables> read_tables(std::string_view bytes, const Header& header) {
  Tables tables;
  TableReader reader(bytes);
  for (std::uint32_t i = 0; i < header.cells; ++i) {
    std::string cell(reader.short_text());
    if (!mapped_name_ok(cell)) return corrupt("the table of cells holds what is no cell's name");
    if (i > 0 && cell <= tables.cells.back()) return corrupt("the table of cells is not sorted");
    tables.cells.push_back(std::move(cell));
  }
  std::string_view before;
  for (std::uint32_t i = 0; i < header.profiles; ++i) {
    const std::string_view from = reader.rest();
    if (!read_profile(reader, tables.profiles.emplace_back()) || !reader.ok()) {
      return corrupt("the table of profiles holds what is no profile");
    }
    const std::string_view written = from.substr(0, from.size() - reader.left());
    if (i > 0 && written <= before) return corrupt("the table of profiles is not sorted");
    before = written;
  }
  for (std::uint32_t i = 0; i < header.feeds; ++i) {
    FeedCursor feed{std::string(reader.long_text()), std::string(reader.long_text())};
    if (feed.feed.empty() || feed.feed.size() > kMaxFeedBytes ||
        feed.cursor.size() > kMaxCursorBytes) {
      return corrupt("the table of feeds holds what is no cursor");
    }
    if (i > 0 && feed.feed <= tables.feeds.back().feed) {
      return corrupt("the table of feeds is not sorted");
    }
    tables.feeds.push_back(std::move(feed));
  }
  if (!reader.ok() || reader.left() != 0) return corrupt("the tables' length is not theirs");
  return tables;
}

}  // namespace crm
}  // namespace cellroute
