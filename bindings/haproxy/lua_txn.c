#include "lua_txn.h"

#include <string.h>

/* Pushes `object`'s method and itself, for the arguments and the call. */
static void push_method(lua_State* L, int object, const char* method) {
  lua_getfield(L, object, method);
  lua_pushvalue(L, object);
}

static cellroute_view bytes_on_top(lua_State* L) {
  cellroute_view view = {.data = NULL, .size = 0};
  view.data = lua_tolstring(L, -1, &view.size);
  return view;
}

void txn_get(lua_State* L, int txn, const char* name) {
  push_method(L, txn, "get_var");
  lua_pushstring(L, name);
  lua_call(L, 2, 1);
}

cellroute_view txn_get_bytes(lua_State* L, int txn, const char* name) {
  txn_get(L, txn, name);
  return bytes_on_top(L);
}

void txn_set(lua_State* L, int txn, const char* name) {
  push_method(L, txn, "set_var");
  lua_pushstring(L, name);
  lua_pushvalue(L, -4);
  lua_call(L, 3, 0);
  lua_pop(L, 1);
}

void txn_set_bytes(lua_State* L, int txn, const char* name, cellroute_view value) {
  lua_pushlstring(L, value.data, value.size);
  txn_set(L, txn, name);
}

void txn_set_integer(lua_State* L, int txn, const char* name, lua_Integer value) {
  lua_pushinteger(L, value);
  txn_set(L, txn, name);
}

void txn_fetch(lua_State* L, int txn, const char* name) {
  lua_getfield(L, txn, "f");
  push_method(L, lua_gettop(L), name);
  lua_call(L, 1, 1);
  lua_remove(L, -2);
}

cellroute_view txn_fetch_bytes(lua_State* L, int txn, const char* name) {
  txn_fetch(L, txn, name);
  return bytes_on_top(L);
}

bool txn_may_answer(lua_State* L, int txn) {
  lua_getfield(L, txn, "res");
  push_method(L, lua_gettop(L), "may_recv");
  lua_call(L, 1, 1);
  const bool may = lua_toboolean(L, -1);
  lua_pop(L, 2);
  return may;
}

void txn_delete_header(lua_State* L, int txn, cellroute_view name) {
  lua_getfield(L, txn, "http");
  push_method(L, lua_gettop(L), "req_del_header");
  lua_pushlstring(L, name.data, name.size);
  lua_call(L, 2, 0);
  lua_pop(L, 1);
}

void txn_add_header(lua_State* L, int txn, const char* name, cellroute_view value) {
  lua_getfield(L, txn, "http");
  push_method(L, lua_gettop(L), "req_add_header");
  lua_pushstring(L, name);
  lua_pushlstring(L, value.data, value.size);
  lua_call(L, 3, 0);
  lua_pop(L, 1);
}
