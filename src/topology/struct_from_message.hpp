// Between the protobuf message and the core's plain struct, both ways.
#pragma once

#include "cellroute/check/problems.hpp"
#include "cellroute/topology.hpp"
#include "topology/cellroute.pb.h"

namespace cellroute::loading {

// What the message says, with the schema's defaults where it is silent, and maps in byte order of
// their keys. Values that the struct cannot hold exactly (half a thousandth, a negative time, an
// enum value or strategy of another release) become problems.
Topology struct_from_message(const v1::Topology& message, check::Problems& problems);

// The inverse; leaves out what has its default.
v1::Topology message_from_struct(const Topology& topology);

}  // namespace cellroute::loading
