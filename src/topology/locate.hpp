// From a field's path, as check::Path writes it, to its place in the file.
#pragma once

#include <google/protobuf/message.h>
#include <google/protobuf/text_format.h>

#include <string_view>

#include "topology/document.hpp"
#include "topology/findings.hpp"

namespace cellroute::loading {

// Where the field at `path` is, or the nearest one around it that is written.
Position locate(const Node& root, std::string_view path);

// The same in a textproto that was parsed into `message`, whose maps were not changed since.
Position locate(const google::protobuf::Message& message,
                const google::protobuf::TextFormat::ParseInfoTree& tree, std::string_view path);

}  // namespace cellroute::loading
