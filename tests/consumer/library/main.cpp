#include <cellroute/hash.hpp>
#include <cellroute/version.hpp>

int main() {
  return cellroute::kVersionMajor == 0 &&
                 cellroute::hash_bytes(1, "a") != cellroute::hash_bytes(1, "b")
             ? 0
             : 1;
}
