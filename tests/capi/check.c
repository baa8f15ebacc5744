#define _POSIX_C_SOURCE 200809L
#include "check.h"

#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

int failures;

void check_that(int condition, const char* text, const char* file, int line) {
  if (condition) return;
  ++failures;
  fprintf(stderr, "%s:%d: not so: %s\n", file, line, text);
}

void check_code(int32_t code, int32_t expected, const char* text, const char* file, int line) {
  if (code == expected) return;
  ++failures;
  fprintf(stderr, "%s:%d: %s gave %s (%d), not %s\n", file, line, text, cellroute_code_name(code),
          (int)code, cellroute_code_name(expected));
}

void check_text(cellroute_view view, const char* expected, const char* file, int line) {
  const size_t size = strlen(expected);
  if (view.size == size && memcmp(view.data, expected, size) == 0) return;
  ++failures;
  fprintf(stderr, "%s:%d: \"%.*s\", not \"%s\"\n", file, line, (int)view.size, view.data, expected);
}

void* new_struct(size_t size) {
  const uint32_t struct_size = (uint32_t)size;
  void* made = calloc(1, size);
  if (made == NULL) abort();
  memcpy(made, &struct_size, sizeof struct_size);
  return made;
}

cellroute_view view_of(const char* text) {
  cellroute_view view;
  view.data = text;
  view.size = strlen(text);
  return view;
}

cellroute_view no_view(void) { return view_of(""); }

cellroute_view bad_view(void) {
  cellroute_view view = {NULL, 1};
  return view;
}

char* topology_text(unsigned generation, const char* policy) {
  static const char kText[] =
      "generation: %u\n"
      "hash_seed: 42\n"
      "tiers: [retail, {name: hnw, aliases: [vip]}]\n"
      "regions: [us, eu]\n"
      "certifications: [SOC2, PCI-DSS]\n"
      "encryption_levels: [standard, maximum]\n"
      "cells:\n"
      "  - {id: r-us, tier: retail, region: us, endpoint: 'https://r-us.test', capacity: 100,\n"
      "     replicas: [h-us], endpoints: {orders: 'https://orders.test'},\n"
      "     certifications: [PCI-DSS, SOC2], encryption: maximum,\n"
      "     labels: {schema: 'tenant_{key}', table: 'Orders-{cell}'}}\n"
      "  - {id: r-eu, tier: retail, region: eu, endpoint: 'https://r-eu.test'}\n"
      "  - {id: h-us, tier: hnw, region: us, endpoint: 'https://h-us.test', weight: 2}\n"
      "  - {id: h-eu, tier: hnw, region: eu, endpoint: 'https://h-eu.test', state: %s}\n"
      "policy:\n"
      "  slots: 1024\n"
      "  flags: {EU_RESIDENT: {regions: [eu]}}\n"
      "%s";
  const char* state = strstr(policy, "ASSIGN") != NULL ? "DRAINING" : "ACTIVE";
  const size_t size = sizeof kText + strlen(policy) + 32;
  char* text = malloc(size);
  if (text == NULL) abort();
  snprintf(text, size, kText, generation, state, policy);
  return text;
}

cellroute_topology* topology_of(unsigned generation, const char* policy) {
  cellroute_topology* topology = NULL;
  cellroute_error* error = NEW(cellroute_error);
  char* text = topology_text(generation, policy);
  CHECK_CODE(cellroute_topology_load(view_of(text), NULL, &topology, error), CELLROUTE_OK);
  if (topology == NULL) fprintf(stderr, "%s\n", error->text);
  free(text);
  free(error);
  return topology;
}

cellroute_router* router_of(const cellroute_topology* topology) {
  cellroute_router* router = NULL;
  cellroute_router_options* options = NEW(cellroute_router_options);
  options->cells = 64;
  options->lanes = 2;
  options->limiter_entries = 1024;
  CHECK_CODE(cellroute_router_create(options, &router, NULL), CELLROUTE_OK);
  if (topology != NULL) {
    CHECK_CODE(cellroute_router_publish(router, topology, NULL, NULL), CELLROUTE_OK);
  }
  free(options);
  return router;
}

cellroute_router* serving(unsigned generation, const char* policy) {
  cellroute_topology* topology = topology_of(generation, policy);
  cellroute_router* router = router_of(topology);
  cellroute_topology_destroy(topology);
  return router;
}

cellroute_profile profile_of(cellroute_router* router, const char* tier, const char* region) {
  cellroute_profile profile = {0, 0, 0, 0, 0};
  cellroute_profile_names* names = NEW(cellroute_profile_names);
  names->tier = view_of(tier);
  names->region = view_of(region);
  CHECK_CODE(cellroute_router_profile(router, names, &profile, NULL), CELLROUTE_OK);
  free(names);
  return profile;
}

cellroute_request* request_of(cellroute_router* router, const char* key) {
  cellroute_request* request = NEW(cellroute_request);
  request->key = view_of(key);
  request->profile = profile_of(router, "retail", "us");
  return request;
}

uint32_t number_of(cellroute_router* router, const char* id) {
  uint32_t number = CELLROUTE_NO_CELL;
  cellroute_snapshot* snapshot = NULL;
  CHECK_CODE(cellroute_snapshot_hold(router, &snapshot, NULL), CELLROUTE_OK);
  CHECK_CODE(cellroute_snapshot_find_cell(snapshot, view_of(id), &number), CELLROUTE_OK);
  cellroute_snapshot_destroy(snapshot);
  return number;
}

static int32_t keep_record(void* self, const cellroute_record* record) {
  kept_record* kept = self;
  ++kept->records;
  snprintf(kept->cell, sizeof kept->cell, "%.*s", (int)record->cell.size, record->cell.data);
  kept->epoch = record->epoch;
  kept->revision = record->revision;
  return kept->answer;
}

static int32_t keep_page(void* self, const cellroute_view* cursor, uint32_t done) {
  kept_record* kept = self;
  ++kept->pages;
  kept->done = done;
  kept->cursor_size = cursor->size;
  if (cursor->size > sizeof kept->cursor) abort();
  if (cursor->size > 0) memcpy(kept->cursor, cursor->data, cursor->size);
  return kept->answer;
}

cellroute_sink* sink_into(kept_record* kept) {
  cellroute_sink* sink = NEW(cellroute_sink);
  memset(kept, 0, sizeof *kept);
  sink->self = kept;
  sink->record = keep_record;
  sink->page = keep_page;
  return sink;
}

cellroute_record* record_of(const char* key, const char* cell, uint64_t epoch) {
  static uint8_t writes;
  cellroute_record* record = NEW(cellroute_record);
  record->key = view_of(key);
  record->cell = view_of(cell);
  record->epoch = epoch;
  record->op_id[0] = 1;
  record->op_id[1] = ++writes;
  return record;
}

int in_child(void (*body)(void* argument), void* argument) {
  int status = -1;
  const pid_t child = fork();
  if (child < 0) return -1;
  if (child == 0) {
    failures = 0;
    body(argument);
    fflush(NULL);
    _exit(failures == 0 ? 0 : 1);
  }
  if (waitpid(child, &status, 0) != child) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
