// Items in DynamoDB's JSON, and replies: any bytes are refused or keep a record's rules, and what
// was read can be written and read again.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "net/dynamodb_client.hpp"
#include "net/dynamodb_item.hpp"
#include "net/dynamodb_requests.hpp"
#include "net/dynamodb_table.hpp"
#include "net/dynamodb_url.hpp"

namespace {

using namespace cellroute;

void use_url(std::string_view text) {
  const auto target = net::read_dynamodb_url(text, "eu-west-1");
  if (target.ok() && (target->table.size() < 3 || target->region.empty())) std::abort();
}

void use_item(const net::DynamodbTarget& target, const net::Json& json) {
  MappingRecord record;
  const auto kind = net::read_item(target, json, "k", record);
  if (!kind.ok() || *kind == net::ItemKind::kNone) return;
  if (broken_rule(record) != nullptr || record.revision == 0) std::abort();
  MappingRecord again;
  const auto same = net::read_item(target, net::attributes_of(target, record), "k", again);
  if (!same.ok() || *same != net::ItemKind::kOwn || !(again == record)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  static const auto target = net::read_dynamodb_url("dynamodb://table?region=x&prefix=p", "");
  if (!target.ok()) std::abort();
  use_url(bytes);
  const auto key = net::key_of_stored(*target, bytes);
  if (key && net::stored_key(*target, *key) != bytes) std::abort();
  if (key_length_ok(bytes) &&
      net::key_of_stored(*target, net::stored_key(*target, bytes)) != std::string(bytes)) {
    std::abort();
  }
  const net::Json json = net::Json::parse(bytes, nullptr, false);
  use_item(*target, json);
  (void)net::exception_of(json);
  (void)net::read_table(*target, json);
  (void)net::start_key_ok(*target, nullptr, "c", json);
  return 0;
}
