#include "control/assign.hpp"

#include <catch2/catch.hpp>
#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "control/mutate.hpp"
#include "forwarding_store.hpp"
#include "store_fixtures.hpp"
#include "store_records.hpp"

namespace cellroute {
namespace {

using testing::code_of;
using testing::must;
using testing::next_op_id;
using testing::plain_record;

constexpr Nanos kNow = 1'700'000'100 * kSecond;

// A memory store that can be told to fail, and tells what reached it.
class FaultyStore final : public testing::ForwardingStore {
 public:
  int puts = 0;
  Error get_error;                   // answered by every get while it is set
  Error put_error;                   // answered by every put while it is set
  bool applies = false;              // with put_error: after the put all the same
  std::function<void()> before_put;  // runs once

  MappingStore& store() { return *store_; }

  Lookup get(std::string_view key, Nanos now) override {
    if (!get_error.ok()) return Lookup{Answer::kUnknown, {}, get_error};
    return store_->get(key, now);
  }
  Result<std::uint64_t> put_if(const MappingRecord& record, std::uint64_t expected) override {
    ++puts;
    if (before_put) std::exchange(before_put, nullptr)();
    if (put_error.ok()) return store_->put_if(record, expected);
    if (applies) CHECK(store_->put_if(record, expected).ok());
    return put_error;
  }
};

TEST_CASE("assign: a new key gets the proposed cell, at epoch 1 and revision 1") {
  FaultyStore store;
  const MappedProfile profile{"retail", "eu-west-1", "", {"EU_RESIDENT"}};
  const Assignment assigned = must(assign(store, {"tenant", "cell-a", profile}, kNow));
  CHECK(assigned.outcome == AssignOutcome::kAssigned);
  CHECK(assigned.record.epoch == 1);
  CHECK(assigned.record.revision == 1);
  CHECK(assigned.record.created == kNow);
  CHECK(assigned.record.profile == profile);
  CHECK(store.get("tenant", kNow).record == assigned.record);
}

TEST_CASE("assign: a key that has a home keeps it, and nothing is written") {
  FaultyStore store;
  REQUIRE(store.store().put_if(plain_record("tenant", "cell-a"), 0).ok());
  AssignmentLimiter none_left(1, kSecond);
  REQUIRE(none_left.take(kNow) == 0);
  const Assignment found = must(assign(store, {"tenant", "cell-b", {}}, kNow, &none_left));
  CHECK(found.outcome == AssignOutcome::kFound);
  CHECK(found.record.cell == "cell-a");
  CHECK(store.puts == 0);
}

TEST_CASE("assign: UNKNOWN is never placed") {
  FaultyStore store;
  store.get_error = Error(ErrorCode::kUnavailable, "timed out");
  CHECK(code_of(assign(store, {"tenant", "cell-a", {}}, kNow)) == ErrorCode::kUnavailable);
  store.get_error = Error(ErrorCode::kCorrupt, "damaged");
  CHECK(code_of(assign(store, {"tenant", "cell-a", {}}, kNow)) == ErrorCode::kCorrupt);
  CHECK(store.puts == 0);
}

TEST_CASE("assign: the loser of a race gets the winner's record") {
  FaultyStore store;
  store.before_put = [&] {
    REQUIRE(store.store().put_if(plain_record("tenant", "winner"), 0).ok());
  };
  const Assignment lost = must(assign(store, {"tenant", "loser", {}}, kNow));
  CHECK(lost.outcome == AssignOutcome::kFound);
  CHECK(lost.record.cell == "winner");
}

TEST_CASE("assign: a winner that is gone again leaves the key unassigned and says so") {
  FaultyStore store;
  store.before_put = [&] {
    MappingRecord record = plain_record("tenant", "winner");
    REQUIRE(store.store().put_if(record, 0).ok());
    record.revision = 1;
    record = must(tombstone(record, next_op_id(), kNow, kSecond));
    REQUIRE(store.store().put_if(record, 1).ok());
  };
  CHECK(code_of(assign(store, {"tenant", "loser", {}}, kNow)) == ErrorCode::kUnavailable);
}

TEST_CASE("assign: a lost reply is read back, and one's own success is a success") {
  FaultyStore store;
  store.put_error = Error(ErrorCode::kUnavailable, "the reply was lost");
  CHECK(code_of(assign(store, {"tenant", "cell-a", {}}, kNow)) == ErrorCode::kUnavailable);
  CHECK(store.store().get("tenant", kNow).answer == Answer::kAbsent);
  store.applies = true;
  const Assignment assigned = must(assign(store, {"tenant", "cell-a", {}}, kNow));
  CHECK(assigned.outcome == AssignOutcome::kAssigned);
  CHECK(assigned.record.revision == 1);
}

TEST_CASE("assign: after a tombstone or an expiry the epoch goes on") {
  FaultyStore store;
  MappingRecord record = must(assign(store, {"tenant", "cell-a", {}}, kNow)).record;
  record = must(moved_to(record, "cell-b", next_op_id(), kNow));
  REQUIRE(must(store.put_if(record, 1)) == 2);
  record.revision = 2;
  REQUIRE(store.put_if(must(tombstone(record, next_op_id(), kNow, kSecond)), 2).ok());
  for (const Nanos now : {kNow, kNow + kSecond}) {  // while it is kept, and when it has expired
    const Lookup absent = store.get("tenant", now);
    REQUIRE(absent.answer == Answer::kAbsent);
    const Assignment again = must(assign(store, {"tenant", "cell-b", {}}, now));
    CHECK(again.outcome == AssignOutcome::kAssigned);
    CHECK(again.record.epoch == absent.record.epoch + 1);
    CHECK(again.record.revision == absent.record.revision + 1);
    CHECK_FALSE(again.record.deleted);
    CHECK(again.record.history.back() ==
          HistoryEntry{"cell-b", absent.record.epoch, absent.record.epoch});
    REQUIRE(store
                .put_if(must(tombstone(again.record, next_op_id(), now, kSecond)),
                        again.record.revision)
                .ok());
  }
}

TEST_CASE("assign: a proposal that breaks a rule writes nothing and costs no token") {
  FaultyStore store;
  AssignmentLimiter one(1, kSecond);
  const auto invalid = ErrorCode::kInvalidArgument;
  CHECK(code_of(assign(store, {"", "cell-a", {}}, kNow, &one)) == invalid);
  CHECK(code_of(assign(store, {std::string(1025, 'k'), "cell-a", {}}, kNow, &one)) == invalid);
  CHECK(code_of(assign(store, {"tenant", "", {}}, kNow, &one)) == invalid);
  CHECK(code_of(assign(store, {"tenant", "a b", {}}, kNow, &one)) == invalid);
  MappedProfile profile;
  profile.flags.assign(17, "F");
  CHECK(code_of(assign(store, {"tenant", "cell-a", profile}, kNow, &one)) == invalid);
  CHECK(store.puts == 0);
  CHECK(one.take(kNow) == 0);
}

TEST_CASE("assign: beyond the rate nothing is written, and the answer says when") {
  FaultyStore store;
  AssignmentLimiter limiter(2, kSecond);
  CHECK(must(assign(store, {"a", "c", {}}, kNow, &limiter)).outcome == AssignOutcome::kAssigned);
  CHECK(must(assign(store, {"b", "c", {}}, kNow, &limiter)).outcome == AssignOutcome::kAssigned);
  const Assignment limited = must(assign(store, {"d", "c", {}}, kNow, &limiter));
  CHECK(limited.outcome == AssignOutcome::kRateLimited);
  CHECK(limited.retry_after == kSecond / 2);
  CHECK(store.puts == 2);
  const Nanos later = kNow + limited.retry_after;
  CHECK(must(assign(store, {"d", "c", {}}, later - 1, &limiter)).outcome ==
        AssignOutcome::kRateLimited);
  CHECK(must(assign(store, {"d", "c", {}}, later, &limiter)).outcome == AssignOutcome::kAssigned);
}

TEST_CASE("assign_many: each proposal is answered as assign() would, one after the other") {
  FaultyStore store;
  REQUIRE(store.put_if(plain_record("old", "cell-z"), 0).ok());
  AssignmentLimiter two(2, kSecond);
  const Proposal proposals[] = {{"a", "cell-a", {}}, {"old", "cell-a", {}}, {"", "cell-a", {}},
                                {"b", "cell-b", {}}, {"a", "cell-c", {}},   {"c", "cell-c", {}}};
  const auto results = assign_many(store, proposals, kNow, &two);
  REQUIRE(results.size() == 6);
  CHECK(results[0]->outcome == AssignOutcome::kAssigned);
  CHECK(results[0]->record == store.get("a", kNow).record);
  CHECK(results[1]->outcome == AssignOutcome::kFound);
  CHECK(results[1]->record.cell == "cell-z");
  CHECK(code_of(results[2]) == ErrorCode::kInvalidArgument);
  CHECK(results[3]->outcome == AssignOutcome::kAssigned);
  CHECK(results[4]->outcome == AssignOutcome::kFound);
  CHECK(results[4]->record.cell == "cell-a");
  CHECK(results[5]->outcome == AssignOutcome::kRateLimited);
  CHECK(store.get("c", kNow).answer == Answer::kAbsent);
  CHECK(assign_many(store, {}, kNow).empty());
}

TEST_CASE("assignment limiter: a clock that steps back, or stands at its ends, refills nothing") {
  AssignmentLimiter limiter(3, kSecond);
  for (int i = 0; i < 3; ++i) CHECK(limiter.take(kNow) == 0);
  CHECK(limiter.take(kNow - kSecond) > kSecond);
  CHECK(limiter.take(std::numeric_limits<Nanos>::min()) > 0);
  CHECK(limiter.take(kNow) > 0);
  AssignmentLimiter at_the_end(1, kSecond);
  CHECK(at_the_end.take(std::numeric_limits<Nanos>::max()) > 0);
  AssignmentLimiter uncapped(0, kSecond);
  for (int i = 0; i < 1000; ++i) CHECK(uncapped.take(kNow) == 0);
  AssignmentLimiter huge(std::numeric_limits<std::uint64_t>::max(), 1);
  for (int i = 0; i < 1000; ++i) CHECK(huge.take(kNow) == 0);
}

TEST_CASE("assignment limiter: no more than the burst and the rate in any trace") {
  AssignmentLimiter limiter(5, 7 * kMillisecond);
  std::uint64_t random = 1;
  std::vector<Nanos> taken;
  Nanos now = kNow;
  for (int i = 0; i < 20'000; ++i) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    now += static_cast<Nanos>((random >> 33) % 2'000'000);
    if (limiter.take(now) == 0) taken.push_back(now);
  }
  REQUIRE(taken.size() > 1000);
  for (std::size_t i = 5; i < taken.size(); ++i) {
    for (const std::size_t back : {std::size_t{5}, std::min<std::size_t>(i, 100)}) {
      // back + 1 in this time: at most 5 at once and one for each seventh of 35 ms.
      CHECK((taken[i] - taken[i - back]) * 5 >= static_cast<Nanos>(back - 4) * 7 * kMillisecond);
    }
  }
}

TEST_CASE("moved_to: the epoch rises, the old home goes into the history of 16") {
  MappingRecord record = plain_record("tenant", "cell-0");
  for (int i = 1; i <= 20; ++i) {
    const OpId id = next_op_id();
    record = must(moved_to(record, "cell-" + std::to_string(i), id, kNow + i));
    CHECK(record.op_id == id);
    CHECK(record.updated == kNow + i);
    CHECK(broken_rule(record) == nullptr);
  }
  CHECK(record.epoch == 21);
  REQUIRE(record.history.size() == kMaxHistory);
  CHECK(record.history.front() == HistoryEntry{"cell-4", 5, 5});
  CHECK(record.history.back() == HistoryEntry{"cell-19", 20, 20});
}

TEST_CASE("moved_to: an epoch that rose in place counts for the cell that had it") {
  MappingRecord record = plain_record("tenant", "cell-a");
  record.epoch = 3;  // an aborted migration raised it
  record = must(moved_to(record, "cell-b", next_op_id(), kNow));
  record.epoch = 6;
  record = must(moved_to(record, "cell-c", next_op_id(), kNow));
  CHECK(record.history == std::vector<HistoryEntry>{{"cell-a", 1, 3}, {"cell-b", 4, 6}});
  CHECK(record.epoch == 7);
}

TEST_CASE("moved_to and tombstone: what would break the record is refused") {
  const MappingRecord record = plain_record("tenant", "cell-a");
  const OpId id = next_op_id();
  const auto invalid = ErrorCode::kInvalidArgument;
  CHECK(code_of(moved_to(record, "cell-a", id, kNow)) == invalid);
  CHECK(code_of(moved_to(record, "", id, kNow)) == invalid);
  CHECK(code_of(moved_to(record, "cell-b", OpId{}, kNow)) == invalid);
  CHECK(code_of(tombstone(record, id, kNow, 0)) == invalid);
  CHECK(code_of(moved_to(must(tombstone(record, id, kNow, 1)), "cell-b", id, kNow)) == invalid);
  MappingRecord moving = record;
  moving.state = MigrationState::kCopying;
  moving.target = "cell-b";
  CHECK(code_of(moved_to(moving, "cell-b", id, kNow)) == ErrorCode::kRefused);
  CHECK(code_of(tombstone(moving, id, kNow, kSecond)) == ErrorCode::kRefused);
  MappingRecord last = record;
  last.epoch = std::numeric_limits<std::uint64_t>::max();
  CHECK(code_of(moved_to(last, "cell-b", id, kNow)) == ErrorCode::kRefused);
  CHECK(must(tombstone(record, id, std::numeric_limits<Nanos>::max() - 1, kSecond)).expires ==
        std::numeric_limits<Nanos>::max());
}

TEST_CASE("new_op_id: no two are the same") {
  std::set<OpId> ids;
  for (int i = 0; i < 1000; ++i) ids.insert(must(new_op_id()));
  CHECK(ids.size() == 1000);
  CHECK(ids.count(OpId{}) == 0);
}

TEST_CASE("assign: threads that race for the same keys agree on every one") {
  const auto store = make_memory_store();
  constexpr int kKeys = 2000;
  constexpr std::size_t kThreads = 4;
  std::vector<std::vector<std::string>> homes(kThreads, std::vector<std::string>(kKeys));
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      const std::string cell = "cell-" + std::to_string(t);
      for (std::size_t i = 0; i < kKeys; ++i) {
        homes[t][i] = must(assign(*store, {"k" + std::to_string(i), cell, {}}, kNow)).record.cell;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (std::size_t t = 1; t < kThreads; ++t) CHECK(homes[t] == homes[0]);
}

}  // namespace
}  // namespace cellroute
