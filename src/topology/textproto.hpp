// Protobuf's text and binary forms of a topology, read within the bounds of document.hpp.
#pragma once

#include <google/protobuf/text_format.h>

#include <string_view>

#include "topology/cellroute.pb.h"
#include "topology/findings.hpp"

namespace cellroute::loading {

// False, with findings, if the text is malformed. `tree` learns where each field is.
bool read_textproto(std::string_view bytes, v1::Topology& message,
                    google::protobuf::TextFormat::ParseInfoTree& tree, Findings& findings);

// False, with a finding, if the bytes are no such message, or have fields this release lacks.
bool read_binary(std::string_view bytes, v1::Topology& message, Findings& findings);

}  // namespace cellroute::loading
