/* `cellroute_metrics`: what all workers counted, as Prometheus text. */
#include "module.h"

#define CR_SLACK 4096 /* what the text may grow by between two calls */

static ngx_int_t send_text(ngx_http_request_t* r, ngx_buf_t* body) {
  static ngx_str_t type = ngx_string(CELLROUTE_METRICS_CONTENT_TYPE);
  body->last_buf = r == r->main;
  body->last_in_chain = 1;
  r->headers_out.status = NGX_HTTP_OK;
  r->headers_out.content_length_n = body->last - body->pos;
  r->headers_out.content_type = type;
  r->headers_out.content_type_len = type.len;
  const ngx_int_t rc = ngx_http_send_header(r);
  if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) return rc;
  ngx_chain_t out = {.buf = body, .next = NULL};
  return ngx_http_output_filter(r, &out);
}

static ngx_int_t answer(ngx_http_request_t* r) {
  size_t size = 0;
  if ((r->method & (NGX_HTTP_GET | NGX_HTTP_HEAD)) == 0) return NGX_HTTP_NOT_ALLOWED;
  const ngx_int_t rc = ngx_http_discard_request_body(r);
  if (rc != NGX_OK) return rc;
  if (cr_worker.metrics == NULL ||
      cellroute_metrics_write(cr_worker.metrics, cr_worker.router, NULL, cr_now(), NULL, 0, &size,
                              NULL) != CELLROUTE_OK) {
    return NGX_HTTP_SERVICE_UNAVAILABLE;
  }
  ngx_buf_t* body = ngx_create_temp_buf(r->pool, size + CR_SLACK);
  if (body == NULL) return NGX_HTTP_INTERNAL_SERVER_ERROR;
  if (cellroute_metrics_write(cr_worker.metrics, cr_worker.router, NULL, cr_now(), (char*)body->pos,
                              size + CR_SLACK, &size, NULL) != CELLROUTE_OK) {
    return NGX_HTTP_SERVICE_UNAVAILABLE;
  }
  body->last = body->pos + size;
  return send_text(r, body);
}

/* cellroute_metrics; */
char* cr_metrics_directive(ngx_conf_t* cf, ngx_command_t* cmd, void* conf) {
  ngx_http_core_loc_conf_t* location = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
  cr_main_conf_t* main_conf = ngx_http_conf_get_module_main_conf(cf, ngx_http_cellroute_module);
  location->handler = answer;
  main_conf->metrics = 1;
  return NGX_CONF_OK;
}

/* Counts a decision and, where it is not NULL, how its call went. Costs nothing where no location
 * shows it. */
void cr_observe(const cr_ctx_t* ctx, const cellroute_outcome* outcome, int64_t ended_ns) {
  if (cr_worker.metrics == NULL) return;
  cellroute_metrics_observe(cr_worker.metrics, cr_worker.lane, &ctx->decision, outcome,
                            ended_ns - ctx->routed_ns);
}
