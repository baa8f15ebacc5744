/* Versions, codes, lists, errors, struct sizes. */
#include "tests.h"

static void versions(void) {
  CHECK(cellroute_abi_version() >= CELLROUTE_ABI_VERSION);
  CHECK_CODE(cellroute_abi_check(CELLROUTE_ABI_VERSION), CELLROUTE_OK);
  CHECK_CODE(cellroute_abi_check(cellroute_abi_version() + 1), CELLROUTE_E_ABI);
  CHECK_CODE(cellroute_abi_check(CELLROUTE_ABI_VERSION + (1u << 16)), CELLROUTE_E_ABI);
  CHECK(strchr(cellroute_version_string(), '.') != NULL);
  CHECK(CELLROUTE_E_ABI <= CELLROUTE_FATAL);
}

static void codes(void) {
  CHECK(strcmp(cellroute_code_name(CELLROUTE_OK), "CELLROUTE_OK") == 0);
  CHECK(strcmp(cellroute_code_name(CELLROUTE_E_FORKED), "CELLROUTE_E_FORKED") == 0);
  CHECK(strcmp(cellroute_code_name(CELLROUTE_E_INTERNAL), "CELLROUTE_E_INTERNAL") == 0);
  CHECK(strcmp(cellroute_code_name(-12345), "CELLROUTE_E_UNKNOWN") == 0);
}

static void lists(void) {
  uint32_t index = 0;
  cellroute_reason_info* reason = NEW(cellroute_reason_info);
  cellroute_status_info* status = NEW(cellroute_status_info);
  for (; cellroute_reason_at(index, reason) == CELLROUTE_OK; ++index) {
    CHECK(reason->name.size > 0 && reason->sentence.size > 0);
    if (reason->reason == 400) {
      CHECK_TEXT(reason->name, "KEY_LIMIT");
      CHECK(reason->status == CELLROUTE_STATUS_RATE_LIMITED);
    }
  }
  CHECK(index > 40);
  CHECK_CODE(cellroute_reason_at(index, reason), CELLROUTE_E_NOT_FOUND);
  CHECK_CODE(cellroute_reason_at(UINT32_MAX, reason), CELLROUTE_E_NOT_FOUND);
  for (index = 0; cellroute_status_at(index, status) == CELLROUTE_OK; ++index) {
    CHECK(status->status == index);
    CHECK(status->name.data[status->name.size] == '\0');
    if (index == CELLROUTE_STATUS_RATE_LIMITED) CHECK(status->http_status == 429);
  }
  CHECK(index > CELLROUTE_STATUS_MIGRATING);
  CHECK_CODE(cellroute_status_at(index, status), CELLROUTE_E_NOT_FOUND);
  CHECK_CODE(cellroute_reason_at(0, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_status_at(0, NULL), CELLROUTE_E_NULL);
  status->struct_size = 3;
  CHECK_CODE(cellroute_status_at(0, status), CELLROUTE_E_STRUCT_SIZE);
  free(reason);
  free(status);
}

static void outputs_of_other_versions(void) {
  cellroute_status_info* larger = NEW_LARGER(cellroute_status_info, 8);
  unsigned char* tail = (unsigned char*)(larger + 1);
  memset(tail, 0xee, 8);
  CHECK_CODE(cellroute_status_at(0, larger), CELLROUTE_OK);
  CHECK(larger->struct_size == sizeof *larger + 8);
  CHECK(larger->http_status == 200);
  CHECK(tail[0] == 0 && tail[7] == 0);
  larger->struct_size = UINT32_MAX;
  CHECK_CODE(cellroute_status_at(0, larger), CELLROUTE_E_STRUCT_SIZE);
  larger->struct_size = sizeof *larger - 1;
  CHECK_CODE(cellroute_status_at(0, larger), CELLROUTE_E_STRUCT_SIZE);
  larger->struct_size = 0;
  CHECK_CODE(cellroute_status_at(0, larger), CELLROUTE_E_STRUCT_SIZE);
  free(larger);
}

static void inputs_of_other_versions(void) {
  uint64_t size = 0;
  cellroute_router_options* larger = NEW_LARGER(cellroute_router_options, 8);
  larger->cells = 64;
  larger->limiter_entries = CELLROUTE_NO_LIMITER;
  CHECK_CODE(cellroute_router_memory_size(larger, &size), CELLROUTE_OK);
  ((unsigned char*)(larger + 1))[7] = 1;
  CHECK_CODE(cellroute_router_memory_size(larger, &size), CELLROUTE_E_UNKNOWN_TAIL);
  larger->struct_size = 4097;
  CHECK_CODE(cellroute_router_memory_size(larger, &size), CELLROUTE_E_STRUCT_SIZE);
  larger->struct_size = offsetof(cellroute_router_options, fleet_routers); /* its first size */
  CHECK_CODE(cellroute_router_memory_size(larger, &size), CELLROUTE_OK);
  larger->struct_size -= 8;
  CHECK_CODE(cellroute_router_memory_size(larger, &size), CELLROUTE_E_STRUCT_SIZE);
  free(larger);
}

static void errors(void) {
  cellroute_topology* topology = NULL;
  cellroute_error* error = NEW(cellroute_error);
  const char* text = "generation: 1\nno_such_field: 2\n";
  CHECK_CODE(cellroute_topology_load(view_of(text), NULL, &topology, error),
             CELLROUTE_E_INVALID_ARGUMENT);
  CHECK(error->code == CELLROUTE_E_INVALID_ARGUMENT);
  CHECK(strstr(error->text, "topology:2:") != NULL);
  CHECK(error->text_size == strlen(error->text));
  CHECK(topology == NULL);
  error->struct_size = 8;
  CHECK_CODE(cellroute_topology_load(view_of(text), NULL, &topology, error),
             CELLROUTE_E_STRUCT_SIZE);
  error->struct_size = sizeof *error;
  CHECK_CODE(cellroute_topology_load(view_of(text), NULL, NULL, error), CELLROUTE_E_NULL);
  CHECK(error->code == CELLROUTE_E_NULL && error->text[0] != '\0');
  CHECK_CODE(cellroute_topology_load(view_of(text), NULL, NULL, NULL), CELLROUTE_E_NULL);
  free(error);
}

static void long_errors_are_cut(void) {
  int i = 0;
  cellroute_topology* topology = NULL;
  cellroute_error* error = NEW(cellroute_error);
  char* text = calloc(1, 64 * 40);
  strcpy(text, "generation: 1\n");
  for (; i < 40; ++i) sprintf(text + strlen(text), "a_field_that_there_is_not_%d: 1\n", i);
  CHECK_CODE(cellroute_topology_load(view_of(text), NULL, &topology, error),
             CELLROUTE_E_INVALID_ARGUMENT);
  CHECK(error->text_size >= CELLROUTE_ERROR_TEXT_SIZE);
  CHECK(strlen(error->text) == CELLROUTE_ERROR_TEXT_SIZE - 1);
  free(text);
  free(error);
}

void basics_test(void) {
  versions();
  codes();
  lists();
  outputs_of_other_versions();
  inputs_of_other_versions();
  errors();
  long_errors_are_cut();
}
