/* Hash and strategies on their own. */
#include "tests.h"

enum { kMembers = 5 };

static cellroute_member* members_named(const char* const* ids) {
  int i = 0;
  cellroute_member* members = calloc(kMembers, sizeof *members);
  for (; i < kMembers; ++i) {
    members[i].struct_size = sizeof *members;
    members[i].id = view_of(ids[i]);
  }
  return members;
}

static void hashes(void) {
  uint64_t hash = 0;
  uint64_t other = 0;
  CHECK_CODE(cellroute_hash(0, no_view(), &hash), CELLROUTE_OK);
  CHECK(hash == UINT64_C(0x2d06800538d394c2)); /* XXH3's published value of nothing */
  CHECK_CODE(cellroute_hash(1, view_of("k"), &hash), CELLROUTE_OK);
  CHECK_CODE(cellroute_hash(2, view_of("k"), &other), CELLROUTE_OK);
  CHECK(hash != other);
  CHECK_CODE(cellroute_hash(1, bad_view(), &hash), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_hash(1, view_of("k"), NULL), CELLROUTE_E_NULL);
}

/* Whatever the members' order, the same member is picked, but for strategies that go by order. */
static void strategies(void) {
  static const char* const kNames[] = {"rendezvous-slots", "rendezvous", "ring",
                                       "maglev",           "jump",       "modulo",
                                       "md5-modulo",       "ketama",     "ketama-nginx"};
  static const char* const kForward[kMembers] = {"a", "b", "c", "d", "e"};
  static const char* const kBackward[kMembers] = {"e", "d", "c", "b", "a"};
  size_t i = 0;
  int key = 0;
  cellroute_member* forward = members_named(kForward);
  cellroute_member* backward = members_named(kBackward);
  for (; i < sizeof kNames / sizeof kNames[0]; ++i) {
    const int ordered = i >= 4 && i <= 6;
    cellroute_picker* one = NULL;
    cellroute_picker* two = NULL;
    const cellroute_view name = view_of(kNames[i]);
    CHECK_CODE(cellroute_picker_create(name, forward, kMembers, NULL, &one, NULL), CELLROUTE_OK);
    CHECK_CODE(cellroute_picker_create(name, backward, kMembers, NULL, &two, NULL), CELLROUTE_OK);
    for (key = 0; key < 50; ++key) {
      char text[16];
      uint32_t here = 99;
      uint32_t there = 99;
      sprintf(text, "key-%d", key);
      CHECK_CODE(cellroute_picker_pick(one, view_of(text), &here), CELLROUTE_OK);
      CHECK_CODE(cellroute_picker_pick(two, view_of(text), &there), CELLROUTE_OK);
      CHECK(here < kMembers && there == (ordered ? here : kMembers - 1 - here));
    }
    cellroute_picker_destroy(one);
    cellroute_picker_destroy(two);
  }
  free(forward);
  free(backward);
}

static void many_keys(void) {
  static const char* const kIds[kMembers] = {"a", "b", "c", "d", "e"};
  static const int64_t kOffsets[] = {0, 1, 3, 6};
  uint32_t picked[3] = {99, 99, 99};
  uint32_t one = 99;
  cellroute_picker* picker = NULL;
  cellroute_member* members = members_named(kIds);
  cellroute_keys* keys = NEW(cellroute_keys);
  keys->bytes = "abbccc";
  keys->byte_count = 6;
  keys->offsets = kOffsets;
  keys->count = 3;
  CHECK_CODE(cellroute_picker_create(view_of("ring"), members, kMembers, NULL, &picker, NULL),
             CELLROUTE_OK);
  CHECK_CODE(cellroute_picker_pick_keys(picker, keys, picked), CELLROUTE_OK);
  CHECK_CODE(cellroute_picker_pick(picker, view_of("bb"), &one), CELLROUTE_OK);
  CHECK(picked[1] == one);
  CHECK_CODE(cellroute_picker_pick_keys(picker, keys, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_picker_pick_keys(picker, NULL, picked), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_picker_pick_keys(NULL, keys, picked), CELLROUTE_E_NULL);
  keys->byte_count = 5;
  CHECK_CODE(cellroute_picker_pick_keys(picker, keys, picked), CELLROUTE_E_INVALID_ARGUMENT);
  CHECK_CODE(cellroute_picker_pick(picker, no_view(), &one), CELLROUTE_E_INVALID_ARGUMENT);
  CHECK_CODE(cellroute_picker_pick(picker, view_of("k"), NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_picker_pick(NULL, view_of("k"), &one), CELLROUTE_E_NULL);
  cellroute_picker_destroy(picker);
  cellroute_picker_destroy(NULL);
  free(keys);
  free(members);
}

static void refusals(void) {
  static const char* const kIds[kMembers] = {"a", "b", "c", "d", "e"};
  cellroute_picker* picker = NULL;
  cellroute_error* error = NEW(cellroute_error);
  cellroute_member* members = members_named(kIds);
  cellroute_picker_options* options = NEW(cellroute_picker_options);
  const cellroute_view ring = view_of("ring");
  CHECK_CODE(cellroute_picker_create(view_of("no"), members, kMembers, NULL, &picker, error),
             CELLROUTE_E_INVALID_ARGUMENT);
  CHECK(strstr(error->text, "rendezvous-slots") != NULL);
  CHECK_CODE(cellroute_picker_create(ring, members, 0, NULL, &picker, error),
             CELLROUTE_E_INVALID_ARGUMENT);
  CHECK_CODE(cellroute_picker_create(ring, NULL, 1, NULL, &picker, error), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_picker_create(ring, members, 65536, NULL, &picker, error),
             CELLROUTE_E_INVALID_ARGUMENT);
  CHECK_CODE(cellroute_picker_create(ring, members, kMembers, NULL, NULL, error), CELLROUTE_E_NULL);
  options->max_table_bytes = 1;
  CHECK_CODE(cellroute_picker_create(ring, members, kMembers, options, &picker, error),
             CELLROUTE_E_REFUSED);
  options->max_table_bytes = 0;
  options->slots = 1000;
  CHECK_CODE(cellroute_picker_create(view_of("maglev"), members, kMembers, options, &picker, error),
             CELLROUTE_E_INVALID_ARGUMENT);
  members[1].struct_size = 4;
  CHECK_CODE(cellroute_picker_create(ring, members, kMembers, NULL, &picker, error),
             CELLROUTE_E_STRUCT_SIZE);
  free(options);
  free(members);
  free(error);
}

void picker_test(void) {
  hashes();
  strategies();
  many_keys();
  refusals();
}
