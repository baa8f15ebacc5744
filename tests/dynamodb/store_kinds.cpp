// The stores in DynamoDB, for the conformance suite.
#include "dynalite_server.hpp"

namespace cellroute::testing {

std::vector<StoreKind> store_kinds() {
  return {
      {"dynamodb",
       [](const std::string&) {
         return open_dynamodb(shared_dynalite().make_table(fresh_table()));
       }},
      {"dynamodb with names of its own",
       [](const std::string&) {
         return open_dynamodb(shared_dynalite().make_table(
             fresh_table(),
             "&key_attribute=customer_id&cell_attribute=cell_id&revision_attribute=rev.ision&"
             "prefix=TENANT%23&index=by-cell"));
       }},
  };
}

}  // namespace cellroute::testing
