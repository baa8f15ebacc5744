/*
 * The action lua.cellroute_route: decides where the request in hand goes, sets what the
 * configuration goes by, and the headers that the cell is given.
 */
#ifndef CELLROUTE_HAPROXY_ROUTE_H
#define CELLROUTE_HAPROXY_ROUTE_H

#include <lua5.3/lua.h>

#include "outcome.h"
#include "service.h"

/* (txn). Its upvalue is the lane. */
int route_action(lua_State* L);

#endif
