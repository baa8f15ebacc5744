#include "cellroute/published.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <memory>
#include <thread>
#include <vector>

namespace {

using cellroute::ErrorCode;
using cellroute::Published;

// Counts the living, and knows when it is read after its death.
struct Tracked {
  explicit Tracked(int number) : value(number) { ++living; }
  ~Tracked() {
    value = -1;
    --living;
  }
  Tracked(const Tracked&) = delete;
  Tracked& operator=(const Tracked&) = delete;

  int value;
  static inline std::atomic<int> living{0};
};

using Value = Published<Tracked>;

TEST_CASE("published: nothing to read before the first replace") {
  const Value published(2);
  CHECK(Value::Reading(published, 1).get() == nullptr);
  CHECK(published.hold(0) == nullptr);
}

TEST_CASE("published: a reader keeps what it saw, newcomers get the new value") {
  Value published(2);
  REQUIRE(published.replace(std::make_shared<Tracked>(1)).ok());
  {
    const Value::Reading early(published, 0);
    REQUIRE(published.replace(std::make_shared<Tracked>(2)).ok());
    const Value::Reading late(published, 0);
    CHECK(early.get()->value == 1);
    CHECK(late.get()->value == 2);
    CHECK(published.collect() == 1);
    CHECK(Tracked::living == 2);
  }
  CHECK(published.collect() == 0);
  CHECK(Tracked::living == 1);
}

TEST_CASE("published: a reader that shares a lane is waited for as well") {
  Value published(1);
  REQUIRE(published.replace(std::make_shared<Tracked>(1)).ok());
  auto owner = std::make_unique<Value::Reading>(published, 0);
  auto beside = std::make_unique<Value::Reading>(published, 0);
  REQUIRE(published.replace(std::make_shared<Tracked>(2)).ok());
  owner.reset();
  CHECK(published.collect() == 1);
  CHECK(beside->get()->value == 1);
  beside.reset();
  CHECK(published.collect() == 0);
}

TEST_CASE("published: a held value outlives its replacement and the publisher") {
  std::shared_ptr<const Tracked> held;
  {
    Value published(1);
    REQUIRE(published.replace(std::make_shared<Tracked>(7)).ok());
    held = published.hold(0);
    REQUIRE(published.replace(std::make_shared<Tracked>(8)).ok());
    CHECK(published.collect() == 0);
  }
  CHECK(held->value == 7);
  held.reset();
  CHECK(Tracked::living == 0);
}

TEST_CASE("published: a stopped reader bounds what is kept, and replace says so") {
  Value published(1);
  REQUIRE(published.replace(std::make_shared<Tracked>(0)).ok());
  auto stopped = std::make_unique<Value::Reading>(published, 0);
  int accepted = 0;
  while (published.replace(std::make_shared<Tracked>(accepted + 1)).ok()) ++accepted;
  CHECK(accepted == static_cast<int>(Value::kMaxRetired));
  CHECK(Value::Reading(published, 0).get()->value == accepted);
  CHECK(published.replace(std::make_shared<Tracked>(0)).code() == ErrorCode::kUnavailable);
  stopped.reset();
  CHECK(published.replace(std::make_shared<Tracked>(99)).ok());
  CHECK(published.collect() == 0);
}

TEST_CASE("published: readers on own and shared lanes never see a freed value") {
  Value published(2);
  REQUIRE(published.replace(std::make_shared<Tracked>(1)).ok());
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::vector<std::thread> readers;
  for (const std::uint32_t lane : {0u, 1u, 1u}) {
    readers.emplace_back([&, lane] {
      int last = 0;
      while (!stop.load(std::memory_order_relaxed)) {
        const Value::Reading reading(published, lane);
        if (reading.get()->value < last) ++wrong;
        last = reading.get()->value;
      }
    });
  }
  for (int i = 2; i < 3000; ++i) {
    while (!published.replace(std::make_shared<Tracked>(i)).ok()) std::this_thread::yield();
  }
  stop = true;
  for (std::thread& reader : readers) reader.join();
  CHECK(wrong == 0);
  CHECK(published.collect() == 0);
  CHECK(Tracked::living == 1);
}

}  // namespace
