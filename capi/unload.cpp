// What Protobuf keeps for the life of a process goes when the shared library is unloaded, so that a
// host may load and unload it for ever; and where the C++ runtime is inside, the memory that this
// keeps for throwing when there is none. Not in the static library, where both are the host's.
#include <google/protobuf/stubs/common.h>

#ifdef CELLROUTE_STATIC_RUNTIME
namespace __gnu_cxx {
// libstdc++ has it for memory checkers, and no header that declares it.
void __freeres();  // NOLINT(bugprone-reserved-identifier): its own name
}  // namespace __gnu_cxx
#endif

namespace {

__attribute__((destructor)) void unload() {
  google::protobuf::ShutdownProtobufLibrary();
#ifdef CELLROUTE_STATIC_RUNTIME
  __gnu_cxx::__freeres();
#endif
}

}  // namespace
