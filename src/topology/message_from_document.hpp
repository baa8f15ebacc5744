// A tree of YAML or JSON into the message whose JSON form it is.
#pragma once

#include <google/protobuf/message.h>

#include "topology/document.hpp"

namespace cellroute::loading {

// Fills `message`, which must be empty, from `root`. Every field that is unknown, of a wrong type
// or out of its type's range becomes a finding, and the others are filled.
void fill_message(const Node& root, google::protobuf::Message& message, Findings& findings);

}  // namespace cellroute::loading
