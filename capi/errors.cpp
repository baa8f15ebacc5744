// Versions, codes and their texts, the lists of statuses and reasons.
#include <algorithm>
#include <cstring>
#include <iterator>

#include "cellroute/decision.hpp"
#include "cellroute/version.hpp"
#include "counts.hpp"
#include "entry.hpp"

namespace cellroute::capi {
namespace {

struct CodeText {
  std::int32_t code;
  const char* name;
  std::string_view text;
};

constexpr CodeText kCodes[] = {
    {CELLROUTE_OK, "CELLROUTE_OK", ""},
    {CELLROUTE_UNCHANGED, "CELLROUTE_UNCHANGED", ""},
    {CELLROUTE_ABSENT, "CELLROUTE_ABSENT", ""},
    {CELLROUTE_DENIED, "CELLROUTE_DENIED", ""},
    {CELLROUTE_STALE, "CELLROUTE_STALE", ""},
    {CELLROUTE_E_INVALID_ARGUMENT, "CELLROUTE_E_INVALID_ARGUMENT",
     "a field of a struct, or an argument, is out of its range: see its comment in cellroute.h"},
    {CELLROUTE_E_NOT_FOUND, "CELLROUTE_E_NOT_FOUND", "there is nothing of that number or name"},
    {CELLROUTE_E_CONFLICT, "CELLROUTE_E_CONFLICT", "another revision is stored: read it again"},
    {CELLROUTE_E_UNAVAILABLE, "CELLROUTE_E_UNAVAILABLE", "no answer now: try again"},
    {CELLROUTE_E_REFUSED, "CELLROUTE_E_REFUSED", "against a bound or a gate"},
    {CELLROUTE_E_EXHAUSTED, "CELLROUTE_E_EXHAUSTED", "a table is full"},
    {CELLROUTE_E_CORRUPT, "CELLROUTE_E_CORRUPT", "stored bytes fail their check"},
    {CELLROUTE_E_UNSUPPORTED, "CELLROUTE_E_UNSUPPORTED", "this store or build cannot do it"},
    {CELLROUTE_E_FORKED, "CELLROUTE_E_FORKED",
     "the handle is of the process before fork(): create another one in this process"},
    {CELLROUTE_E_NO_MEMORY, "CELLROUTE_E_NO_MEMORY", "no memory; nothing was changed"},
    {CELLROUTE_E_NULL, "CELLROUTE_E_NULL", "a pointer that must not be NULL is NULL"},
    {CELLROUTE_E_STRUCT_SIZE, "CELLROUTE_E_STRUCT_SIZE",
     "a struct_size is not that of any version: set it to sizeof"},
    {CELLROUTE_E_UNKNOWN_TAIL, "CELLROUTE_E_UNKNOWN_TAIL",
     "a struct has a field that is set and that this library is too old to know"},
    {CELLROUTE_E_BUFFER, "CELLROUTE_E_BUFFER", "the buffer is too small: give more than *size"},
    {CELLROUTE_E_UNKNOWN_NAME, "CELLROUTE_E_UNKNOWN_NAME", "the topology has no such name"},
    {CELLROUTE_E_NO_SNAPSHOT, "CELLROUTE_E_NO_SNAPSHOT", "nothing is published: publish first"},
    {CELLROUTE_E_BROKEN_STORE, "CELLROUTE_E_BROKEN_STORE", "a custom store broke its contract"},
    {CELLROUTE_E_REENTERED, "CELLROUTE_E_REENTERED",
     "a custom store called its own handle from inside a call"},
    {CELLROUTE_E_WRONG_HANDLE, "CELLROUTE_E_WRONG_HANDLE",
     "a handle is of another type, or was destroyed"},
    {CELLROUTE_E_ABI, "CELLROUTE_E_ABI", "the program needs another version of the library"},
    {CELLROUTE_E_INTERNAL, "CELLROUTE_E_INTERNAL", "an exception came where none may: report it"},
};

const CodeText* find(std::int32_t code) noexcept {
  const auto* const found =
      std::find_if(std::begin(kCodes), std::end(kCodes),
                   [code](const CodeText& known) { return known.code == code; });
  return found == std::end(kCodes) ? nullptr : found;
}

// The most bytes of `text` that fit, without a UTF-8 sequence cut in two.
std::size_t fitting(std::string_view text, std::size_t room) noexcept {
  if (text.size() <= room) return text.size();
  while (room > 0 && (static_cast<unsigned char>(text[room]) & 0xc0) == 0x80) --room;
  return room;
}

constexpr bool each_hundred_has_its_status() {
  for (const ReasonText& reason : kReasons) {
    if (static_cast<std::uint16_t>(reason.reason) >= 900) return false;
  }
  return true;
}
static_assert(each_hundred_has_its_status(), "a new hundred of reasons: give it its status");

}  // namespace

std::int32_t fail(cellroute_error* error, std::int32_t code, std::string_view text,
                  std::uint32_t reason) noexcept {
  if (error == nullptr) return code;
  static_assert(kFirstSize<cellroute_error> == sizeof(cellroute_error));
  const std::size_t kept = fitting(text, sizeof error->text - 1);
  error->code = code;
  error->reason = reason;
  error->text_size = static_cast<std::uint32_t>(std::min<std::size_t>(text.size(), UINT32_MAX));
  if (kept > 0) std::memcpy(error->text, text.data(), kept);
  error->text[kept] = '\0';
  return code;
}

std::int32_t fail(cellroute_error* error, std::int32_t code) noexcept {
  const CodeText* const known = find(code);
  return fail(error, code, known != nullptr ? known->text : std::string_view());
}

std::int32_t put_text(std::string_view text, char* buffer, std::size_t capacity, std::size_t* size,
                      cellroute_error* error) noexcept {
  *size = text.size();
  if (buffer == nullptr) return CELLROUTE_OK;
  if (capacity <= text.size()) return fail(error, CELLROUTE_E_BUFFER);
  if (!text.empty()) std::memcpy(buffer, text.data(), text.size());
  buffer[text.size()] = '\0';
  return CELLROUTE_OK;
}

}  // namespace cellroute::capi

namespace capi = cellroute::capi;

uint32_t cellroute_abi_version(void) { return CELLROUTE_ABI_VERSION; }

int32_t cellroute_abi_check(uint32_t version) {
  const bool same_major = version >> 16 == CELLROUTE_ABI_VERSION >> 16;
  return same_major && version <= CELLROUTE_ABI_VERSION ? CELLROUTE_OK : CELLROUTE_E_ABI;
}

const char* cellroute_version_string(void) { return cellroute::kVersion; }

const char* cellroute_code_name(int32_t code) {
  const capi::CodeText* const known = capi::find(code);
  return known != nullptr ? known->name : "CELLROUTE_E_UNKNOWN";
}

int32_t cellroute_status_at(uint32_t index, cellroute_status_info* info) {
  if (const std::int32_t code = capi::check_out(info); code != CELLROUTE_OK) return code;
  if (index > static_cast<std::uint32_t>(cellroute::Status::kMigrating)) {
    return CELLROUTE_E_NOT_FOUND;
  }
  const auto status = static_cast<cellroute::Status>(index);
  cellroute_status_info made{};
  made.status = index;
  made.http_status = static_cast<std::uint32_t>(cellroute::http_status(status));
  made.name = capi::view(cellroute::name(status));
  capi::write_struct(info, made);
  return CELLROUTE_OK;
}

int32_t cellroute_reason_at(uint32_t index, cellroute_reason_info* info) {
  if (const std::int32_t code = capi::check_out(info); code != CELLROUTE_OK) return code;
  if (index >= capi::kReasonCount) return CELLROUTE_E_NOT_FOUND;
  const cellroute::ReasonText& reason = cellroute::kReasons[index];
  cellroute_reason_info made{};
  made.reason = static_cast<std::uint32_t>(reason.reason);
  made.status = static_cast<std::uint32_t>(capi::status_of(reason.reason));
  made.name = capi::view(reason.name);
  made.sentence = capi::view(reason.sentence);
  capi::write_struct(info, made);
  return CELLROUTE_OK;
}
