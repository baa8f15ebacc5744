#include <cellroute.h>

int main(void) { return cellroute_abi_check(CELLROUTE_ABI_VERSION) == CELLROUTE_OK ? 0 : 1; }
