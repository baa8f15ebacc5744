#include "route.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "lua_txn.h"
#include "names.h"

enum {
  kMaxFlags = 16,
  kMaxRequestId = 128,
  kFewHeaders = 40,       /* which need no memory of Lua's */
  kPublishesMeanwhile = 3 /* that may outrun the names of one request */
};

/* A request, as it is put together from the TXN; what it points to is on Lua's stack. */
struct asked {
  cellroute_http_request http;
  cellroute_request request;
  cellroute_profile_names names;
  cellroute_view flags[kMaxFlags];
  cellroute_view request_id; /* the client's where it is well-formed, else empty */
  bool wrong;                /* a variable that no request may have */
  cellroute_field few[kFewHeaders];
};

static bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Whether a header is the one called `wanted`, in lower case with '-'. CGI and its like make one
 * variable of names that differ in case and in signs. */
static bool is_header(cellroute_view name, const char* wanted) {
  if (name.size != strlen(wanted)) return false;
  for (size_t i = 0; i < name.size; ++i) {
    const char c = name.data[i];
    const char plain = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    if ((is_letter_or_digit(plain) ? plain : '-') != wanted[i]) return false;
  }
  return true;
}

static bool is_request_id(cellroute_view value) {
  if (value.size == 0 || value.size > kMaxRequestId) return false;
  for (size_t i = 0; i < value.size; ++i) {
    const char c = value.data[i];
    if (!is_letter_or_digit(c) && (c == '\0' || strchr("-_.:+/=@", c) == NULL)) return false;
  }
  return true;
}

/* ---- Headers ---- */

/* Takes a number off the front of `bytes`, as HAProxy packs them: up to 239 in one byte. */
static size_t take_number(cellroute_view* bytes) {
  const unsigned char* at = (const unsigned char*)bytes->data;
  const unsigned char* const end = at + bytes->size;
  size_t number = at != end ? *at++ : 0;
  bool more = number >= 240;
  for (unsigned shift = 4; more && at != end && shift < 32; shift += 7) {
    more = *at >= 128;
    number += (size_t)*at++ << shift;
  }
  bytes->size = (size_t)(end - at);
  bytes->data = (const char*)at;
  return number;
}

static cellroute_view take_text(cellroute_view* bytes) {
  const size_t size = take_number(bytes);
  const cellroute_view text = {.data = bytes->data, .size = size <= bytes->size ? size : 0};
  bytes->data += text.size;
  bytes->size -= text.size;
  return text;
}

/* Names and values one after the other, until an empty name. Writes up to `room` fields, and tells
 * how many there are. */
static uint32_t unpack_headers(cellroute_view bytes, cellroute_field* fields, uint32_t room) {
  uint32_t count = 0;
  for (;; ++count) {
    const cellroute_view name = take_text(&bytes);
    if (name.size == 0) return count;
    const cellroute_view value = take_text(&bytes);
    if (count < room) fields[count] = (cellroute_field){.name = name, .value = value};
  }
}

/* Leaves the headers on the stack, to which `asked` points. */
static void take_headers(lua_State* L, struct asked* asked) {
  const cellroute_view bytes = txn_fetch_bytes(L, kTxn, "req_hdrs_bin");
  if (bytes.data == NULL) asked->wrong = true; /* more than HAProxy's buffer holds, which none is */
  cellroute_field* fields = asked->few;
  const uint32_t count = unpack_headers(bytes, fields, kFewHeaders);
  if (count > kFewHeaders) {
    fields = lua_newuserdata(L, count * sizeof *fields);
    unpack_headers(bytes, fields, count);
  }
  asked->http.headers = fields;
  asked->http.header_count = count;
}

/* Takes out what cells trust from this host alone, and finds the request's id. */
static void strip_headers(lua_State* L, const cellroute_snapshot* snapshot, struct asked* asked) {
  uint32_t ids = 0;
  for (uint32_t i = 0; i < asked->http.header_count; ++i) {
    const cellroute_field* const field = &asked->http.headers[i];
    const bool is_id = is_header(field->name, "x-request-id");
    if (is_id && ++ids == 1 && is_request_id(field->value)) asked->request_id = field->value;
    uint32_t trusted =
        is_id || is_header(field->name, "x-cell-id") || is_header(field->name, "x-cell-epoch");
    if (!trusted && snapshot != NULL) {
      cellroute_is_trusted_header(snapshot, field->name, &trusted);
    }
    if (trusted) txn_delete_header(L, kTxn, field->name);
  }
  if (ids > 1) asked->request_id.size = 0;
}

/* ---- The request ---- */

static void split_flags(struct asked* asked, cellroute_view text) {
  size_t from = 0;
  for (size_t i = 0; i <= text.size; ++i) {
    if (i < text.size && text.data[i] != ',') continue;
    if (i != from) {
      if (asked->names.flag_count == kMaxFlags) {
        asked->wrong = true;
        return;
      }
      asked->flags[asked->names.flag_count++] =
          (cellroute_view){.data = text.data + from, .size = i - from};
    }
    from = i + 1;
  }
}

/* The variables that say more of the request than its key; they stay on the stack. */
static void take_variables(lua_State* L, struct asked* asked) {
  asked->names.struct_size = sizeof asked->names;
  asked->names.tier = txn_get_bytes(L, kTxn, VAR_TIER);
  asked->names.region = txn_get_bytes(L, kTxn, VAR_REGION);
  asked->names.plan = txn_get_bytes(L, kTxn, VAR_PLAN);
  asked->names.flags = asked->flags;
  split_flags(asked, txn_get_bytes(L, kTxn, VAR_FLAGS));
  asked->request.resource = txn_get_bytes(L, kTxn, VAR_RESOURCE);
  const cellroute_view access = txn_get_bytes(L, kTxn, VAR_ACCESS);
  if (access.size == 4 && memcmp(access.data, "READ", 4) == 0) {
    asked->request.access = CELLROUTE_READ;
  } else if (access.size != 0 && (access.size != 5 || memcmp(access.data, "WRITE", 5) != 0)) {
    asked->wrong = true;
  }
  txn_get(L, kTxn, VAR_RISK);
  int is_number = 1;
  asked->request.risk = lua_isnil(L, -1) ? 0 : lua_tonumberx(L, -1, &is_number);
  if (!is_number) asked->wrong = true;
}

/* The request's key: the configuration's, or else by the topology's rules. False: `decision` says
 * why there is none. */
static bool take_key(lua_State* L, struct lane* lane, const cellroute_snapshot* snapshot,
                     struct asked* asked, cellroute_decision* decision) {
  asked->request.key = txn_get_bytes(L, kTxn, VAR_KEY);
  if (asked->request.key.data != NULL || snapshot == NULL) return true;
  asked->http.struct_size = sizeof asked->http;
  asked->http.target = txn_fetch_bytes(L, kTxn, "url");
  cellroute_tenant tenant = {.struct_size = sizeof tenant};
  if (cellroute_extract(snapshot, &asked->http, lane->key, sizeof lane->key, &tenant) !=
      CELLROUTE_OK) {
    return true; /* no rules: the key is empty, which the decision tells */
  }
  if (tenant.status != CELLROUTE_STATUS_OK) {
    decision->status = tenant.status;
    decision->reason = tenant.reason;
    return false;
  }
  asked->request.key = tenant.key;
  txn_set_bytes(L, kTxn, VAR_KEY, tenant.key);
  return true;
}

/* ---- The decision ---- */

/* The profile of the names, in what serves; false: one of them is unknown, as `reason` says. */
static bool resolve(cellroute_router* router, struct lane* lane, struct asked* asked, bool anew,
                    uint32_t* reason) {
  const cellroute_profile_names* const names = &asked->names;
  const bool plain = names->tier.size == 0 && names->region.size == 0 && names->plan.size == 0 &&
                     names->flag_count == 0;
  if (plain && !anew && lane->plain.generation != 0) {
    asked->request.profile = lane->plain;
    return true;
  }
  cellroute_error error = {.struct_size = sizeof error};
  const int32_t code = cellroute_router_profile(router, names, &asked->request.profile, &error);
  if (code == CELLROUTE_OK && plain) lane->plain = asked->request.profile;
  *reason = error.reason;
  return code == CELLROUTE_OK || code == CELLROUTE_E_NO_SNAPSHOT;
}

static void deny(cellroute_decision* decision, uint32_t reason) {
  decision->status = name_status_of(reason);
  decision->reason = reason;
  decision->cell = CELLROUTE_NO_CELL;
}

static void decide(cellroute_router* router, struct lane* lane, struct asked* asked, int64_t now,
                   cellroute_decision* decision) {
  asked->request.struct_size = sizeof asked->request;
  asked->request.lane = lane->number;
  for (int i = 0; i < kPublishesMeanwhile; ++i) {
    uint32_t reason = 0;
    if (!resolve(router, lane, asked, i != 0, &reason)) {
      deny(decision, reason);
      return;
    }
    decision->struct_size = sizeof *decision;
    const int32_t code = cellroute_route(router, &asked->request, now, decision);
    if (code != CELLROUTE_OK) deny(decision, kReasonNoSnapshot);
    if (decision->reason != kReasonProfileStale) return;
  }
}

/* ---- What the request gets ---- */

static void set_request_id(lua_State* L, struct lane* lane, const struct asked* asked) {
  cellroute_view id = asked->request_id;
  char made[33];
  if (id.size == 0) {
    if (lane->request_ids[0] == 0) getrandom(lane->request_ids, sizeof lane->request_ids, 0);
    snprintf(made, sizeof made, "%016" PRIx64 "%016" PRIx64, lane->request_ids[0],
             ++lane->request_ids[1]);
    id = (cellroute_view){.data = made, .size = 32};
  }
  txn_add_header(L, kTxn, "X-Request-ID", id);
  txn_set_bytes(L, kTxn, VAR_REQUEST_ID, id);
}

/* Names of the decision's cell. A publish between service_enter() and the decision may bring a cell
 * that the lane's snapshot does not know: then the newest is held. */
static void set_cell(lua_State* L, cellroute_router* router, cellroute_snapshot* snapshot,
                     const struct asked* asked, const cellroute_decision* decision) {
  cellroute_cell cell = {.struct_size = sizeof cell};
  cellroute_snapshot* held = NULL;
  if (snapshot == NULL ||
      cellroute_snapshot_cell(snapshot, decision->cell, &cell) != CELLROUTE_OK) {
    if (cellroute_snapshot_hold(router, &held, NULL) != CELLROUTE_OK) return;
    snapshot = held;
    if (cellroute_snapshot_cell(snapshot, decision->cell, &cell) != CELLROUTE_OK) cell.id.size = 0;
  }
  cellroute_view endpoint = {.data = NULL, .size = 0};
  cellroute_snapshot_endpoint(snapshot, decision->cell, asked->request.resource, &endpoint);
  if (cell.id.size != 0) {
    char epoch[24];
    const int size = snprintf(epoch, sizeof epoch, "%" PRIu64, decision->epoch);
    const cellroute_view epoch_text = {.data = epoch, .size = (size_t)size};
    txn_add_header(L, kTxn, "X-Cell-ID", cell.id);
    txn_add_header(L, kTxn, "X-Cell-Epoch", epoch_text);
    txn_set_bytes(L, kTxn, VAR_CELL, cell.id);
    txn_set_bytes(L, kTxn, VAR_ENDPOINT, endpoint);
    txn_set_bytes(L, kTxn, VAR_EPOCH, epoch_text);
  }
  cellroute_snapshot_destroy(held);
}

static void set_decision(lua_State* L, const cellroute_decision* decision) {
  txn_set_bytes(L, kTxn, VAR_STATUS, name_of_status(decision->status));
  txn_set_bytes(L, kTxn, VAR_REASON, name_of_reason(decision->reason));
  if (decision->status == CELLROUTE_STATUS_OK) {
    if ((decision->marks & CELLROUTE_READ_ONLY) != 0) {
      txn_set_integer(L, kTxn, VAR_READ_ONLY, 1);
    }
    return;
  }
  txn_set_integer(L, kTxn, VAR_HTTP_STATUS, (lua_Integer)http_of_status(decision->status));
  if (decision->retry_after_ns > 0) {
    const int64_t up = (decision->retry_after_ns + 999999) / 1000000;
    txn_set_integer(L, kTxn, VAR_RETRY_AFTER, up);
  }
}

int route_action(lua_State* L) {
  struct lane* const lane = lua_touserdata(L, lua_upvalueindex(1));
  service_start();
  lua_settop(L, kTxn);
  luaL_checkstack(L, 64, "cellroute");
  outcome_abandon(L, lane);
  cellroute_router* const router = service_router();
  cellroute_snapshot* const snapshot = service_enter(lane);
  struct asked asked = {.wrong = false};
  cellroute_decision decision = {.struct_size = sizeof decision, .cell = CELLROUTE_NO_CELL};
  const int64_t now = service_now();
  take_headers(L, &asked);
  strip_headers(L, snapshot, &asked);
  take_variables(L, &asked);
  if (router == NULL) {
    deny(&decision, kReasonNoSnapshot);
  } else if (asked.wrong) {
    deny(&decision, kReasonRequest);
  } else if (take_key(L, lane, snapshot, &asked, &decision)) {
    decide(router, lane, &asked, now, &decision);
  }
  outcome_begin(L, lane, &decision, now);
  set_decision(L, &decision);
  set_request_id(L, lane, &asked);
  if (decision.status == CELLROUTE_STATUS_OK) set_cell(L, router, snapshot, &asked, &decision);
  service_exit(lane);
  return 0;
}
