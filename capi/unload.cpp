// What Protobuf keeps for the life of a process goes when the shared library is unloaded, so that a
// host may load and unload it for ever. Not in the static library, whose Protobuf is the host's.
#include <google/protobuf/stubs/common.h>

namespace {

__attribute__((destructor)) void unload() { google::protobuf::ShutdownProtobufLibrary(); }

}  // namespace
