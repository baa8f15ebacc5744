// An API's front: customer id from the path, cell by cellroute, request to the cell.
#pragma once

#include <string>

#include "cell_router.hpp"
#include "event.hpp"
#include "forward.hpp"

namespace shop_front {

// Serves one event at a time, as Lambda sends them.
class Front {
 public:
  // `parameter` is the name of the path parameter that holds the customer's id.
  Front(const std::string& topology_path, std::string parameter)
      : router_(topology_path), parameter_(std::move(parameter)) {}

  lambda_host::Json operator()(const lambda_host::Json& event,
                               const lambda_host::Invocation& invocation);

 private:
  lambda_host::Json serve(const ApiRequest& request, const lambda_host::Invocation& invocation,
                          bool version_2);
  lambda_host::Json forward(const ApiRequest& request, lambda_host::Decision& decision,
                            const lambda_host::Invocation& invocation, bool version_2);

  lambda_host::CellRouter router_;
  CellClient client_;
  std::string parameter_;
};

}  // namespace shop_front
