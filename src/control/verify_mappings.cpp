#include <string>
#include <utility>

#include "cellroute/check/problems.hpp"
#include "control/rules.hpp"
#include "control/verify.hpp"

namespace cellroute {
namespace {

constexpr std::size_t kPageRecords = 1000;

class MappingWalk {
 public:
  explicit MappingWalk(const CompiledTopology& compiled)
      : compiled_(compiled), rules_(compiled.topology()) {}

  void check(const MappingRecord& record) {
    ++result_.records;
    const std::string key = "key " + check::quoted(record.key);
    check_cell(record, key, record.cell, "is mapped to");
    if (!record.target.empty()) check_cell(record, key, record.target, "migrates to");
  }

  MappingCheck take() { return std::move(result_); }

 private:
  void check_cell(const MappingRecord& record, const std::string& key, const std::string& id,
                  std::string_view how) {
    const std::string what = key + " " + std::string(how) + " " + check::quoted(id);
    const CellIndex cell = compiled_.find_cell(id);
    if (cell == kNoCell) {
      ++result_.unknown_cell;
      return result_.findings.add(what + ", which the topology does not have");
    }
    if (compiled_.cell(cell).state == CellState::kOffline) {
      ++result_.offline_cell;
      return result_.findings.add(what + ", which is OFFLINE");
    }
    if (record.profile) check_profile(*record.profile, cell, what);
  }

  void check_profile(const MappedProfile& profile, CellIndex cell, const std::string& what) {
    const bool known = (profile.tier.empty() || place(compiled_.tier_names(), profile.tier)) &&
                       (profile.region.empty() || place(compiled_.region_names(), profile.region));
    verifying::FlagSet set;
    bool flags_known = true;
    for (const std::string& name : profile.flags) {
      const std::uint32_t flag = compiled_.flag_names().find(name);
      flags_known = flags_known && flag != NameIndex::kNone;
      if (flag != NameIndex::kNone) set.flags |= std::uint32_t{1} << flag;
    }
    if (!known || !flags_known) {
      ++result_.unknown_profile;
      return result_.findings.add(what +
                                  "; its record names a tier, region or flag that the "
                                  "topology does not have");
    }
    const std::string objection = rules_.objection(cell, rules_.demand(set));
    if (objection.empty()) return;
    ++result_.broken_flags;
    result_.findings.add(what + " with " + rules_.text(set) + ", but " + objection);
  }

  static bool place(const NameIndex& names, const std::string& name) {
    return names.find(name) != NameIndex::kNone;
  }

  const CompiledTopology& compiled_;
  verifying::Rules rules_;
  MappingCheck result_;
};

}  // namespace

Result<MappingCheck> verify_mappings(const CompiledTopology& compiled, MappingStore& store,
                                     Nanos now, const std::function<void(std::size_t)>& seen) {
  MappingWalk walk(compiled);
  Cursor cursor;
  for (;;) {
    Result<Page> page = store.scan(cursor, kPageRecords, now);
    if (!page.ok()) return page.error();
    for (const MappingRecord& record : page->records) walk.check(record);
    seen(page->records.size());
    if (page->done) return walk.take();
    cursor = std::move(page->next);
  }
}

}  // namespace cellroute
