/* Lines of CloudWatch's embedded metric format. */
#include "tests.h"

static cellroute_router* router;
static cellroute_snapshot* snapshot;
static cellroute_decision* decision;
static cellroute_outcome* outcome;
static char line[8192];

static int32_t write_line(const cellroute_emf_options* options, const cellroute_outcome* of,
                          int64_t latency) {
  size_t size = 0;
  const int32_t code = cellroute_emf_write(snapshot, options, decision, of, latency, NOW, line,
                                           sizeof line, &size, NULL);
  CHECK(code != CELLROUTE_OK || strlen(line) == size);
  return code;
}

static void by_default(void) {
  CHECK_CODE(write_line(NULL, outcome, 12345678), CELLROUTE_OK);
  CHECK_TEXT(view_of(line),
             "{\"_aws\":{\"Timestamp\":1700000000000,\"CloudWatchMetrics\":[{\"Namespace\":"
             "\"CellRouter\",\"Dimensions\":[[\"CellId\"]],\"Metrics\":[{\"Name\":\"RequestCount\","
             "\"Unit\":\"Count\"},{\"Name\":\"Latency\",\"Unit\":\"Milliseconds\"}]},{"
             "\"Namespace\":\"CellRouter\",\"Dimensions\":[[\"CellId\",\"StatusCode\"]],"
             "\"Metrics\":[{\"Name\":\"ResponseCode\",\"Unit\":\"Count\"}]}]},\"CellId\":\"r-us\","
             "\"StatusCode\":\"201\",\"Status\":\"OK\",\"Reason\":\"PLACED\",\"RequestCount\":1,"
             "\"ResponseCode\":1,\"Latency\":12.345678}");
}

static int says(const char* member) { return strstr(line, member) != NULL; }

static void status_codes(void) {
  static const struct {
    uint32_t end, http_status;
    const char* member;
  } kCases[] = {{CELLROUTE_ANSWERED, 0, "\"StatusCode\":\"200\""},
                {CELLROUTE_ANSWERED, 418, "\"StatusCode\":\"418\""},
                {CELLROUTE_CONNECT_ERROR, 0, "\"StatusCode\":\"502\""},
                {CELLROUTE_TIMEOUT, 0, "\"StatusCode\":\"504\""},
                {CELLROUTE_CLIENT_ABORT, 0, "\"StatusCode\":\"499\""}};
  size_t i = 0;
  for (; i < sizeof kCases / sizeof kCases[0]; ++i) {
    outcome->end = kCases[i].end;
    outcome->http_status = kCases[i].http_status;
    CHECK_CODE(write_line(NULL, outcome, -5), CELLROUTE_OK);
    CHECK(says(kCases[i].member) && says("\"Latency\":0.000000}"));
  }
}

static void without_a_call(void) {
  decision->status = CELLROUTE_STATUS_RATE_LIMITED;
  decision->reason = 400;
  decision->cell = CELLROUTE_NO_CELL;
  CHECK_CODE(write_line(NULL, NULL, 0), CELLROUTE_OK);
  CHECK(
      says("\"CellId\":\"{none}\",\"StatusCode\":\"429\",\"Status\":\"RATE_LIMITED\","
           "\"Reason\":\"KEY_LIMIT\",\"RequestCount\":1,\"ResponseCode\":1}"));
  CHECK(!says("Latency"));
  decision->cell = 999999;
  decision->reason = 65536 + 400;
  CHECK_CODE(write_line(NULL, NULL, 0), CELLROUTE_OK);
  CHECK(says("\"CellId\":\"{other}\"") && says("\"Reason\":\"other\""));
  decision->reason = 0;
  CHECK_CODE(write_line(NULL, NULL, 0), CELLROUTE_OK);
  CHECK(says("\"Reason\":\"NONE\""));
}

static void names(void) {
  static char longest[256]; /* one too many */
  cellroute_emf_options* options = NEW(cellroute_emf_options);
  cellroute_view* const all[] = {&options->name_space,    &options->cell_id,
                                 &options->status_code,   &options->request_count,
                                 &options->response_code, &options->latency};
  size_t i = 0;
  options->name_space = view_of("My \"shop\"");
  options->cell_id = view_of("Cell");
  options->latency = view_of("Took");
  CHECK_CODE(write_line(options, outcome, 0), CELLROUTE_OK);
  CHECK(says("\"Namespace\":\"My \\\"shop\\\"\"") && says("[[\"Cell\",\"StatusCode\"]]"));
  CHECK(says("\"Cell\":\"{other}\"") && says("\"Took\":0.000000}"));
  memset(longest, '"', 256);
  options->name_space = (cellroute_view){longest, 255};
  for (i = 1; i < 6; ++i) {
    char* name = malloc(256);
    memset(name, '"', 255);
    name[0] = (char)('a' + i);
    *all[i] = (cellroute_view){name, 255};
  }
  CHECK_CODE(write_line(options, outcome, INT64_MAX), CELLROUTE_OK);
  CHECK(strlen(line) > 6000);
  for (i = 1; i < 6; ++i) {
    free((char*)all[i]->data);
    *all[i] = no_view();
  }
  for (i = 0; i < 6; ++i) {
    *all[i] = view_of(":x");
    CHECK_CODE(write_line(options, outcome, 0), CELLROUTE_E_INVALID_ARGUMENT);
    *all[i] = view_of("a\nb");
    CHECK_CODE(write_line(options, outcome, 0), CELLROUTE_E_INVALID_ARGUMENT);
    *all[i] = view_of("caf\xc3\xa9");
    CHECK_CODE(write_line(options, outcome, 0), CELLROUTE_E_INVALID_ARGUMENT);
    *all[i] = view_of("  ");
    CHECK_CODE(write_line(options, outcome, 0), CELLROUTE_E_INVALID_ARGUMENT);
    *all[i] = bad_view();
    CHECK_CODE(write_line(options, outcome, 0), CELLROUTE_E_NULL);
    *all[i] = (cellroute_view){longest, 256};
    CHECK_CODE(write_line(options, outcome, 0), CELLROUTE_E_INVALID_ARGUMENT);
    *all[i] = no_view();
  }
  options->latency = view_of("StatusCode");
  CHECK_CODE(write_line(options, outcome, 0), CELLROUTE_E_INVALID_ARGUMENT);
  options->latency = view_of("Reason");
  CHECK_CODE(write_line(options, outcome, 0), CELLROUTE_E_INVALID_ARGUMENT);
  options->latency = no_view();
  options->reserved = 1;
  CHECK_CODE(write_line(options, outcome, 0), CELLROUTE_E_INVALID_ARGUMENT);
  free(options);
}

static void refused(void) {
  size_t size = 0;
  char small[4] = "";
  CHECK_CODE(cellroute_emf_write(snapshot, NULL, decision, NULL, 0, -1, NULL, 0, &size, NULL),
             CELLROUTE_E_INVALID_ARGUMENT);
  CHECK_CODE(cellroute_emf_write(snapshot, NULL, decision, NULL, 0, 0, NULL, 0, &size, NULL),
             CELLROUTE_OK);
  CHECK(size > 300);
  CHECK_CODE(cellroute_emf_write(snapshot, NULL, decision, NULL, 0, 0, small, 4, &size, NULL),
             CELLROUTE_E_BUFFER);
  CHECK_CODE(cellroute_emf_write(snapshot, NULL, decision, NULL, 0, 0, NULL, 0, NULL, NULL),
             CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_emf_write(snapshot, NULL, NULL, NULL, 0, 0, NULL, 0, &size, NULL),
             CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_emf_write(NULL, NULL, decision, NULL, 0, 0, NULL, 0, &size, NULL),
             CELLROUTE_E_NULL);
  outcome->http_status = 1000;
  CHECK_CODE(write_line(NULL, outcome, 0), CELLROUTE_E_INVALID_ARGUMENT);
  decision->status = 10;
  CHECK_CODE(write_line(NULL, NULL, 0), CELLROUTE_E_INVALID_ARGUMENT);
}

void emf_test(void) {
  router = serving(1, "");
  CHECK_CODE(cellroute_snapshot_hold(router, &snapshot, NULL), CELLROUTE_OK);
  decision = NEW(cellroute_decision);
  decision->cell = number_of(router, "r-us");
  decision->reason = 1;
  outcome = NEW(cellroute_outcome);
  outcome->http_status = 201;
  by_default();
  status_codes();
  without_a_call();
  names();
  refused();
  free(outcome), free(decision);
  cellroute_snapshot_destroy(snapshot);
  cellroute_router_destroy(router);
}
