// Requests, mappings, decisions and tickets between the two worlds. On the path: all inline.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>

#include "cellroute.h"
#include "cellroute/decision.hpp"
#include "cellroute/request.hpp"
#include "structs.hpp"

namespace cellroute::capi {

inline constexpr std::uint32_t kHasProfile = 1;
inline constexpr std::uint32_t kProfileUnknown = 2;

inline Profile profile_of(const cellroute_profile& from) noexcept {
  return {from.generation, from.tier, from.region, from.flags, from.plan};
}

inline cellroute_profile profile_of(const Profile& from) noexcept {
  return {from.generation, from.tier, from.region, from.flags, from.plan};
}

// Its numbers are checked by whoever follows them.
inline std::int32_t read_mapping(const cellroute_mapping* from, Mapped& to) noexcept {
  cellroute_mapping room;
  if (const std::int32_t code = read_struct(from, room); code != CELLROUTE_OK) return code;
  if (from->answer > CELLROUTE_LOOKUP_UNKNOWN || from->state > CELLROUTE_FROZEN ||
      from->stale > 1 || from->marks > (kHasProfile | kProfileUnknown)) {
    return CELLROUTE_E_INVALID_ARGUMENT;
  }
  to.generation = from->generation;
  to.answer = static_cast<Answer>(from->answer);
  to.state = static_cast<MigrationState>(from->state);
  to.stale = from->stale != 0;
  to.has_profile = (from->marks & kHasProfile) != 0;
  to.profile_known = (from->marks & kProfileUnknown) == 0;
  to.cell = from->cell < kNoCell ? static_cast<CellIndex>(from->cell) : kNoCell;
  to.profile = profile_of(from->profile);
  to.epoch = from->epoch;
  return CELLROUTE_OK;
}

inline cellroute_mapping mapping_of(const Mapped& from) noexcept {
  cellroute_mapping made{};
  made.answer = static_cast<std::uint32_t>(from.answer);
  made.generation = from.generation;
  made.epoch = from.epoch;
  made.state = static_cast<std::uint32_t>(from.state);
  made.stale = from.stale ? 1 : 0;
  made.cell = from.cell == kNoCell ? CELLROUTE_NO_CELL : from.cell;
  made.marks = (from.has_profile ? kHasProfile : 0) | (from.profile_known ? 0 : kProfileUnknown);
  made.profile = profile_of(from.profile);
  return made;
}

// A request on its way in, with room for what it points to.
struct RequestIn {
  Request request;
  Mapped mapped;
};

// Of a request of this version, but for its mapping.
[[gnu::always_inline]] inline std::int32_t check_fields(const cellroute_request& from) noexcept {
  if (!sound(from.key) || !sound(from.resource)) [[unlikely]]
    return CELLROUTE_E_NULL;
  if (from.tried_count != 0 && from.tried == nullptr) [[unlikely]]
    return CELLROUTE_E_NULL;
  return from.access <= CELLROUTE_READ ? CELLROUTE_OK : CELLROUTE_E_INVALID_ARGUMENT;
}

// Precondition: check_fields().
[[gnu::always_inline]] inline Request request_of(const cellroute_request& from,
                                                 const Mapped* mapping) noexcept {
  return {.key = text(from.key),
          .profile = profile_of(from.profile),
          .risk = from.risk,
          .access = static_cast<Access>(from.access),
          .lane = from.lane,
          .resource = text(from.resource),
          .tried = {from.tried, from.tried_count},
          .mapping = mapping};
}

// Of any version, with its mapping.
inline std::int32_t read_request(const cellroute_request* from, RequestIn& to) noexcept {
  cellroute_request room;
  std::int32_t code = read_struct(from, room);
  if (code == CELLROUTE_OK) code = check_fields(*from);
  if (code == CELLROUTE_OK && from->mapping != nullptr) {
    code = read_mapping(from->mapping, to.mapped);
  }
  if (code != CELLROUTE_OK) return code;
  to.request = request_of(*from, from->mapping != nullptr ? &to.mapped : nullptr);
  return CELLROUTE_OK;
}

// Empty is all zero, so that a ticket that a host cleared is one.
inline cellroute_ticket ticket_of(const Ticket& from) noexcept {
  if (from.empty()) return {};
  return {{std::uint64_t{from.lane} << 32 | (from.cell + 1), from.flight.turn,
           std::uint64_t{from.breaker.probe} << 32 | from.breaker.generation,
           from.breaker.probe_word, static_cast<std::uint64_t>(from.start)}};
}

inline Ticket ticket_of(const cellroute_ticket& from) noexcept {
  Ticket ticket;
  ticket.cell = static_cast<std::uint32_t>(from.words[0]) - 1;
  ticket.lane = static_cast<std::uint32_t>(from.words[0] >> 32);
  ticket.flight.turn = static_cast<std::uint32_t>(from.words[1]);
  ticket.breaker.generation = static_cast<std::uint32_t>(from.words[2]);
  ticket.breaker.probe = static_cast<std::uint32_t>(from.words[2] >> 32);
  ticket.breaker.probe_word = from.words[3];
  ticket.start = static_cast<Nanos>(from.words[4]);
  return ticket;
}

[[gnu::always_inline]] inline void write_fields(const Decision& from,
                                                cellroute_decision& to) noexcept {
  to.status = static_cast<std::uint32_t>(from.status);
  to.reason = static_cast<std::uint32_t>(from.reason);
  to.cell = from.cell;
  to.marks = from.read_only ? CELLROUTE_READ_ONLY : 0;
  to.reserved = 0;
  to.epoch = from.epoch;
  to.generation = from.generation;
  to.retry_after_ns = from.retry_after;
  to.timeout_ns = from.timeout;
  to.ticket = ticket_of(from.ticket);
}

// Precondition: check_out().
[[gnu::always_inline]] inline void write_decision(const Decision& from,
                                                  cellroute_decision* to) noexcept {
  if (to->struct_size == sizeof *to) [[likely]]
    return write_fields(from, *to);
  cellroute_decision made{};
  write_fields(from, made);
  write_struct(to, made);
}

}  // namespace cellroute::capi
