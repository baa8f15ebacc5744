/* $cellroute_...: what was decided, for headers, logs and conditions. Empty where nothing was. */
#include "module.h"

#define CR_LABEL "cellroute_label_"

static ngx_int_t give(ngx_http_variable_value_t* v, const ngx_str_t* text) {
  if (text == NULL || text->len == 0) {
    v->not_found = 1;
    return NGX_OK;
  }
  v->len = (unsigned)text->len;
  v->data = text->data;
  v->valid = 1;
  v->no_cacheable = 0;
  v->not_found = 0;
  return NGX_OK;
}

static ngx_int_t give_number(ngx_http_request_t* r, ngx_http_variable_value_t* v, uint64_t number) {
  ngx_str_t text;
  text.data = ngx_pnalloc(r->pool, NGX_INT64_LEN);
  if (text.data == NULL) return NGX_ERROR;
  text.len = (size_t)(ngx_sprintf(text.data, "%uL", number) - text.data);
  return give(v, &text);
}

static const cr_cell_t* cell_of(const cr_ctx_t* ctx) { return ctx != NULL ? ctx->cell : NULL; }

static ngx_int_t give_cell(ngx_http_request_t* r, ngx_http_variable_value_t* v, uintptr_t data) {
  const cr_cell_t* cell = cell_of(cr_request_ctx(r));
  return give(v, cell != NULL ? &cell->id : NULL);
}

static ngx_int_t give_endpoint(ngx_http_request_t* r, ngx_http_variable_value_t* v,
                               uintptr_t host_only) {
  cellroute_view endpoint;
  const cr_ctx_t* ctx = cr_request_ctx(r);
  if (cell_of(ctx) == NULL ||
      cellroute_snapshot_endpoint(ctx->view->snapshot, ctx->decision.cell,
                                  cr_view_of(&ctx->resource), &endpoint) != CELLROUTE_OK) {
    return give(v, NULL);
  }
  if (host_only) {
    const cr_address_t* address = cr_addresses_find(ctx->view->addresses, endpoint);
    return give(v, address != NULL ? &address->host : NULL);
  }
  const ngx_str_t text = cr_str_of(endpoint);
  return give(v, &text);
}

static ngx_int_t give_status(ngx_http_request_t* r, ngx_http_variable_value_t* v, uintptr_t data) {
  const cr_ctx_t* ctx = cr_request_ctx(r);
  return give(v, ctx != NULL ? cr_status_name(ctx->decision.status) : NULL);
}

static ngx_int_t give_reason(ngx_http_request_t* r, ngx_http_variable_value_t* v, uintptr_t data) {
  const cr_ctx_t* ctx = cr_request_ctx(r);
  return give(v, ctx != NULL ? cr_reason_name(ctx->decision.reason) : NULL);
}

static ngx_int_t give_epoch(ngx_http_request_t* r, ngx_http_variable_value_t* v, uintptr_t data) {
  const cr_ctx_t* ctx = cr_request_ctx(r);
  return ctx != NULL ? give_number(r, v, ctx->decision.epoch) : give(v, NULL);
}

static ngx_int_t give_generation(ngx_http_request_t* r, ngx_http_variable_value_t* v,
                                 uintptr_t data) {
  const cr_ctx_t* ctx = cr_request_ctx(r);
  return ctx != NULL ? give_number(r, v, ctx->decision.generation) : give(v, NULL);
}

static ngx_int_t give_key(ngx_http_request_t* r, ngx_http_variable_value_t* v, uintptr_t data) {
  const cr_ctx_t* ctx = cr_request_ctx(r);
  return give(v, ctx != NULL ? &ctx->key : NULL);
}

static ngx_int_t give_request_id(ngx_http_request_t* r, ngx_http_variable_value_t* v,
                                 uintptr_t data) {
  const cr_ctx_t* ctx = cr_request_ctx(r);
  return give(v, ctx != NULL ? &ctx->request_id : NULL);
}

/* Names of variables are small letters, digits and '_'. */
static ngx_uint_t names_label(const ngx_str_t* variable, cellroute_view label) {
  if (variable->len != label.size) return 0;
  for (size_t i = 0; i < label.size; ++i) {
    const u_char c = ngx_tolower((u_char)label.data[i]);
    const ngx_uint_t sign = !((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'));
    if ((sign ? '_' : c) != variable->data[i]) return 0;
  }
  return 1;
}

static ngx_int_t give_label(ngx_http_request_t* r, ngx_http_variable_value_t* v, uintptr_t data) {
  const cr_ctx_t* ctx = cr_request_ctx(r);
  ngx_str_t name = *(ngx_str_t*)data;
  ngx_str_t text = ngx_null_string;
  cellroute_view label;
  name.data += sizeof CR_LABEL - 1;
  name.len -= sizeof CR_LABEL - 1;
  if (cell_of(ctx) == NULL) return give(v, NULL);
  const cellroute_snapshot* snapshot = ctx->view->snapshot;
  const cellroute_view key = cr_view_of(&ctx->key);
  for (uint32_t i = 0;
       cellroute_snapshot_label_at(snapshot, ctx->decision.cell, i, &label) == CELLROUTE_OK; ++i) {
    if (!names_label(&name, label)) continue;
    if (cellroute_snapshot_label(snapshot, ctx->decision.cell, label, key, NULL, 0, &text.len) !=
        CELLROUTE_OK) {
      break;
    }
    text.data = ngx_pnalloc(r->pool, text.len + 1);
    if (text.data == NULL) return NGX_ERROR;
    cellroute_snapshot_label(snapshot, ctx->decision.cell, label, key, (char*)text.data,
                             text.len + 1, &text.len);
    break;
  }
  return give(v, &text);
}

static const ngx_http_variable_t variables[] = {
    {ngx_string("cellroute_cell"), NULL, give_cell, 0, NGX_HTTP_VAR_NOCACHEABLE, 0},
    {ngx_string("cellroute_endpoint"), NULL, give_endpoint, 0, NGX_HTTP_VAR_NOCACHEABLE, 0},
    {ngx_string("cellroute_host"), NULL, give_endpoint, 1, NGX_HTTP_VAR_NOCACHEABLE, 0},
    {ngx_string("cellroute_status"), NULL, give_status, 0, NGX_HTTP_VAR_NOCACHEABLE, 0},
    {ngx_string("cellroute_reason"), NULL, give_reason, 0, NGX_HTTP_VAR_NOCACHEABLE, 0},
    {ngx_string("cellroute_epoch"), NULL, give_epoch, 0, NGX_HTTP_VAR_NOCACHEABLE, 0},
    {ngx_string("cellroute_generation"), NULL, give_generation, 0, NGX_HTTP_VAR_NOCACHEABLE, 0},
    {ngx_string("cellroute_key"), NULL, give_key, 0, NGX_HTTP_VAR_NOCACHEABLE, 0},
    {ngx_string("cellroute_request_id"), NULL, give_request_id, 0, NGX_HTTP_VAR_NOCACHEABLE, 0},
    {ngx_string(CR_LABEL), NULL, give_label, 0, NGX_HTTP_VAR_NOCACHEABLE | NGX_HTTP_VAR_PREFIX, 0},
};

ngx_int_t cr_add_variables(ngx_conf_t* cf) {
  for (size_t i = 0; i < sizeof variables / sizeof variables[0]; ++i) {
    ngx_str_t name = variables[i].name;
    ngx_http_variable_t* added = ngx_http_add_variable(cf, &name, variables[i].flags);
    if (added == NULL) return NGX_ERROR;
    added->get_handler = variables[i].get_handler;
    added->data = variables[i].data;
  }
  return NGX_OK;
}
