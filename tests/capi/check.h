/* What the C tests share: checks, structs of exactly their size on the heap, a topology. */
#ifndef CELLROUTE_TESTS_CHECK_H
#define CELLROUTE_TESTS_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cellroute.h"

#define NOW INT64_C(1700000000000000000)
#define SECOND INT64_C(1000000000)

extern int failures;

#define CHECK(condition) check_that((condition) != 0, #condition, __FILE__, __LINE__)
#define CHECK_CODE(call, expected) check_code((call), (expected), #call, __FILE__, __LINE__)
#define CHECK_TEXT(view, expected) check_text((view), (expected), __FILE__, __LINE__)

void check_that(int condition, const char* text, const char* file, int line);
void check_code(int32_t code, int32_t expected, const char* text, const char* file, int line);
void check_text(cellroute_view view, const char* expected, const char* file, int line);

/* A zeroed struct alone on the heap, so that a sanitizer sees a byte read or written beyond it. */
#define NEW(type) ((type*)new_struct(sizeof(type)))
/* The same with `extra` bytes behind it, which its struct_size counts. */
#define NEW_LARGER(type, extra) ((type*)new_struct(sizeof(type) + (extra)))

void* new_struct(size_t size);
cellroute_view view_of(const char* text);
cellroute_view no_view(void);
cellroute_view bad_view(void); /* NULL with a size */

/* Two tiers (retail; hnw, alias vip), two regions (us, eu), cells r-us, r-eu, h-us, h-eu; what is
 * given stands in `policy`, indented by two. With unassigned: ASSIGN, h-eu is DRAINING. The text is
 * the caller's to free. */
char* topology_text(unsigned generation, const char* policy);
cellroute_topology* topology_of(unsigned generation, const char* policy);
cellroute_router* router_of(const cellroute_topology* topology);
/* A router that serves topology_text(generation, policy). */
cellroute_router* serving(unsigned generation, const char* policy);
cellroute_profile profile_of(cellroute_router* router, const char* tier, const char* region);
cellroute_request* request_of(cellroute_router* router, const char* key);
uint32_t number_of(cellroute_router* router, const char* id);

/* An anonymous cellroute_sink that counts, and keeps the last record's cell, epoch and revision. */
typedef struct kept_record {
  int records;
  int pages;
  int32_t answer; /* what the sink returns */
  char cell[129];
  uint64_t epoch;
  uint64_t revision;
  char cursor[256];
  size_t cursor_size;
  uint32_t done;
} kept_record;
cellroute_sink* sink_into(kept_record* kept);

/* A sound record of `key` at `cell`. */
cellroute_record* record_of(const char* key, const char* cell, uint64_t epoch);

/* Runs `body` in a child of fork(), and returns its exit status. */
int in_child(void (*body)(void* argument), void* argument);

#endif
