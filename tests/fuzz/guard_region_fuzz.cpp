// A guard region of hostile bytes: whatever a broken or malicious process wrote there, opening it
// and working in it ends, and touches nothing outside. Input: a byte (bit 0: put a sound header
// before the rest), the number of operations, four bytes for each, then the region.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "cellroute/guard/guards.hpp"

namespace {

using namespace cellroute;

struct Free {
  void operator()(std::byte* memory) const { std::free(memory); }
};

struct Operation {
  std::uint8_t kind, where, when, how;
};

// From the beginning to the end of time, with the usual present in between.
Nanos time_of(std::uint8_t when) {
  constexpr Nanos kPresent = 1'700'000'000 * kSecond;
  switch (when % 8) {
    case 0: return INT64_MIN;
    case 1: return INT64_MAX;
    case 2: return 0;
    case 3: return kPresent - (when >> 3) * 3600 * kSecond;
    default: return kPresent + (when >> 3) * (when % 8 - 3) * kSecond;
  }
}

struct Rules {
  Rules(std::uint8_t how, std::uint32_t lanes) {
    BreakerPolicy breaker;
    breaker.consecutive_failures = how % 3;
    breaker.failure_rate = how % 2 * 500;
    breaker.slow_call = kSecond;
    breaker.slow_rate = 500;
    breaker.minimum_calls = 1;
    breaker.probes = 1 + how % 8;
    Limit limits[2];
    limits[0].per = limits[1].per = LimitPer::kCell;
    limits[0].requests = 1 + how * 20u;
    limits[1].kind = LimitKind::kWindow;
    limits[1].requests = 1 + how * 300u;
    cell = *compile_rules(breaker, {how * 4u, kSecond}, limits, lanes);
    limits[0].per = limits[1].per = LimitPer::kKey;
    bucket = *compile_limit(limits[0], lanes);
    window = *compile_limit(limits[1], lanes);
  }
  CellRules cell;
  LimitRule bucket;
  LimitRule window;
};

void work(const GuardRegion& region, std::span<const Operation> operations) {
  Guards guards(region);
  const std::uint32_t cells = region.geometry().cells;
  std::vector<std::uint32_t> group;
  for (std::uint32_t i = 0; i < cells && i < 8; ++i) group.push_back(i);
  std::vector<Ticket> tickets(4);
  for (const Operation& op : operations) {
    const Rules rules(op.how, region.geometry().lanes);
    const std::uint32_t cell = op.where % cells;
    const std::uint32_t lane = op.where / 8 % region.geometry().lanes;
    const Nanos now = time_of(op.when);
    Ticket& ticket = tickets[op.how % 4];
    switch (op.kind % 8) {
      case 0: static_cast<void>(guards.region().claim(std::uint64_t{op.how} + 1)); break;
      case 1:
      case 2: {
        const KeyCharge charges[] = {{{op.how}, &rules.bucket}, {{op.where}, &rules.window}};
        const std::span<const KeyCharge> charged(charges, op.kind % 8 == 1 ? 2 : 0);
        static_cast<void>(guards.admit(cell, lane, rules.cell, charged, now, ticket));
        break;
      }
      case 3:
        guards.report(ticket, {static_cast<OutcomeKind>(op.how % 3), op.how % 5 == 0}, rules.cell,
                      {group, op.how % 2 == 0}, now);
        break;
      case 4:  // made up
        ticket = {cell, lane, {op.how * 65'537u}, {op.when, op.how % 10u, op.how}, now};
        break;
      case 5: guards.region().set_health(cell, static_cast<Health>(op.how % 2)); break;
      case 6:
        guards.region().apply_health(cell, op.how, static_cast<Health>(op.when % 2));
        guards.region().start_load(cell, op.how);
        break;
      default:
        static_cast<void>(guards.available(cell, rules.cell, now));
        static_cast<void>(guards.in_flight(cell) + guards.in_flight_estimate(cell));
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const bool sound_header = (data[0] & 1) != 0;
  std::vector<Operation> operations(data[1]);
  const std::size_t operation_bytes = operations.size() * sizeof(Operation);
  if (size - 2 < operation_bytes) return 0;
  if (operation_bytes != 0) std::memcpy(operations.data(), data + 2, operation_bytes);
  const std::size_t region_bytes = size - 2 - operation_bytes;

  // Exactly as large as the input, so that a sanitizer sees the first byte beyond it.
  const GuardGeometry geometry{2, 2, 16};
  const std::size_t least = sound_header ? GuardRegion::bytes(geometry) : 64;
  const std::size_t length = region_bytes < least ? least : region_bytes;
  void* allocated = nullptr;
  if (posix_memalign(&allocated, 64, length) != 0) return 0;
  const std::unique_ptr<std::byte, Free> memory(static_cast<std::byte*>(allocated));
  std::memset(memory.get(), 0, length);
  if (region_bytes != 0) {
    std::memcpy(memory.get(), data + 2 + operation_bytes, region_bytes);
  }
  if (sound_header) {
    std::memset(memory.get(), 0, sizeof(guard::RegionHeader));
    static_cast<void>(GuardRegion::create({memory.get(), length}, geometry, 1));
  }
  if (const Result<GuardRegion> region = GuardRegion::attach({memory.get(), length}); region) {
    work(*region, operations);
  }
  if (const Result<GuardRegion> region = GuardRegion::create({memory.get(), length}, geometry, 2);
      region) {
    work(*region, operations);
  }
  return 0;
}
