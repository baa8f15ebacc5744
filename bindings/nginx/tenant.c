/* Whose request it is, by the topology's own rules: what the library reads is what the client sent,
 * not what nginx made of it. */
#include "module.h"

/* The request line's second word. nginx keeps of an absolute URI no more than its path. */
static cellroute_view target_of(const ngx_http_request_t* r) {
  const u_char* end = r->request_line.data + r->request_line.len;
  const u_char* begin = r->request_line.data + r->method_name.len;
  if (r->http_version >= NGX_HTTP_VERSION_20) return cr_view_of(&r->unparsed_uri);
  while (begin < end && *begin == ' ') ++begin;
  if (r->http_version >= NGX_HTTP_VERSION_10) {
    while (end > begin && end[-1] == ' ') --end;
    while (end > begin && end[-1] != ' ') --end;
    while (end > begin && end[-1] == ' ') --end;
  }
  const cellroute_view target = {(const char*)begin, (size_t)(end - begin)};
  return target;
}

static cellroute_field* fields_of(ngx_http_request_t* r, uint32_t* count) {
  const ngx_list_part_t* part;
  ngx_uint_t all = 0;
  for (part = &r->headers_in.headers.part; part; part = part->next) all += part->nelts;
  cellroute_field* fields = ngx_palloc(r->pool, (all + 1) * sizeof(cellroute_field));
  *count = 0;
  if (fields == NULL) return NULL;
  for (part = &r->headers_in.headers.part; part; part = part->next) {
    const ngx_table_elt_t* header = part->elts;
    for (ngx_uint_t i = 0; i < part->nelts; ++i) {
      fields[*count].name = cr_view_of(&header[i].key);
      fields[(*count)++].value = cr_view_of(&header[i].value);
    }
  }
  return fields;
}

static ngx_int_t claims_of(cr_ctx_t* ctx, cellroute_field* claims, uint32_t* count) {
  const cr_rule_t* rule = ctx->rule;
  ngx_str_t value;
  *count = 0;
  for (ngx_uint_t i = 0; i < rule->claim_count; ++i) {
    if (cr_evaluate(ctx->request, &rule->claims[i].value, &value) != NGX_OK) return NGX_ERROR;
    if (value.len == 0) continue;
    claims[*count].name = cr_view_of(&rule->claims[i].name);
    claims[(*count)++].value = cr_view_of(&value);
  }
  return NGX_OK;
}

static void refuse(cr_ctx_t* ctx, uint32_t status, uint32_t reason) {
  ctx->decision.struct_size = sizeof ctx->decision;
  ctx->decision.cell = CELLROUTE_NO_CELL;
  ctx->decision.status = status;
  ctx->decision.reason = reason;
}

/* The key into `ctx`; where there is none the decision says why. */
ngx_int_t cr_extract(ngx_http_request_t* r, cr_ctx_t* ctx) {
  cellroute_field claims[CR_MAX_CLAIMS];
  cellroute_tenant tenant = {.struct_size = sizeof tenant};
  cellroute_http_request request = {.struct_size = sizeof request};
  uint64_t generation = 0;
  if (cr_worker.router == NULL ||
      cellroute_router_generation(cr_worker.router, &generation) != CELLROUTE_OK) {
    refuse(ctx, CELLROUTE_STATUS_UNAVAILABLE, CR_REASON_NO_SNAPSHOT);
    return NGX_OK;
  }
  const cr_view_t* view = cr_worker_view(generation);
  char* buffer = ngx_pnalloc(r->pool, CELLROUTE_MAX_KEY);
  request.headers = fields_of(r, &request.header_count);
  if (view == NULL || buffer == NULL || request.headers == NULL ||
      claims_of(ctx, claims, &request.claim_count) != NGX_OK) {
    return NGX_ERROR;
  }
  request.target = target_of(r);
  request.peer = cr_view_of(&r->connection->addr_text);
  request.claims = claims;
  if (cellroute_extract(view->snapshot, &request, buffer, CELLROUTE_MAX_KEY, &tenant) !=
      CELLROUTE_OK) {
    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "cellroute: the topology has no section \"tenant\" to extract the key by");
    return NGX_ERROR;
  }
  if (tenant.status != CELLROUTE_STATUS_OK) refuse(ctx, tenant.status, tenant.reason);
  ctx->key = cr_str_of(tenant.key);
  return NGX_OK;
}
