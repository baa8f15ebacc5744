#include "outcome.h"

#include <string.h>

#include "lua_txn.h"

enum { kEndTxn = 2, kContinue = 1 /* filter.CONTINUE */, kReportsUntilSure = 100 };

/* What the variable keeps: bytes that the next callback of the same request reads. */
struct held {
  cellroute_ticket ticket;
  int64_t start_ns;
  uint64_t epoch;
  uint64_t generation;
  uint32_t reason;
  uint32_t cell;
};

static void observe(const struct lane* lane, const cellroute_decision* decision,
                    const cellroute_outcome* outcome, int64_t latency_ns) {
  cellroute_metrics* const metrics = service_metrics();
  if (metrics == NULL) return;
  cellroute_metrics_observe(metrics, lane->number, decision, outcome, latency_ns);
}

void outcome_begin(lua_State* L, struct lane* lane, const cellroute_decision* decision,
                   int64_t now) {
  if (decision->status != CELLROUTE_STATUS_OK) {
    observe(lane, decision, NULL, 0);
    return;
  }
  struct held held = {.ticket = decision->ticket,
                      .start_ns = now,
                      .epoch = decision->epoch,
                      .generation = decision->generation,
                      .reason = decision->reason,
                      .cell = decision->cell};
  txn_set_bytes(L, kTxn, VAR_TICKET,
                (cellroute_view){.data = (const char*)&held, .size = sizeof held});
  if (!lane->has_filter) {
    service_say(
        "cellroute: no proxy has `filter lua.cellroute`, so that nothing tells how requests end");
  }
}

static bool take_held(lua_State* L, int txn, struct held* held) {
  const cellroute_view bytes = txn_get_bytes(L, txn, VAR_TICKET);
  if (bytes.data == NULL || bytes.size != sizeof *held) return false;
  memcpy(held, bytes.data, sizeof *held);
  lua_pushboolean(L, 0);
  txn_set(L, txn, VAR_TICKET);
  return true;
}

static void report(const struct lane* lane, struct held* held, const cellroute_outcome* outcome,
                   int64_t at) {
  const cellroute_decision decision = {.struct_size = sizeof decision,
                                       .status = CELLROUTE_STATUS_OK,
                                       .reason = held->reason,
                                       .cell = held->cell,
                                       .epoch = held->epoch,
                                       .generation = held->generation};
  observe(lane, &decision, outcome, at - held->start_ns);
  cellroute_report(service_router(), &held->ticket, outcome, at);
}

void outcome_abandon(lua_State* L, struct lane* lane) {
  struct held held;
  if (!take_held(L, kTxn, &held)) return;
  const cellroute_outcome outcome = {.struct_size = sizeof outcome, .end = CELLROUTE_CLIENT_ABORT};
  report(lane, &held, &outcome, service_now());
}

/* Whether there is a connection to the cell, and the cell closed it: if the client left instead,
 * the cell may still answer. */
static bool cell_closed(lua_State* L) {
  txn_fetch(L, kEndTxn, "bc_err");
  return !lua_isnil(L, -1) && !txn_may_answer(L, kEndTxn);
}

/* Without an answer of the cell's. */
static void take_end(lua_State* L, lua_Integer ended, int64_t elapsed, cellroute_outcome* outcome) {
  outcome->end = CELLROUTE_CLIENT_ABORT;
  if (ended == 504) {
    outcome->end = CELLROUTE_TIMEOUT;
  } else if (ended == 503) {
    outcome->end = CELLROUTE_CONNECT_ERROR;
  } else if (ended == 502) {
    outcome->end = CELLROUTE_ANSWERED;
    outcome->http_status = 502;
  } else if (ended == 0) {
    if (cell_closed(L)) {
      outcome->end = CELLROUTE_ANSWERED;
      outcome->http_status = 502;
    } else if (elapsed >= service_connect_timeout() / 10 * 9) {
      /* HAProxy's clock stands while it works through a round of events, so that its time-outs may
       * come early. */
      outcome->end = CELLROUTE_CONNECT_ERROR;
    }
  }
}

static void check_configuration(struct lane* lane, lua_Integer answered, lua_Integer ended) {
  if (lane->reports >= kReportsUntilSure) return;
  if (answered != 0 && ended != 0) lane->reports = kReportsUntilSure;
  if (++lane->reports != kReportsUntilSure) return;
  service_say(
      "cellroute: of the first requests none had txn.cellroute_answered and txn.cellroute_ended "
      "set, without which nothing tells how they end");
}

int outcome_end(lua_State* L) {
  struct lane* const lane = lua_touserdata(L, lua_upvalueindex(1));
  luaL_checkstack(L, 32, "cellroute");
  /* Once for a request is enough: HAProxy does not call what is no function. */
  lua_pushboolean(L, 0);
  lua_setfield(L, 1, "end_analyze");
  struct held held;
  if (take_held(L, kEndTxn, &held)) {
    txn_get(L, kEndTxn, VAR_ANSWERED);
    const lua_Integer answered = lua_tointeger(L, -1);
    txn_get(L, kEndTxn, VAR_ENDED);
    const lua_Integer ended = lua_tointeger(L, -1);
    cellroute_outcome outcome = {.struct_size = sizeof outcome, .end = CELLROUTE_ANSWERED};
    int64_t at = service_now();
    if (answered != 0) {
      outcome.http_status = (uint32_t)ended;
      /* How long a client takes to read says nothing of the cell. */
      if (answered * 1000 < at) at = answered * 1000;
      if (at < held.start_ns) at = held.start_ns;
    } else {
      take_end(L, ended, at - held.start_ns, &outcome);
    }
    check_configuration(lane, answered, ended);
    report(lane, &held, &outcome, at);
  }
  lua_pushinteger(L, kContinue);
  return 1;
}
