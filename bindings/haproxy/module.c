/* What cellroute.lua requires: it registers with HAProxy the functions that open() gives. */
#include <stdlib.h>
#include <string.h>

#include "lua_txn.h"
#include "names.h"
#include "outcome.h"
#include "route.h"
#include "service.h"

static const char kState[] = "cellroute.state"; /* in the registry: what ends with the Lua state */

static struct lane* lane_of(lua_State* L) { return lua_touserdata(L, lua_upvalueindex(1)); }

/* "500ms", "2s", "1m", or nothing for `otherwise`; negative: it is none. */
static int64_t duration(const char* text, int64_t otherwise) {
  if (text == NULL) return otherwise;
  char* unit = NULL;
  const unsigned long long number = strtoull(text, &unit, 10);
  if (unit == text || text[0] == '-' || number == 0 || number > 1000000) return -1;
  if (strcmp(unit, "ms") == 0) return (int64_t)number * 1000000;
  if (strcmp(unit, "s") == 0) return (int64_t)number * 1000000000;
  if (strcmp(unit, "m") == 0) return (int64_t)number * 60000000000;
  return -1;
}

/* ---- Fetches: (txn, ...) ---- */

static int push_view(lua_State* L, cellroute_view view) {
  lua_pushlstring(L, view.data, view.size);
  return 1;
}

/* The number of the cell that the request was routed to. */
static bool routed_cell(lua_State* L, const cellroute_snapshot* snapshot, uint32_t* cell) {
  const cellroute_view id = txn_get_bytes(L, kTxn, VAR_CELL);
  return snapshot != NULL && id.size != 0 &&
         cellroute_snapshot_find_cell(snapshot, id, cell) == CELLROUTE_OK;
}

/* (txn, name): the cell's label, expanded for the request's key. */
static int label_fetch(lua_State* L) {
  struct lane* const lane = lane_of(L);
  size_t size = 0;
  cellroute_view name = {.data = luaL_checklstring(L, 2, &size), .size = 0};
  name.size = size;
  const cellroute_view key = txn_get_bytes(L, kTxn, VAR_KEY);
  cellroute_snapshot* const snapshot = service_enter(lane);
  uint32_t cell = 0;
  const bool found = routed_cell(L, snapshot, &cell) &&
                     cellroute_snapshot_label(snapshot, cell, name, key, lane->text,
                                              sizeof lane->text, &size) == CELLROUTE_OK;
  service_exit(lane);
  return found ? push_view(L, (cellroute_view){.data = lane->text, .size = size}) : 0;
}

struct address {
  cellroute_view host;
  lua_Integer port;
};

/* Host and port of the request's endpoint, which the topology's check has let pass:
 * scheme://host[:port][/path] or host:port. False: there is none, or it is unix:/path. */
static bool address_of(lua_State* L, struct address* address) {
  const cellroute_view url = txn_get_bytes(L, kTxn, VAR_ENDPOINT);
  if (url.size == 0 || strncmp(url.data, "unix:", 5) == 0) return false;
  const char* const scheme_end = strstr(url.data, "://");
  const char* host = scheme_end == NULL ? url.data : scheme_end + 3;
  size_t size = strcspn(host, ":/?#");
  const char* behind = host + size;
  if (host[0] == '[') { /* an IPv6 address */
    ++host;
    size = strcspn(host, "]");
    behind = host + size + (host[size] == ']');
  }
  address->host = (cellroute_view){.data = host, .size = size};
  address->port = strncmp(url.data, "https:", 6) == 0 ? 443 : 80;
  if (behind[0] == ':') address->port = strtol(behind + 1, NULL, 10);
  return true;
}

static int host_fetch(lua_State* L) {
  struct address address;
  return address_of(L, &address) ? push_view(L, address.host) : 0;
}

static int port_fetch(lua_State* L) {
  struct address address;
  if (!address_of(L, &address)) return 0;
  lua_pushinteger(L, address.port);
  return 1;
}

static int ready_fetch(lua_State* L) {
  service_start();
  cellroute_readiness readiness = {.struct_size = sizeof readiness};
  cellroute_router* const router = service_router();
  lua_pushboolean(
      L, router != NULL &&
             cellroute_router_readiness(router, 0, service_now(), &readiness) == CELLROUTE_OK &&
             readiness.ready != 0);
  return 1;
}

static int generation_fetch(lua_State* L) {
  service_start();
  uint64_t generation = 0;
  cellroute_router* const router = service_router();
  if (router == NULL || cellroute_router_generation(router, &generation) != CELLROUTE_OK) return 0;
  lua_pushinteger(L, (lua_Integer)generation);
  return 1;
}

/* ---- The converter: (key) ---- */

static int cell_converter(lua_State* L) {
  struct lane* const lane = lane_of(L);
  service_start();
  cellroute_router* const router = service_router();
  if (router == NULL) return 0;
  cellroute_request request = {.struct_size = sizeof request, .lane = lane->number};
  request.key.data = luaL_checklstring(L, 1, &request.key.size);
  if (cellroute_router_profile(router, NULL, &request.profile, NULL) != CELLROUTE_OK) return 0;
  cellroute_decision decision = {.struct_size = sizeof decision};
  if (cellroute_locate(router, &request, service_now(), &decision) != CELLROUTE_OK) return 0;
  if (decision.status != CELLROUTE_STATUS_OK) return 0;
  cellroute_cell cell = {.struct_size = sizeof cell};
  cellroute_snapshot* const snapshot = service_enter(lane);
  if (snapshot != NULL) cellroute_snapshot_cell(snapshot, decision.cell, &cell);
  if (cell.id.size != 0) push_view(L, cell.id);
  service_exit(lane);
  return cell.id.size != 0;
}

/* ---- For cellroute.lua ---- */

/* The answer to a denied request: status, body, seconds of Retry-After or nil. Nothing where it was
 * not denied. */
static int denial(lua_State* L) {
  const cellroute_view status = txn_get_bytes(L, kTxn, VAR_STATUS);
  if (status.size == 2 && memcmp(status.data, "OK", 2) == 0) return 0;
  const cellroute_view reason = txn_get_bytes(L, kTxn, VAR_REASON);
  const cellroute_view id = txn_get_bytes(L, kTxn, VAR_REQUEST_ID);
  txn_get(L, kTxn, VAR_HTTP_STATUS);
  const lua_Integer http = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : 503;
  txn_get(L, kTxn, VAR_RETRY_AFTER);
  const lua_Integer retry_ms = lua_tointeger(L, -1);
  lua_pushinteger(L, http);
  /* Names and ids have no sign that JSON would escape. */
  lua_pushfstring(L, "{\"code\":%d,\"status\":\"%s\",\"reason\":\"%s\",\"request_id\":\"%s\"}\n",
                  (int)http, status.size != 0 ? status.data : "UNAVAILABLE",
                  reason.size != 0 ? reason.data : "NONE", id.size != 0 ? id.data : "");
  if (retry_ms <= 0) return 2;
  lua_pushfstring(L, "%d", (int)((retry_ms + 999) / 1000));
  return 3;
}

/* Prometheus text; nothing before there is a router. */
static int metrics(lua_State* L) {
  service_start();
  cellroute_metrics* const counts = service_metrics();
  if (counts == NULL) return 0;
  cellroute_error error = {.struct_size = sizeof error};
  size_t size = 0;
  size_t room = 0;
  do {
    room = size + 4096; /* it may grow meanwhile */
    char* const buffer = lua_newuserdata(L, room);
    const int32_t code = cellroute_metrics_write(counts, service_router(), NULL, service_now(),
                                                 buffer, room, &size, &error);
    if (code == CELLROUTE_OK) return push_view(L, (cellroute_view){buffer, size});
    if (code != CELLROUTE_E_BUFFER) return luaL_error(L, "cellroute: metrics: %s", error.text);
    lua_pop(L, 1);
  } while (true);
}

static int start(lua_State* L) {
  (void)L;
  service_start();
  return 0;
}

static int news(lua_State* L) {
  char text[kNewsSize];
  if (!service_news(text)) return 0;
  lua_pushstring(L, text);
  return 1;
}

/* (class, arguments): HAProxy calls it for each `filter lua.cellroute`; with lua-load-per-thread in
 * each thread of the worker before it takes connections, which is when threads may yet be started.
 */
static int filter_arguments(lua_State* L) {
  struct lane* const lane = lane_of(L);
  if (lua_rawlen(L, 2) != 0) service_say("cellroute: filter lua.cellroute takes no arguments");
  lane->has_filter = true;
  if (lua_toboolean(L, lua_upvalueindex(2))) service_start();
  lua_settop(L, 1);
  return 1;
}

static int leave(lua_State* L) {
  (void)L;
  service_leave();
  return 0;
}

static void push_functions(lua_State* L, struct lane* lane, bool own_thread) {
  static const luaL_Reg functions[] = {{"route", route_action},
                                       {"ended", outcome_end},
                                       {"denial", denial},
                                       {"label", label_fetch},
                                       {"host", host_fetch},
                                       {"port", port_fetch},
                                       {"ready", ready_fetch},
                                       {"generation", generation_fetch},
                                       {"cell", cell_converter},
                                       {"metrics", metrics},
                                       {"start", start},
                                       {"news", news},
                                       {"filter_arguments", filter_arguments},
                                       {NULL, NULL}};
  lua_newtable(L);
  lua_pushlightuserdata(L, lane);
  lua_pushboolean(L, own_thread);
  luaL_setfuncs(L, functions, 2);
  lua_pushliteral(L, CELLROUTE_METRICS_CONTENT_TYPE);
  lua_setfield(L, -2, "metrics_content_type");
}

/* (own_thread): whether this Lua state is of one thread. Settings are the environment's, which
 * `setenv` in HAProxy's configuration sets. */
static int module_open(lua_State* L) {
  const bool own_thread = lua_toboolean(L, 1);
  const struct settings settings = {
      .topology = getenv("CELLROUTE_TOPOLOGY"),
      .mappings = getenv("CELLROUTE_MAPPINGS"),
      .connect_timeout_ns = duration(getenv("CELLROUTE_CONNECT_TIMEOUT"), -1),
      .poll_ns = duration(getenv("CELLROUTE_POLL"), 1000000000)};
  if (settings.topology == NULL) {
    return luaL_error(L, "cellroute: before lua-load say: setenv CELLROUTE_TOPOLOGY FILE");
  }
  if (settings.connect_timeout_ns < 0) {
    return luaL_error(L,
                      "cellroute: CELLROUTE_CONNECT_TIMEOUT is a time, as 200ms or 1s: how long "
                      "HAProxy tries to connect in all, timeout connect times retries + 1");
  }
  if (settings.poll_ns < 0) {
    return luaL_error(L, "cellroute: CELLROUTE_POLL is a time, as 500ms or 1s");
  }
  char text[CELLROUTE_ERROR_TEXT_SIZE + 1];
  if (!service_configure(&settings, text, sizeof text)) return luaL_error(L, "cellroute: %s", text);
  struct lane* const lane = service_join();
  if (lane == NULL) return luaL_error(L, "cellroute: no memory, or more than 64 threads");
  lua_newuserdata(L, 1); /* whose end tells that this state is closed */
  lua_newtable(L);
  lua_pushcfunction(L, leave);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_setfield(L, LUA_REGISTRYINDEX, kState);
  push_functions(L, lane, own_thread);
  return 1;
}

__attribute__((visibility("default"))) int luaopen_cellroute_haproxy(lua_State* L) {
  if (cellroute_abi_check(CELLROUTE_ABI_VERSION) != CELLROUTE_OK) {
    return luaL_error(L, "cellroute: libcellroute.so is older than this module");
  }
  names_load();
  lua_newtable(L);
  lua_pushcfunction(L, module_open);
  lua_setfield(L, -2, "open");
  return 1;
}
