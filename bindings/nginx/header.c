/* What the cell is told, and what clients may not tell it: headers that cells trust are taken out
 * of every request, in whatever way they are written, and set anew. */
#include "module.h"

typedef enum { kCellId, kRequestId, kCellEpoch, kTrustedCount } trusted_t;

static ngx_str_t trusted_names[kTrustedCount] = {
    ngx_string("X-Cell-ID"), ngx_string("X-Request-ID"), ngx_string("X-Cell-Epoch")};
static ngx_str_t lowcase_names[kTrustedCount] = {
    ngx_string("x-cell-id"), ngx_string("x-request-id"), ngx_string("x-cell-epoch")};

#define CR_MAX_REQUEST_ID 128

/* Case does not count, nor do signs: CGI and its like make '_' of all of them. */
static ngx_uint_t same_name(const ngx_str_t* name, const ngx_str_t* lowcase) {
  if (name->len != lowcase->len) return 0;
  for (size_t i = 0; i < name->len; ++i) {
    const u_char c = ngx_tolower(name->data[i]);
    const ngx_uint_t sign = !((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'));
    if (c != lowcase->data[i] && !(sign && lowcase->data[i] == '-')) return 0;
  }
  return 1;
}

static trusted_t trusted(const ngx_str_t* name) {
  trusted_t i = 0;
  while (i < kTrustedCount && !same_name(name, &lowcase_names[i])) ++i;
  return i;
}

static ngx_uint_t well_formed(const ngx_str_t* id) {
  if (id->len == 0 || id->len > CR_MAX_REQUEST_ID) return 0;
  for (size_t i = 0; i < id->len; ++i) {
    const u_char c = id->data[i];
    const ngx_uint_t letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
    if (!letter && !(c >= '0' && c <= '9') && c != '-' && c != '_' && c != '.') return 0;
  }
  return 1;
}

/* SplitMix64's finalizer (Steele, Lea, Flood 2014): a bijection, so that no id comes twice. */
static uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

static ngx_int_t new_id(ngx_pool_t* pool, ngx_str_t* id) {
  uint64_t words[2];
  ++cr_worker.id_count;
  words[0] = mix(cr_worker.id_seed[0] + cr_worker.id_count);
  words[1] = mix(cr_worker.id_seed[1] ^ words[0]);
  id->len = 2 * sizeof words;
  id->data = ngx_pnalloc(pool, id->len);
  if (id->data == NULL) return NGX_ERROR;
  ngx_hex_dump(id->data, (u_char*)words, sizeof words);
  return NGX_OK;
}

static ngx_table_elt_t* push(ngx_list_t* headers, trusted_t name, const ngx_str_t* value) {
  ngx_table_elt_t* header = ngx_list_push(headers);
  if (header == NULL) return NULL;
  header->key = trusted_names[name];
  header->lowcase_key = lowcase_names[name].data;
  header->hash = ngx_hash_key(lowcase_names[name].data, lowcase_names[name].len);
  header->value = *value;
  return header;
}

/* A list of its own, since a subrequest's is its parent's. A request id that the client gave is
 * kept where it is the only one, and well-formed. */
static ngx_int_t copy_untrusted(ngx_http_request_t* r, ngx_list_t* headers, ngx_str_t* id) {
  ngx_uint_t ids = 0;
  ngx_str_null(id);
  for (const ngx_list_part_t* part = &r->headers_in.headers.part; part; part = part->next) {
    const ngx_table_elt_t* header = part->elts;
    for (ngx_uint_t i = 0; i < part->nelts; ++i) {
      const trusted_t name = trusted(&header[i].key);
      if (name == kRequestId) {
        ++ids;
        *id = header[i].value;
      }
      if (name != kTrustedCount) continue;
      ngx_table_elt_t* kept = ngx_list_push(headers);
      if (kept == NULL) return NGX_ERROR;
      *kept = header[i];
    }
  }
  return ids == 1 && well_formed(id) ? NGX_OK : new_id(r->pool, id);
}

static ngx_uint_t count(const ngx_list_t* list) {
  ngx_uint_t all = 0;
  for (const ngx_list_part_t* part = &list->part; part; part = part->next) all += part->nelts;
  return all;
}

ngx_int_t cr_set_headers(ngx_http_request_t* r, cr_ctx_t* ctx) {
  ngx_list_t headers;
  static const ngx_str_t none = ngx_null_string;
  if (ngx_list_init(&headers, r->pool, count(&r->headers_in.headers) + kTrustedCount,
                    sizeof(ngx_table_elt_t)) != NGX_OK ||
      copy_untrusted(r, &headers, &ctx->request_id) != NGX_OK) {
    return NGX_ERROR;
  }
  ctx->cell_header = push(&headers, kCellId, &none);
  ctx->epoch_header = push(&headers, kCellEpoch, &none);
  if (ctx->cell_header == NULL || ctx->epoch_header == NULL ||
      push(&headers, kRequestId, &ctx->request_id) == NULL) {
    return NGX_ERROR;
  }
  r->headers_in.headers = headers;
  if (headers.last == &headers.part) r->headers_in.headers.last = &r->headers_in.headers.part;
  return NGX_OK;
}

ngx_int_t cr_tell_cell(ngx_http_request_t* r, cr_ctx_t* ctx) {
  const cr_cell_t* cell = cr_view_cell(ctx->view, ctx->decision.cell);
  u_char* epoch = ngx_pnalloc(r->pool, NGX_INT64_LEN);
  if (cell == NULL || epoch == NULL) return NGX_ERROR;
  ctx->cell_header->value = cell->id;
  ctx->epoch_header->value.data = epoch;
  ctx->epoch_header->value.len = (size_t)(ngx_sprintf(epoch, "%uL", ctx->decision.epoch) - epoch);
  return NGX_OK;
}
