/* The answer where no cell serves: a status, when to come again, and nothing internal. */
#include "module.h"

#define CR_SECOND 1000000000

static ngx_int_t add_header(ngx_http_request_t* r, const char* name, const ngx_str_t* value) {
  ngx_table_elt_t* header = ngx_list_push(&r->headers_out.headers);
  if (header == NULL) return NGX_ERROR;
  header->hash = 1;
  header->key.data = (u_char*)name;
  header->key.len = ngx_strlen(name);
  header->value = *value;
  return NGX_OK;
}

/* In whole seconds, so that nobody comes too early (RFC 9110, 10.2.3). */
static ngx_int_t add_retry_after(ngx_http_request_t* r, int64_t nanoseconds) {
  ngx_str_t value;
  if (nanoseconds <= 0) return NGX_OK;
  value.data = ngx_pnalloc(r->pool, NGX_INT64_LEN);
  if (value.data == NULL) return NGX_ERROR;
  const int64_t seconds = nanoseconds / CR_SECOND + (nanoseconds % CR_SECOND != 0);
  value.len = (size_t)(ngx_sprintf(value.data, "%L", seconds) - value.data);
  return add_header(r, "Retry-After", &value);
}

/* Names have no sign that JSON would escape, and a request id that had one was replaced. */
static ngx_buf_t* body_of(ngx_http_request_t* r, const cr_ctx_t* ctx) {
  const ngx_str_t* code = cr_status_name(ctx->decision.status);
  const ngx_str_t* reason = cr_reason_name(ctx->decision.reason);
  static const char form[] = "{\"code\":\"%V\",\"reason\":\"%V\",\"request_id\":\"%V\"}\n";
  ngx_buf_t* body =
      ngx_create_temp_buf(r->pool, sizeof form + code->len + reason->len + ctx->request_id.len);
  if (body == NULL) return NULL;
  body->last = ngx_sprintf(body->last, form, code, reason, &ctx->request_id);
  body->last_buf = r == r->main;
  body->last_in_chain = 1;
  return body;
}

static ngx_int_t send_json(ngx_http_request_t* r, const cr_ctx_t* ctx, ngx_uint_t status) {
  ngx_buf_t* body = body_of(r, ctx);
  static const ngx_str_t no_store = ngx_string("no-store");
  if (body == NULL || add_header(r, "Cache-Control", &no_store) != NGX_OK) {
    return NGX_HTTP_INTERNAL_SERVER_ERROR;
  }
  r->headers_out.status = status;
  r->headers_out.content_length_n = body->last - body->pos;
  ngx_str_set(&r->headers_out.content_type, "application/json");
  r->headers_out.content_type_len = r->headers_out.content_type.len;
  const ngx_int_t rc = ngx_http_send_header(r);
  if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) return rc;
  ngx_chain_t out = {.buf = body, .next = NULL};
  return ngx_http_output_filter(r, &out);
}

ngx_int_t cr_deny(ngx_http_request_t* r, cr_ctx_t* ctx, ngx_uint_t how) {
  const ngx_uint_t status = cr_http_status(ctx->decision.status);
  const ngx_int_t rc = ngx_http_discard_request_body(r);
  if (rc != NGX_OK) return rc;
  if (add_retry_after(r, ctx->decision.retry_after_ns) != NGX_OK ||
      add_header(r, "X-Request-ID", &ctx->request_id) != NGX_OK) {
    return NGX_HTTP_INTERNAL_SERVER_ERROR;
  }
  return how == CR_DENIED_ERROR_PAGE ? (ngx_int_t)status : send_json(r, ctx, status);
}
