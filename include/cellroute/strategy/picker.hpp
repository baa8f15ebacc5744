// Any strategy's table behind one type, chosen by name: what a pool holds.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "cellroute/strategy/jump.hpp"
#include "cellroute/strategy/ketama.hpp"
#include "cellroute/strategy/ketama_nginx.hpp"
#include "cellroute/strategy/maglev.hpp"
#include "cellroute/strategy/md5_modulo.hpp"
#include "cellroute/strategy/modulo.hpp"
#include "cellroute/strategy/rendezvous.hpp"
#include "cellroute/strategy/rendezvous_slots.hpp"
#include "cellroute/strategy/ring.hpp"
#include "cellroute/strategy/strategy.hpp"

namespace cellroute {

// In the order of detail::StrategyTable's alternatives; the numbers never change.
enum class StrategyKind : std::uint8_t {
  kRendezvousSlots = 0,  // the default
  kJump = 1,
  kMaglev = 2,
  kRing = 3,
  kRendezvous = 4,
  kModulo = 5,
  kMd5Modulo = 6,
  kKetama = 7,
  kKetamaNginx = 8,
};

inline constexpr std::size_t kStrategyKinds = 9;

namespace detail {

using StrategyTable = std::variant<RendezvousSlots, Jump, Maglev, Ring, Rendezvous, Modulo,
                                   Md5Modulo, Ketama, KetamaNginx>;
static_assert(std::variant_size_v<StrategyTable> == kStrategyKinds);

struct StrategyTrait {
  std::string_view name;
  bool minimal;
  bool ordered;
  unsigned point_bits;
};

inline constexpr auto kStrategyTraits = []<std::size_t... I>(std::index_sequence<I...>) {
  return std::array<StrategyTrait, kStrategyKinds>{
      {{std::variant_alternative_t<I, StrategyTable>::kName,
        std::variant_alternative_t<I, StrategyTable>::kMinimal,
        std::variant_alternative_t<I, StrategyTable>::kOrdered,
        std::variant_alternative_t<I, StrategyTable>::kPointBits}...}};
}
(std::make_index_sequence<kStrategyKinds>{});

}  // namespace detail

// Immutable once built; any number of threads. One that was moved from may only be assigned to or
// destroyed.
class Picker {
 public:
  // What each strategy's build() says holds: members in byte order of id, but for the strategies
  // with ordered(kind), which take them in the order of policy.order.
  static Result<Picker> build(StrategyKind kind, std::span<const Member> members,
                              const StrategyOptions& options) {
    return build_as(kind, members, options, std::make_index_sequence<kStrategyKinds>{});
  }

  StrategyKind kind() const noexcept { return static_cast<StrategyKind>(table_.index()); }

  // The point must come from point() or derived() for this kind.
  CellIndex pick(Point point) const noexcept {
    if (const auto* slots = std::get_if<RendezvousSlots>(&table_)) [[likely]] {
      return slots->pick(point);
    }
    return std::visit([&](const auto& table) noexcept { return table.pick(point); }, table_);
  }

  // The pick of a key itself. `hash` is hash_bytes(placement seed, key).
  CellIndex pick(std::string_view key, std::uint64_t hash) const noexcept {
    if (const auto* slots = std::get_if<RendezvousSlots>(&table_)) [[likely]] {
      return slots->pick({hash, 0});
    }
    return std::visit(
        [&](const auto& table) noexcept { return table.pick(table.point(key, hash)); }, table_);
  }

  std::size_t table_bytes() const noexcept {
    return std::visit([](const auto& table) noexcept { return table.table_bytes(); }, table_);
  }

  // `hash` is hash_bytes(placement seed, key).
  static Point point(StrategyKind kind, std::string_view key, std::uint64_t hash) noexcept {
    if (kind < StrategyKind::kMd5Modulo) [[likely]]
      return {hash, 0};
    return foreign_point(kind, key, hash);
  }

  // The j-th point derived from a key's own: mix(h, j); of a 32-bit point h the low 32 bits of
  // that; of a 128-bit one, each half derived from its own. Frozen.
  static Point derived(StrategyKind kind, Point point, std::uint32_t j) noexcept {
    const unsigned bits = trait(kind).point_bits;
    const std::uint64_t lo = mix(point.lo, j);
    if (bits == 32) return {lo & UINT32_MAX, 0};
    return {lo, bits == 128 ? mix(point.hi, j) : 0};
  }

  static constexpr std::string_view name(StrategyKind kind) noexcept { return trait(kind).name; }

  // History-free: whatever order cells came and went in, only the keys that must move do.
  static constexpr bool minimal(StrategyKind kind) noexcept { return trait(kind).minimal; }

  // Takes its members in the order of policy.order.
  static constexpr bool ordered(StrategyKind kind) noexcept { return trait(kind).ordered; }

 private:
  using Table = detail::StrategyTable;

  static Point foreign_point(StrategyKind kind, std::string_view key, std::uint64_t hash) noexcept {
    switch (kind) {
      case StrategyKind::kMd5Modulo: return Md5Modulo::point(key, hash);
      case StrategyKind::kKetama: return Ketama::point(key, hash);
      case StrategyKind::kKetamaNginx: return KetamaNginx::point(key, hash);
      default: return {hash, 0};
    }
  }

  static constexpr const detail::StrategyTrait& trait(StrategyKind kind) noexcept {
    return detail::kStrategyTraits[static_cast<std::size_t>(kind)];
  }

  template <std::size_t... I>
  static Result<Picker> build_as(StrategyKind kind, std::span<const Member> members,
                                 const StrategyOptions& options, std::index_sequence<I...>) {
    using Build = Result<Picker> (*)(std::span<const Member>, const StrategyOptions&);
    constexpr std::array<Build, kStrategyKinds> kBuilds = {
        &build_one<std::variant_alternative_t<I, Table>>...};
    const auto number = static_cast<std::size_t>(kind);
    if (number < kBuilds.size()) return kBuilds[number](members, options);
    return invalid_argument("strategy number " + std::to_string(number) +
                            " does not exist; the last one is " +
                            std::to_string(kBuilds.size() - 1));
  }

  template <class S>
  static Result<Picker> build_one(std::span<const Member> members, const StrategyOptions& options) {
    Result<S> table = S::build(members, options);
    if (!table) return table.error();
    return Picker(Table(std::move(*table)));
  }

  explicit Picker(Table table) noexcept : table_(std::move(table)) {}

  Table table_;
};

// "jump" or "jump.v1"; the names are Picker::name's. An unversioned name means version 1 for ever.
inline Result<StrategyKind> parse_strategy(std::string_view text) {
  constexpr std::string_view kSuffix = ".v1";
  std::string_view name = text;
  if (name.ends_with(kSuffix)) name.remove_suffix(kSuffix.size());
  std::string known;
  for (std::size_t i = 0; i < kStrategyKinds; ++i) {
    if (detail::kStrategyTraits[i].name == name) return static_cast<StrategyKind>(i);
    known += (i == 0 ? "" : ", ") + std::string(detail::kStrategyTraits[i].name);
  }
  return invalid_argument("strategy " + detail::quoted(text) + " does not exist; choose one of " +
                          known + " (\".v1\" may follow)");
}

}  // namespace cellroute
