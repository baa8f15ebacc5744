// What libstdc++ needs of the C library beyond what systems in use have, where it is inside of the
// shared library: std::random_device takes arc4random(), which glibc has since 2.36.
#include <sys/random.h>

#include <cstdint>
#include <cstdlib>

extern "C" std::uint32_t arc4random() {
  std::uint32_t number = 0;
  if (getentropy(&number, sizeof number) != 0) std::abort();  // not where getrandom(2) exists
  return number;
}
