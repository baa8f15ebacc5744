/* Keys and answers by columns. */
#include "tests.h"

enum { kCount = 3 };

typedef struct columns {
  uint32_t cells[kCount];
  uint8_t statuses[kCount];
  uint16_t reasons[kCount];
  uint64_t epochs[kCount];
  int64_t retry_after_ns[kCount];
  uint8_t marks[kCount];
  cellroute_ticket tickets[kCount];
  int64_t timeout_ns[kCount];
  uint64_t generation;
} columns;

static const char kBytes[] = "abbccc";
static const int64_t kOffsets[kCount + 1] = {0, 1, 3, 6};

static cellroute_keys* keys_of(cellroute_router* router) {
  cellroute_keys* keys = NEW(cellroute_keys);
  keys->count = kCount;
  keys->bytes = kBytes;
  keys->byte_count = 6;
  keys->offsets = kOffsets;
  keys->profile = profile_of(router, "retail", "us");
  return keys;
}

static cellroute_answers* answers_into(columns* to) {
  cellroute_answers* answers = NEW(cellroute_answers);
  memset(to, 0xee, sizeof *to);
  answers->cells = to->cells;
  answers->statuses = to->statuses;
  answers->reasons = to->reasons;
  answers->epochs = to->epochs;
  answers->retry_after_ns = to->retry_after_ns;
  answers->marks = to->marks;
  answers->tickets = to->tickets;
  answers->timeout_ns = to->timeout_ns;
  answers->generation = &to->generation;
  return answers;
}

static void routed(void) {
  int i = 0;
  cellroute_router* router = serving(1, "  in_flight: {per_cell: 2}\n");
  cellroute_keys* keys = keys_of(router);
  columns* to = malloc(sizeof *to);
  cellroute_answers* answers = answers_into(to);
  cellroute_outcome* outcome = NEW(cellroute_outcome);
  const uint32_t cell = number_of(router, "r-us");
  CHECK_CODE(cellroute_locate_keys(router, keys, NOW, answers), CELLROUTE_OK);
  for (i = 0; i < kCount; ++i) {
    CHECK(to->cells[i] == cell && to->reasons[i] == 1 && to->statuses[i] == 0);
    CHECK(to->epochs[i] == 0 && to->marks[i] == 0 && to->tickets[i].words[0] == 0);
    CHECK(to->timeout_ns[i] == INT64_C(30000000000));
  }
  CHECK(to->generation == 1);
  CHECK_CODE(cellroute_route_keys(router, keys, NOW, answers), CELLROUTE_OK);
  CHECK(to->reasons[1] == 1 && to->reasons[2] == 606 && to->retry_after_ns[2] > 0);
  for (i = 0; i < kCount; ++i) {
    CHECK_CODE(cellroute_report(router, &to->tickets[i], outcome, NOW), CELLROUTE_OK);
  }
  CHECK_CODE(cellroute_route_keys(router, keys, NOW, answers), CELLROUTE_OK);
  CHECK(to->reasons[1] == 1);
  free(outcome);
  free(answers);
  free(to);
  free(keys);
  cellroute_router_destroy(router);
}

static void each_its_own(void) {
  cellroute_router* router = serving(1, "");
  cellroute_keys* keys = keys_of(router);
  columns* to = malloc(sizeof *to);
  cellroute_answers* answers = answers_into(to);
  cellroute_profile profiles[kCount];
  cellroute_mapping* mappings = calloc(kCount, sizeof *mappings);
  profiles[0] = profile_of(router, "retail", "us");
  profiles[1] = profile_of(router, "retail", "eu");
  memset(&profiles[2], 0, sizeof profiles[2]);
  keys->profiles = profiles;
  answers->epochs = NULL;
  answers->retry_after_ns = NULL;
  answers->marks = NULL;
  answers->tickets = NULL;
  answers->timeout_ns = NULL;
  answers->generation = NULL;
  CHECK_CODE(cellroute_locate_keys(router, keys, NOW, answers), CELLROUTE_OK);
  CHECK(to->cells[0] == number_of(router, "r-us") && to->cells[1] == number_of(router, "r-eu"));
  CHECK(to->reasons[2] == 110);
  mappings[0].struct_size = mappings[1].struct_size = mappings[2].struct_size = sizeof *mappings;
  mappings[0].answer = CELLROUTE_LOOKUP_ABSENT;
  mappings[1].answer = CELLROUTE_LOOKUP_UNKNOWN;
  mappings[2].answer = CELLROUTE_LOOKUP_ABSENT;
  keys->mappings = mappings;
  CHECK_CODE(cellroute_locate_keys(router, keys, NOW, answers), CELLROUTE_OK);
  CHECK(to->reasons[0] == 1 && to->reasons[1] == 602 && to->reasons[2] == 110);
  mappings[2].answer = 3;
  CHECK_CODE(cellroute_locate_keys(router, keys, NOW, answers), CELLROUTE_E_INVALID_ARGUMENT);
  mappings[2].struct_size = 8;
  CHECK_CODE(cellroute_locate_keys(router, keys, NOW, answers), CELLROUTE_E_STRUCT_SIZE);
  free(mappings);
  free(answers);
  free(to);
  free(keys);
  cellroute_router_destroy(router);
}

static void of_one_width(void) {
  int i = 0;
  static const char kPadded[] = "a\0\0bb\0ccc\0\0\0";
  cellroute_router* router = serving(1, "");
  cellroute_keys* keys = keys_of(router);
  columns* to = malloc(sizeof *to);
  columns* padded = malloc(sizeof *padded);
  cellroute_answers* answers = answers_into(to);
  CHECK_CODE(cellroute_locate_keys(router, keys, NOW, answers), CELLROUTE_OK);
  free(answers);
  answers = answers_into(padded);
  keys->bytes = kPadded;
  keys->byte_count = 12;
  keys->width = 3;
  CHECK_CODE(cellroute_locate_keys(router, keys, NOW, answers), CELLROUTE_E_INVALID_ARGUMENT);
  keys->offsets = NULL;
  CHECK_CODE(cellroute_locate_keys(router, keys, NOW, answers), CELLROUTE_OK);
  for (; i < kCount; ++i) {
    CHECK(padded->cells[i] == to->cells[i] && padded->reasons[i] == 1);
  }
  keys->bytes = kPadded + 3; /* the last is empty */
  keys->byte_count = 9;
  CHECK_CODE(cellroute_locate_keys(router, keys, NOW, answers), CELLROUTE_OK);
  CHECK(padded->reasons[1] == 1 && padded->reasons[2] == 100);
  keys->byte_count = 8;
  CHECK_CODE(cellroute_locate_keys(router, keys, NOW, answers), CELLROUTE_E_INVALID_ARGUMENT);
  keys->width = 0xffffffff;
  keys->count = UINT64_C(0x100000001);
  CHECK_CODE(cellroute_locate_keys(router, keys, NOW, answers), CELLROUTE_E_INVALID_ARGUMENT);
  free(answers);
  free(padded);
  free(to);
  free(keys);
  cellroute_router_destroy(router);
}

static void bad_columns(void) {
  static const int64_t kFalling[kCount + 1] = {0, 3, 1, 6};
  static const int64_t kBeyond[kCount + 1] = {0, 1, 3, 7};
  static const int64_t kNegative[kCount + 1] = {-1, 1, 3, 6};
  cellroute_router* router = serving(1, "");
  cellroute_keys* keys = keys_of(router);
  columns* to = malloc(sizeof *to);
  cellroute_answers* answers = answers_into(to);
  const int64_t* const bad[] = {kFalling, kBeyond, kNegative};
  size_t i = 0;
  for (; i < 3; ++i) {
    keys->offsets = bad[i];
    CHECK_CODE(cellroute_route_keys(router, keys, NOW, answers), CELLROUTE_E_INVALID_ARGUMENT);
  }
  keys->offsets = NULL;
  CHECK_CODE(cellroute_route_keys(router, keys, NOW, answers), CELLROUTE_E_NULL);
  keys->offsets = kOffsets;
  keys->bytes = NULL;
  CHECK_CODE(cellroute_route_keys(router, keys, NOW, answers), CELLROUTE_E_NULL);
  keys->bytes = kBytes;
  keys->resource = bad_view();
  CHECK_CODE(cellroute_route_keys(router, keys, NOW, answers), CELLROUTE_E_NULL);
  keys->resource = no_view();
  keys->access = 2;
  CHECK_CODE(cellroute_route_keys(router, keys, NOW, answers), CELLROUTE_E_INVALID_ARGUMENT);
  keys->access = 0;
  answers->reserved = 1;
  CHECK_CODE(cellroute_route_keys(router, keys, NOW, answers), CELLROUTE_E_INVALID_ARGUMENT);
  answers->reserved = 0;
  CHECK(to->cells[0] == 0xeeeeeeee);
  CHECK_CODE(cellroute_route_keys(router, keys, NOW, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_route_keys(router, NULL, NOW, answers), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_route_keys(NULL, keys, NOW, answers), CELLROUTE_E_NULL);
  keys->count = 0;
  keys->offsets = NULL;
  to->generation = 99;
  CHECK_CODE(cellroute_route_keys(router, keys, NOW, answers), CELLROUTE_OK);
  CHECK(to->generation == 99);
  free(answers);
  free(to);
  free(keys);
  cellroute_router_destroy(router);
}

void keys_test(void) {
  routed();
  each_its_own();
  of_one_width();
  bad_columns();
}
