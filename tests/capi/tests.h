/* The C tests, one file each. */
#ifndef CELLROUTE_TESTS_TESTS_H
#define CELLROUTE_TESTS_TESTS_H

#include "check.h"

void assign_test(void);
void basics_test(void);
void cache_test(void);
void custom_store_test(void);
void emf_test(void);
void fork_test(void);
void keys_test(void);
void metrics_test(void);
void picker_test(void);
void readiness_test(void);
void route_test(void);
void router_test(void);
void snapshot_test(void);
void store_test(void);
void tenant_test(void);
void topology_test(void);

#endif
