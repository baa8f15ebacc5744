// cellroute through its C interface, as any host uses it, for a function that serves one event at
// a time: a topology from a file, one lane, no limits by key.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "cellroute.h"

namespace lambda_host {

// Names live as long as the program, or for `cell` and `endpoint` as long as the router.
struct Decision {
  cellroute_decision made;
  std::string_view status;    // "OK", "UNAVAILABLE" …
  std::string_view reason;    // "PLACED", "BREAKER_OPEN" …
  std::string_view cell;      // empty: none
  std::string_view endpoint;  // empty: none
  std::uint32_t http_status;

  bool ok() const noexcept { return made.status == CELLROUTE_STATUS_OK; }
};

// What a key's profile is made of.
struct Profile {
  std::string tier;
  std::string region;
  std::vector<std::string> flags;
};

// For one thread. What fails is thrown as Failure, by the name of the C interface's code.
class CellRouter {
 public:
  explicit CellRouter(const std::string& topology_path);

  // Decides and reserves; hand the decision to report().
  Decision route(std::string_view key, std::uint32_t access, std::int64_t now_ns);

  // Where the key lives; nothing is reserved, counted or charged. A name that the topology does not
  // know denies, as it does in a request.
  Decision locate(std::string_view key, const Profile& profile, std::uint32_t access,
                  std::int64_t now_ns);

  // `end` is CELLROUTE_ANSWERED with an HTTP status, or how the call failed.
  void report(Decision& decision, std::uint32_t end, std::uint32_t http_status,
              std::int64_t now_ns);

 private:
  template <auto kDestroy>
  struct Destroy {
    template <typename Handle>
    void operator()(Handle* handle) const noexcept {
      kDestroy(handle);
    }
  };

  struct Reason {
    std::string_view name;
    std::uint32_t status;
  };

  struct Status {
    std::string_view name;
    std::uint32_t http_status;
  };

  void read_names();
  Decision named(const cellroute_decision& made) const;
  cellroute_request request_for(std::string_view key, std::uint32_t access) const;

  std::unique_ptr<cellroute_router, Destroy<&cellroute_router_destroy>> router_;
  std::unique_ptr<cellroute_snapshot, Destroy<&cellroute_snapshot_destroy>> snapshot_;
  cellroute_profile nameless_{};
  std::unordered_map<std::uint32_t, Reason> reasons_;
  std::unordered_map<std::uint32_t, Status> statuses_;
};

}  // namespace lambda_host
