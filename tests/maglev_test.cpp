#include "cellroute/strategy/maglev.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdint>
#include <vector>

#include "strategy_pool.hpp"

namespace cellroute {
namespace {

using test::Pool;

// The table's entries, read through pick(): the first point of each.
std::vector<CellIndex> entries(const Maglev& table) {
  const std::size_t size = table.table_bytes() / sizeof(CellIndex);
  std::vector<CellIndex> cells;
  for (std::uint64_t entry = 0; entry < size; ++entry) {
    __extension__ using Wide = unsigned __int128;
    cells.push_back(
        table.pick({static_cast<std::uint64_t>(((Wide{entry} << 64) + size - 1) / size), 0}));
  }
  return cells;
}

std::vector<std::size_t> counts(const Maglev& table, std::size_t cells) {
  std::vector<std::size_t> counts(cells);
  for (const CellIndex cell : entries(table)) ++counts[cell];
  return counts;
}

// The paper's pseudocode (section 3.4) with the permutations written out in full, and weights as
// maglev.hpp defines them: turn k in round ceil(k * heaviest / weight).
std::vector<CellIndex> reference(const std::vector<Member>& members, std::uint64_t seed,
                                 std::uint64_t size) {
  std::uint64_t heaviest = 0;
  for (const Member& member : members) heaviest = std::max<std::uint64_t>(heaviest, member.weight);
  std::vector<CellIndex> table(size, kNoCell);
  std::vector<std::uint64_t> next(members.size());
  std::vector<std::uint64_t> turns(members.size());
  std::uint64_t filled = 0;
  for (std::uint64_t round = 0; filled < size; ++round) {
    for (std::size_t i = 0; i < members.size() && filled < size; ++i) {
      if (turns[i] * heaviest > round * members[i].weight) continue;
      ++turns[i];
      const std::uint64_t hash = hash_bytes(seed, members[i].id);
      const std::uint64_t offset = scale(mix(hash, 0), size);
      const std::uint64_t skip = scale(mix(hash, 1), size - 1) + 1;
      while (table[(offset + next[i] * skip) % size] != kNoCell) ++next[i];
      table[(offset + next[i] * skip) % size] = members[i].cell;
      ++filled;
    }
  }
  return table;
}

TEST_CASE("maglev's table is the paper's, weighted and not") {
  StrategyOptions options;
  options.seed = 11;
  options.slots = 1024;
  Pool pool = Pool::of(50);
  CHECK(entries(*Maglev::build(pool.members(), options)) ==
        reference(pool.members(), options.seed, 1031));
  for (std::size_t i = 0; i < 50; ++i) {
    pool.members()[i].weight = static_cast<std::uint32_t>(1 + i * i);
  }
  CHECK(entries(*Maglev::build(pool.members(), options)) ==
        reference(pool.members(), options.seed, 1031));
}

TEST_CASE("maglev's table has the smallest prime above the slots") {
  CHECK(Maglev::smallest_prime_above(1) == 2);
  CHECK(Maglev::smallest_prime_above(2) == 3);
  CHECK(Maglev::smallest_prime_above(24) == 29);
  CHECK(Maglev::smallest_prime_above(1024) == 1031);
  CHECK(Maglev::smallest_prime_above(65'536) == 65'537);
  CHECK(Maglev::smallest_prime_above(1 << 22) == 4'194'319);
}

TEST_CASE("maglev's equal cells differ by one entry at most") {
  for (const std::size_t cells : {1u, 2u, 7u, 1000u, 1024u}) {
    StrategyOptions options;
    options.slots = 1024;
    const Pool pool = Pool::of(cells);
    const auto table = Maglev::build(pool.members(), options);
    REQUIRE(table.ok());
    const auto count = counts(*table, cells);
    const auto [least, most] = std::minmax_element(count.begin(), count.end());
    CHECK(*least >= 1);
    CHECK(*most - *least <= 1);
  }
}

TEST_CASE("maglev's shares follow weights, and the lightest still has an entry") {
  Pool pool = Pool::of(4);
  const std::uint32_t weights[] = {1, 1000, 2000, 3000};
  for (std::size_t i = 0; i < 4; ++i) pool.members()[i].weight = weights[i];
  const auto count = counts(*Maglev::build(pool.members(), {}), 4);
  for (std::size_t i = 0; i < 4; ++i) {
    const double ideal = 65'537.0 * weights[i] / 6'001;
    INFO("cell " << i << " has " << count[i] << ", ideal " << ideal);
    CHECK(static_cast<double>(count[i]) >= 1);
    CHECK(std::abs(static_cast<double>(count[i]) - ideal) <= 2);
  }
}

TEST_CASE("maglev moves little besides what must move") {
  Pool pool = Pool::of(100);
  const auto before = entries(*Maglev::build(pool.members(), {}));
  std::vector<Member> left = pool.members();
  left.erase(left.begin() + 50);
  const auto after = entries(*Maglev::build(left, {}));
  int excess = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (before[i] != after[i] && before[i] != 50) ++excess;
  }
  CHECK(excess < 65'537 / 50);  // the paper's section 5.3: about as much again at the very most
}

}  // namespace
}  // namespace cellroute
