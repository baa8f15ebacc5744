/* A request is decided once, after access checks and before its content; after internal redirects
 * its decision is found again. */
#include "module.h"

static void end_request(void* data) {
  cr_ctx_t* ctx = data;
  cr_report_rest(ctx);
  cr_view_release(ctx->view);
  ctx->next = cr_worker.free;
  cr_worker.free = ctx;
}

cr_ctx_t* cr_find_ctx(const ngx_http_request_t* r) {
  for (ngx_pool_cleanup_t* cleanup = r->pool->cleanup; cleanup; cleanup = cleanup->next) {
    if (cleanup->handler != end_request) continue;
    cr_ctx_t* ctx = cleanup->data;
    if (ctx->request == r) return ctx;
  }
  return NULL;
}

static cr_ctx_t* new_ctx(ngx_http_request_t* r, cr_rule_t* rule) {
  ngx_pool_cleanup_t* cleanup = ngx_pool_cleanup_add(r->pool, 0);
  cr_ctx_t* ctx = cr_worker.free;
  if (cleanup == NULL) return NULL;
  if (ctx != NULL) {
    cr_worker.free = ctx->next;
  } else if ((ctx = ngx_alloc(sizeof(cr_ctx_t), ngx_cycle->log)) == NULL) {
    return NULL;
  }
  ngx_memzero(ctx, offsetof(cr_ctx_t, routed_ns));
  ctx->request = r;
  ctx->rule = rule;
  cleanup->handler = end_request;
  cleanup->data = ctx;
  ngx_http_set_ctx(r, ctx, ngx_http_cellroute_module);
  return ctx;
}

static ngx_int_t refuse(ngx_http_request_t* r, cr_ctx_t* ctx, ngx_uint_t how) {
  const ngx_int_t rc = cr_deny(r, ctx, how);
  if (how == CR_DENIED_ERROR_PAGE) return rc;
  ngx_http_finalize_request(r, rc);
  return NGX_DONE;
}

ngx_int_t cr_decide_handler(ngx_http_request_t* r) {
  const cr_loc_conf_t* conf = ngx_http_get_module_loc_conf(r, ngx_http_cellroute_module);
  if (conf->rule == NULL) return NGX_DECLINED;
  cr_ctx_t* ctx = cr_request_ctx(r);
  if (ctx != NULL && ctx->rule == conf->rule) {
    ngx_http_set_ctx(r, ctx, ngx_http_cellroute_module);
    return NGX_DECLINED;
  }
  const cr_ctx_t* before = ctx;
  if (ctx != NULL) cr_report_rest(ctx);
  ctx = new_ctx(r, conf->rule);
  if (ctx == NULL) return NGX_HTTP_INTERNAL_SERVER_ERROR;
  /* The headers that named the tenant are taken out by now. */
  if (before != NULL && before->rule->tenant && conf->rule->tenant) ctx->key = before->key;
  if (cr_read_rule(r, ctx) != NGX_OK) return NGX_HTTP_INTERNAL_SERVER_ERROR;
  cr_route(ctx);
  if (cr_set_headers(r, ctx) != NGX_OK) return NGX_HTTP_INTERNAL_SERVER_ERROR;
  if (ctx->decision.status != CELLROUTE_STATUS_OK) return refuse(r, ctx, conf->denied);
  return cr_tell_cell(r, ctx) == NGX_OK ? NGX_DECLINED : NGX_HTTP_INTERNAL_SERVER_ERROR;
}
