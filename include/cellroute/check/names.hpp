// Names and ids: what they are made of, and that they are unique and known.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "cellroute/check/problems.hpp"
#include "cellroute/names.hpp"
#include "cellroute/topology.hpp"

namespace cellroute::check {

// Visible ASCII, so that ids go through logs, headers and shells unharmed. Quotes, backslashes,
// braces and commas are left out: labels expand {cell}, and lists are joined with commas.
constexpr bool is_name_byte(char c) noexcept {
  return c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '{' && c != '}' && c != ',';
}

// Why `name` is no name, or nothing.
inline std::string name_problem(std::string_view name) {
  if (name.empty()) return "is missing: a name has 1 to 128 visible ASCII characters";
  if (name.size() > kMaxCellIdBytes) {
    return check::quoted(name) + " has " + counted(name.size()) + " bytes; a name has at most 128";
  }
  for (const char c : name) {
    if (is_name_byte(c)) continue;
    return check::quoted(name) + " has the character " + check::quoted({&c, 1}) +
           "; a name has visible ASCII characters other than \" \\ { } and comma";
  }
  return "";
}

// False, with a problem, if there are more than `most`.
inline bool check_count(std::size_t count, std::size_t most, const Path& path, Problems& problems) {
  if (count <= most) return true;
  problems.add(path, "has " + counted(count) + " entries; at most " + counted(most));
  return false;
}

// The names of one kind, by which others refer to them.
class KnownNames {
 public:
  explicit KnownNames(std::string_view kind) : kind_(kind) {}

  // Takes the name in, or says what is wrong with it.
  void add(const std::string& name, const Path& path, Problems& problems) {
    if (std::string text = name_problem(name); !text.empty()) {
      problems.add(path, std::move(text));
    } else if (!index_.add(name, static_cast<std::uint32_t>(names_.size()))) {
      problems.add(path, std::string(kind_) + ' ' + check::quoted(name) + " is given twice");
    } else {
      names_.push_back(name);
    }
  }

  bool has(std::string_view name) const noexcept { return index_.find(name) != NameIndex::kNone; }

  // The place of a name among those that were added, or NameIndex::kNone.
  std::uint32_t find(std::string_view name) const noexcept { return index_.find(name); }

  // False, with a problem, unless there is such a name.
  bool check(std::string_view name, const Path& path, Problems& problems) const {
    if (has(name)) return true;
    // Likenesses are dear to find, and only the first problems are shown.
    problems.add(path, "unknown " + std::string(kind_) + ' ' + check::quoted(name) +
                           (problems.full() ? "" : suggestion(name, names_)));
    return false;
  }

  // Each name of a list is known, and there once.
  void check_list(const std::vector<std::string>& list, const Path& parent, std::string_view field,
                  Problems& problems) const {
    NameIndex seen;
    for (std::size_t i = 0; i < list.size(); ++i) {
      const Path path(parent, field, i);
      if (!check(list[i], path, problems)) continue;
      if (!seen.add(list[i], 0)) problems.add(path, check::quoted(list[i]) + " is given twice");
    }
  }

 private:
  std::string_view kind_;
  std::vector<std::string> names_;
  NameIndex index_;
};

// Everything in a topology that has a name. Cells and policy refer to it.
struct Names {
  KnownNames tiers{"tier"};
  KnownNames regions{"region"};
  KnownNames certifications{"certification"};
  KnownNames levels{"encryption level"};
  KnownNames cells{"cell"};
  NameIndex aliases;

  bool check_tier(std::string_view name, const Path& path, Problems& problems) const {
    if (tiers.has(name) || aliases.find(name) == NameIndex::kNone) {
      return tiers.check(name, path, problems);
    }
    problems.add(path, check::quoted(name) + " is an alias: write the name of the tier itself");
    return false;
  }
};

}  // namespace cellroute::check
