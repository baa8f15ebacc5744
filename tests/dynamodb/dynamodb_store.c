/* What the C interface has of DynamoDB: dynamodb_store URL EVENT_FILE, of a table without records
 * and with profiles beside it, and of an event of its stream. Exits with 0, or prints what does not
 * hold. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cellroute_net.h"

/* Without profiles, so that an image is all of a record. */
static const char kPlain[] = "dynamodb://mappings-of-c?region=eu-west-1";

static int failures;

#define CHECK(holds)                                 \
  do {                                               \
    if (!(holds)) {                                  \
      fprintf(stderr, "%d: %s\n", __LINE__, #holds); \
      ++failures;                                    \
    }                                                \
  } while (0)

static cellroute_view view(const char* text) {
  cellroute_view made = {text, strlen(text)};
  return made;
}

static int32_t nothing(void* self, const cellroute_record* record) {
  (void)self;
  (void)record;
  return CELLROUTE_OK;
}

static void usage(const char* url) {
  cellroute_store* store = NULL;
  cellroute_store* cached = NULL;
  cellroute_store* memory = NULL;
  cellroute_sink sink = {0};
  cellroute_dynamodb_usage used = {0};
  uint64_t calls = 0;
  sink.struct_size = sizeof sink;
  sink.record = nothing;
  used.struct_size = sizeof used;
  CHECK(cellroute_net_store_open(view(url), NULL, &store, NULL) == CELLROUTE_OK);
  if (store == NULL) return;
  CHECK(cellroute_net_dynamodb_usage(store, 0, &used) == CELLROUTE_OK);
  CHECK(strcmp(used.table, "mappings-of-c") == 0);
  CHECK(used.calls >= 1 && used.throttles == 0 && used.failures == 0 && used.read_units == 0);
  calls = used.calls;
  CHECK(cellroute_store_get(store, view("nobody"), 1, &sink, NULL) == CELLROUTE_ABSENT);
  CHECK(cellroute_store_cached(store, NULL, &cached, NULL) == CELLROUTE_OK);
  CHECK(cellroute_net_dynamodb_usage(cached, 0, &used) == CELLROUTE_OK);
  CHECK(used.calls == calls + 1 && used.read_units > 0 && used.write_units == 0);
  CHECK(cellroute_net_dynamodb_usage(store, 1, &used) == CELLROUTE_OK);
  CHECK(strcmp(used.table, "profiles-of-c") == 0 && used.calls == 0);
  CHECK(cellroute_net_dynamodb_usage(store, 2, &used) == CELLROUTE_E_NOT_FOUND);
  CHECK(cellroute_net_dynamodb_usage(NULL, 0, &used) == CELLROUTE_E_NULL);
  CHECK(cellroute_net_dynamodb_usage(store, 0, NULL) == CELLROUTE_E_NULL);
  used.struct_size = 8;
  CHECK(cellroute_net_dynamodb_usage(store, 0, &used) == CELLROUTE_E_STRUCT_SIZE);
  used.struct_size = sizeof used;
  CHECK(cellroute_store_open(view("memory:"), NULL, &memory, NULL) == CELLROUTE_OK);
  CHECK(cellroute_net_dynamodb_usage(memory, 0, &used) == CELLROUTE_E_UNSUPPORTED);
  cellroute_store_destroy(memory);
  cellroute_store_destroy(cached);
  cellroute_store_destroy(store);
}

/* What came, and whom it fails for. */
struct seen {
  const char* fails; /* a key, or NULL */
  int changes;
  int deleted;
  int expired;
  int without_image;
  char first_cell[129];
};

static int32_t take(void* self, const cellroute_stream_change* change) {
  struct seen* seen = self;
  CHECK(change->struct_size == sizeof *change);
  if (seen->fails != NULL && change->key.size == strlen(seen->fails) &&
      memcmp(change->key.data, seen->fails, change->key.size) == 0) {
    return CELLROUTE_E_EXHAUSTED;
  }
  if (change->record == NULL) {
    ++seen->without_image;
  } else if ((change->record->marks & CELLROUTE_RECORD_DELETED) != 0) {
    ++seen->deleted;
  } else if (seen->changes == 0) {
    memcpy(seen->first_cell, change->record->cell.data, change->record->cell.size);
  }
  seen->expired += (int)change->expired;
  ++seen->changes;
  return CELLROUTE_OK;
}

static void stream(const char* url, cellroute_view event) {
  struct seen seen = {0};
  cellroute_stream_sink sink = {0};
  cellroute_stream_result result = {0};
  cellroute_error error = {0};
  sink.struct_size = sizeof sink;
  sink.self = &seen;
  sink.change = take;
  result.struct_size = sizeof result;
  error.struct_size = sizeof error;
  CHECK(cellroute_net_dynamodb_stream(view(url), event, &sink, &result, &error) == CELLROUTE_OK);
  CHECK(result.failure == CELLROUTE_OK && result.taken == 7 && result.passed_over == 2);
  CHECK(result.failed[0] == '\0');
  CHECK(strcmp(result.response, "{\"batchItemFailures\":[]}") == 0);
  CHECK(seen.changes == 7 && seen.deleted == 2 && seen.expired == 1 && seen.without_image == 2);
  CHECK(strcmp(seen.first_cell, "cell-a") == 0);

  memset(&seen, 0, sizeof seen);
  seen.fails = "session";
  CHECK(cellroute_net_dynamodb_stream(view(url), event, &sink, &result, NULL) == CELLROUTE_OK);
  CHECK(result.failure == CELLROUTE_E_EXHAUSTED && result.taken == 3 && seen.changes == 3);
  CHECK(strcmp(result.failed, "000400000000012345678901") == 0);
  CHECK(strcmp(result.response,
               "{\"batchItemFailures\":[{\"itemIdentifier\":\"000400000000012345678901\"}]}") == 0);

  CHECK(cellroute_net_dynamodb_stream(
            view("dynamodb://mappings-of-c?region=eu-west-1&profiles=Other"), event, &sink, &result,
            NULL) == CELLROUTE_OK);
  CHECK(result.failure == CELLROUTE_E_EXHAUSTED && seen.without_image == 2);

  CHECK(cellroute_net_dynamodb_stream(view(url), view("{}"), &sink, &result, &error) ==
        CELLROUTE_E_INVALID_ARGUMENT);
  CHECK(strstr(error.text, "Records") != NULL);
  CHECK(cellroute_net_dynamodb_stream(view("redis://x"), event, &sink, &result, &error) ==
        CELLROUTE_E_INVALID_ARGUMENT);
  CHECK(cellroute_net_dynamodb_stream(view(url), event, NULL, &result, &error) == CELLROUTE_E_NULL);
  CHECK(cellroute_net_dynamodb_stream(view(url), event, &sink, NULL, &error) == CELLROUTE_E_NULL);
  sink.change = NULL;
  CHECK(cellroute_net_dynamodb_stream(view(url), event, &sink, &result, &error) ==
        CELLROUTE_E_NULL);
  sink.change = take;
  sink.reserved = 1;
  CHECK(cellroute_net_dynamodb_stream(view(url), event, &sink, &result, &error) ==
        CELLROUTE_E_INVALID_ARGUMENT);
}

/* An item that is none fails for itself, with a text. */
static void damaged(const char* url) {
  static const char kEvent[] =
      "{\"Records\":[{\"eventName\":\"INSERT\",\"dynamodb\":{\"SequenceNumber\":\"7\","
      "\"Keys\":{\"PartitionKey\":{\"S\":\"k\"}},\"NewImage\":{\"PartitionKey\":{\"S\":\"k\"},"
      "\"CellId\":{\"N\":\"5\"}}}}]}";
  struct seen seen = {0};
  cellroute_stream_sink sink = {0};
  cellroute_stream_result result = {0};
  cellroute_error error = {0};
  sink.struct_size = sizeof sink;
  sink.self = &seen;
  sink.change = take;
  result.struct_size = sizeof result;
  error.struct_size = sizeof error;
  CHECK(cellroute_net_dynamodb_stream(view(url), view(kEvent), &sink, &result, &error) ==
        CELLROUTE_OK);
  CHECK(result.failure == CELLROUTE_E_CORRUPT && result.taken == 0 && seen.changes == 0);
  CHECK(strcmp(result.failed, "7") == 0);
  CHECK(strstr(error.text, "\"k\"") != NULL);
}

int main(int argc, char** argv) {
  static char event[1 << 16];
  cellroute_view text = {event, 0};
  FILE* file = argc == 3 ? fopen(argv[2], "rb") : NULL;
  if (file == NULL) return 2;
  text.size = fread(event, 1, sizeof event, file);
  fclose(file);
  usage(argv[1]);
  stream(kPlain, text);
  damaged(kPlain);
  return failures == 0 ? 0 : 1;
}
