// Events of a table's stream, and replies of a container's endpoint: any bytes are refused, or each
// change keeps a record's rules and the response names at most one record.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "net/aws_credentials.hpp"
#include "net/dynamodb_stream.hpp"
#include "net/iso_time.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cellroute;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  static const auto target = net::read_dynamodb_url("dynamodb://table?region=x", "");
  if (!target.ok()) std::abort();
  std::size_t taken = 0;
  const auto result = net::read_stream_event(*target, bytes, [&](const net::StreamChange& change) {
    if (change.record &&
        (broken_rule(*change.record) != nullptr || change.record->key != change.key)) {
      std::abort();
    }
    return ++taken % 7 == 0 ? refused("the seventh") : Error();
  });
  if (result.ok() && result->failed.empty() != result->error.ok()) std::abort();
  if (result.ok()) (void)result->response();
  const auto keys = net::read_container_credentials(bytes);
  if (keys.ok() && keys->keys.secret.empty()) std::abort();
  const auto time = net::read_iso_time(bytes);
  if (time && net::read_iso_time(net::iso_time(*time)) != time) std::abort();
  return 0;
}
