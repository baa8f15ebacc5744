// The e-commerce front as a custom runtime. Environment: CELLROUTE_TOPOLOGY, the topology's file
// (by default beside the function); CUSTOMER_PARAMETER, the path parameter's name (customerId).
#include <memory>

#include "front.hpp"

int main() {
  return lambda_host::run([]() -> lambda_host::Handler {
    const std::string room = lambda_host::variable("LAMBDA_TASK_ROOT", ".");
    auto front = std::make_shared<shop_front::Front>(
        lambda_host::variable("CELLROUTE_TOPOLOGY", room + "/topology.yaml"),
        lambda_host::variable("CUSTOMER_PARAMETER", "customerId"));
    return
        [front](const auto& event, const auto& invocation) { return (*front)(event, invocation); };
  });
}
