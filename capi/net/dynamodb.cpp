// What stores in DynamoDB have beyond other stores.
#include <cstring>
#include <iterator>
#include <optional>

#include "cellroute_net.h"
#include "entry.hpp"
#include "net/aws_credentials.hpp"
#include "net/dynamodb_store.hpp"
#include "net/dynamodb_stream.hpp"
#include "net/stores.hpp"
#include "records.hpp"
#include "structs.hpp"

namespace cellroute::capi {
namespace {

// Precondition: it fits; a name and a number have their bounds, and what is built of them.
template <std::size_t N>
void copy_text(std::string_view text, char (&to)[N]) noexcept {
  std::memcpy(to, text.data(), text.size());
  to[text.size()] = '\0';
}

std::int32_t find_usage(const cellroute_store* store, std::uint32_t index,
                        cellroute_dynamodb_usage& made) {
  void* self = nullptr;
  if (const std::int32_t code = cellroute_store_self(store, release_net_store, &self);
      code != CELLROUTE_OK) {
    return code;
  }
  const auto* const table = dynamic_cast<DynamodbStore*>(static_cast<MappingStore*>(self));
  if (table == nullptr) return CELLROUTE_E_UNSUPPORTED;
  const auto usage = table->usage();
  if (!usage.ok()) return static_cast<std::int32_t>(usage.error().code());
  if (index >= usage->size()) return CELLROUTE_E_NOT_FOUND;
  const auto& [name, numbers] = *std::next(usage->begin(), index);
  made.calls = numbers.calls;
  made.throttles = numbers.throttles;
  made.failures = numbers.failures;
  made.read_units = numbers.read_units;
  made.write_units = numbers.write_units;
  copy_text(name, made.table);
  return CELLROUTE_OK;
}

std::int32_t push(const cellroute_stream_sink& sink, const net::StreamChange& change) {
  cellroute_stream_change given{};
  given.struct_size = sizeof given;
  given.expired = change.expired ? 1 : 0;
  given.key = view(change.key);
  if (!change.record) return sink.change(sink.self, &given);
  const RecordView record(*change.record);
  given.record = record.get();
  return sink.change(sink.self, &given);
}

std::int32_t read_sink(const cellroute_stream_sink*& sink, cellroute_stream_sink& room) noexcept {
  if (const std::int32_t code = read_struct(sink, room); code != CELLROUTE_OK) return code;
  if (sink->change == nullptr) return CELLROUTE_E_NULL;
  return sink->reserved == 0 ? CELLROUTE_OK : CELLROUTE_E_INVALID_ARGUMENT;
}

std::int32_t read_stream(std::string_view url, std::string_view event,
                         const cellroute_stream_sink& sink, cellroute_stream_result& made,
                         cellroute_error* error) {
  const auto target = net::read_dynamodb_url(url, net::read_aws_environment().region);
  if (!target.ok()) return fail(error, target.error());
  std::int32_t refusal = CELLROUTE_OK;  // the sink's own
  const auto result =
      net::read_stream_event(*target, event, [&](const net::StreamChange& change) -> Error {
        const std::int32_t code = push(sink, change);
        if (code >= 0) return {};
        refusal = code;
        return Error(ErrorCode::kUnavailable, "");
      });
  if (!result.ok()) return fail(error, result.error());
  made.failure = refusal;
  if (refusal == CELLROUTE_OK && !result->error.ok()) made.failure = fail(error, result->error);
  made.taken = result->taken;
  made.passed_over = result->passed_over;
  copy_text(result->failed, made.failed);
  copy_text(result->response(), made.response);
  return CELLROUTE_OK;
}

}  // namespace
}  // namespace cellroute::capi

namespace capi = cellroute::capi;

int32_t cellroute_net_dynamodb_usage(const cellroute_store* store, uint32_t index,
                                     cellroute_dynamodb_usage* usage) {
  if (const std::int32_t code = capi::check_out(usage); code != CELLROUTE_OK) return code;
  return capi::enter(nullptr, [&]() -> std::int32_t {
    cellroute_dynamodb_usage made{};
    const std::int32_t code = capi::find_usage(store, index, made);
    if (code == CELLROUTE_OK) capi::write_struct(usage, made);
    return code;
  });
}

int32_t cellroute_net_dynamodb_stream(cellroute_view url, cellroute_view event,
                                      const cellroute_stream_sink* sink,
                                      cellroute_stream_result* result, cellroute_error* error) {
  return capi::enter(error, [&]() -> std::int32_t {
    cellroute_stream_sink room;
    if (!capi::sound(url) || !capi::sound(event)) return capi::fail(error, CELLROUTE_E_NULL);
    std::int32_t code = capi::check_out(result);
    if (code == CELLROUTE_OK) code = capi::read_sink(sink, room);
    if (code != CELLROUTE_OK) return capi::fail(error, code);
    cellroute_stream_result made{};
    code = capi::read_stream(capi::text(url), capi::text(event), *sink, made, error);
    if (code == CELLROUTE_OK) capi::write_struct(result, made);
    return code;
  });
}
