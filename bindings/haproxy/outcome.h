/*
 * How a routed request ended, told to the router once: by the filter lua.cellroute, which HAProxy
 * calls when it is through with a request however that ended.
 *
 * HAProxy 2.6 shows Lua no termination state, so the configuration keeps what tells it:
 *
 *     http-response       set-var(txn.cellroute_answered) date(0,us)   the cell answered, and when
 *     http-after-response set-var(txn.cellroute_ended) status          what the client got
 *
 * Without an answer of the cell's, 504 is HAProxy's own for a time-out, 503 for a connection that
 * was not made, 502 for one that the cell closed; any other, as 400 and 408, is the client's doing.
 * To a client of HTTP/2 or on a connection that is reused it closes without a word instead, and so
 * it does when the client resets: then the cell closed a connection that is there and that nothing
 * can come from any more; a call without one that lasted as long as connecting may last did not
 * reach the cell; else the client left.
 */
#ifndef CELLROUTE_HAPROXY_OUTCOME_H
#define CELLROUTE_HAPROXY_OUTCOME_H

#include <lua5.3/lua.h>

#include "cellroute.h"
#include "service.h"

/* Keeps in a variable what an admitted request holds; counts a refused one. */
void outcome_begin(lua_State* L, struct lane* lane, const cellroute_decision* decision,
                   int64_t now);

/* Gives back what a request still holds that is routed again. */
void outcome_abandon(lua_State* L, struct lane* lane);

/* (instance, txn, channel): the filter's end_analyze. Its upvalue is the lane. */
int outcome_end(lua_State* L);

#endif
