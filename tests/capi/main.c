/* capi_test NAME: runs the test of that name. */
#include "tests.h"

static const struct {
  const char* name;
  void (*run)(void);
} kTests[] = {
    {"assign", assign_test},     {"basics", basics_test},
    {"cache", cache_test},       {"custom_store", custom_store_test},
    {"emf", emf_test},           {"fork", fork_test},
    {"keys", keys_test},         {"metrics", metrics_test},
    {"picker", picker_test},     {"readiness", readiness_test},
    {"route", route_test},       {"router", router_test},
    {"snapshot", snapshot_test}, {"store", store_test},
    {"tenant", tenant_test},     {"topology", topology_test},
};

int main(int argc, char** argv) {
  size_t i = 0;
  int ran = 0;
  for (; i < sizeof kTests / sizeof kTests[0]; ++i) {
    if (argc > 1 && strcmp(argv[1], kTests[i].name) != 0) continue;
    kTests[i].run();
    ++ran;
  }
  if (ran == 0) fprintf(stderr, "there is no test of that name\n");
  return ran > 0 && failures == 0 ? 0 : 1;
}
