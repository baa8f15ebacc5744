/*
 * HAProxy's TXN object as C sees it: its variables, fetches and headers. What is left on the stack
 * is said of each; all may throw Lua's errors, as any call of Lua's.
 */
#ifndef CELLROUTE_HAPROXY_LUA_TXN_H
#define CELLROUTE_HAPROXY_LUA_TXN_H

#include <lua5.3/lauxlib.h>
#include <lua5.3/lua.h>
#include <stdbool.h>

#include "cellroute.h"

/* Variables that the configuration sets for a request, if it wants to. */
#define VAR_KEY "txn.cellroute_key"
#define VAR_TIER "txn.cellroute_tier"
#define VAR_REGION "txn.cellroute_region"
#define VAR_PLAN "txn.cellroute_plan"
#define VAR_FLAGS "txn.cellroute_flags"
#define VAR_RISK "txn.cellroute_risk"
#define VAR_RESOURCE "txn.cellroute_resource"
#define VAR_ACCESS "txn.cellroute_access"
/* Those that it sets for the outcome. */
#define VAR_ANSWERED "txn.cellroute_answered"
#define VAR_ENDED "txn.cellroute_ended"
/* Those that the decision sets. */
#define VAR_STATUS "txn.cellroute_status"
#define VAR_REASON "txn.cellroute_reason"
#define VAR_HTTP_STATUS "txn.cellroute_http_status"
#define VAR_RETRY_AFTER "txn.cellroute_retry_after_ms"
#define VAR_CELL "txn.cellroute_cell"
#define VAR_ENDPOINT "txn.cellroute_endpoint"
#define VAR_EPOCH "txn.cellroute_epoch"
#define VAR_READ_ONLY "txn.cellroute_read_only"
#define VAR_REQUEST_ID "txn.cellroute_request_id"
/* The decision's ticket, from the action to the filter. */
#define VAR_TICKET "txn.cellroute_ticket"

enum { kTxn = 1 }; /* where an action, a fetch has it on its stack */

/* Pushes the variable, nil where it is not set. `txn` is an absolute index. */
void txn_get(lua_State* L, int txn, const char* name);

/* The same, as the bytes of a string or number; empty where it is neither. They live as long as
 * what is pushed. */
cellroute_view txn_get_bytes(lua_State* L, int txn, const char* name);

/* Sets the variable to what is on top of the stack, and pops it. */
void txn_set(lua_State* L, int txn, const char* name);
void txn_set_bytes(lua_State* L, int txn, const char* name, cellroute_view value);
void txn_set_integer(lua_State* L, int txn, const char* name, lua_Integer value);

/* Pushes what the sample fetch `name` gives, nil where it gives nothing. */
void txn_fetch(lua_State* L, int txn, const char* name);
cellroute_view txn_fetch_bytes(lua_State* L, int txn, const char* name);

/* Whether the server's side is open for an answer, or for more of it. */
bool txn_may_answer(lua_State* L, int txn);

void txn_delete_header(lua_State* L, int txn, cellroute_view name);
void txn_add_header(lua_State* L, int txn, const char* name, cellroute_view value);

#endif
