/* What the cell is told, and what clients may not tell it: headers that cells trust are taken out
 * of every request, in whatever way they are written, and set anew. */
#include "module.h"

typedef enum { kCellId, kRequestId, kCellEpoch, kTrustedCount } trusted_t;

#define CR_TRUSTED(name, lowcase) \
  { .key = ngx_string(name), .lowcase_key = (u_char*)(lowcase) }

/* As they are set. */
static ngx_table_elt_t trusted_headers[kTrustedCount] = {
    CR_TRUSTED("X-Cell-ID", "x-cell-id"), CR_TRUSTED("X-Request-ID", "x-request-id"),
    CR_TRUSTED("X-Cell-Epoch", "x-cell-epoch")};

void cr_hash_headers(void) {
  for (ngx_uint_t i = 0; i < kTrustedCount; ++i) {
    trusted_headers[i].hash =
        ngx_hash_key(trusted_headers[i].lowcase_key, trusted_headers[i].key.len);
  }
}

#define CR_MAX_REQUEST_ID 128

/* Case does not count, nor do signs: CGI and its like make '_' of all of them. */
static ngx_uint_t same_name(const ngx_str_t* name, const ngx_table_elt_t* header) {
  if (name->len != header->key.len) return 0;
  for (size_t i = 0; i < name->len; ++i) {
    const u_char c = ngx_tolower(name->data[i]);
    const ngx_uint_t sign = !((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'));
    if (c != header->lowcase_key[i] && !(sign && header->lowcase_key[i] == '-')) return 0;
  }
  return 1;
}

static inline trusted_t trusted(const ngx_str_t* name) {
  trusted_t i = 0;
  if ((name->data[0] | 0x20) != 'x' || name->len < sizeof "X-Cell-ID" - 1) return kTrustedCount;
  while (i < kTrustedCount && !same_name(name, &trusted_headers[i])) ++i;
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

/* SplitMix64's finalizer (Steele, Lea, Flood 2014): a bijection, so that nothing comes twice. */
static uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

/* The 32 bits as 8 digits, all at once: a digit a byte, then 39 more where it is above 9. */
static void write_hex(u_char* to, uint32_t bits) {
  uint64_t x = bits;
  x = (x | x << 16) & 0x0000ffff0000ffff;
  x = (x | x << 8) & 0x00ff00ff00ff00ff;
  x = (x | x << 4) & 0x0f0f0f0f0f0f0f0f;
  x += 0x3030303030303030 + ((x + 0x0606060606060606) >> 4 & 0x0101010101010101) * 39;
  ngx_memcpy(to, &x, sizeof x);
}

static void write_hex64(u_char* to, uint64_t bits) {
  write_hex(to, (uint32_t)bits);
  write_hex(to + 8, (uint32_t)(bits >> 32));
}

void cr_seed_ids(uint64_t worker, uint64_t seed) {
  write_hex64(cr_worker.id_worker, worker);
  cr_worker.id_seed = seed;
}

static void new_id(cr_ctx_t* ctx) {
  u_char* id = ctx->new_id;
  ngx_memcpy(id, cr_worker.id_worker, sizeof cr_worker.id_worker);
  write_hex64(id + sizeof cr_worker.id_worker, mix(cr_worker.id_seed + ++cr_worker.id_count));
  ctx->request_id.data = id;
  ctx->request_id.len = sizeof ctx->new_id;
}

/* The trusted headers, without their values, side by side at the list's end. */
static ngx_table_elt_t* push_trusted(ngx_list_t* headers) {
  ngx_list_part_t* last = headers->last;
  if (headers->nalloc - last->nelts < kTrustedCount) {
    last = ngx_pcalloc(headers->pool, sizeof *last);
    if (last == NULL) return NULL;
    last->elts = ngx_palloc(headers->pool, headers->nalloc * headers->size);
    if (last->elts == NULL) return NULL;
    headers->last->next = last;
    headers->last = last;
  }
  ngx_table_elt_t* places = (ngx_table_elt_t*)last->elts + last->nelts;
  ngx_memcpy(places, trusted_headers, sizeof trusted_headers);
  last->nelts += kTrustedCount;
  return places;
}

static ngx_uint_t topology_trusts(const ngx_str_t* name, const cellroute_snapshot* snapshot) {
  uint32_t told = 0;
  cellroute_is_trusted_header(snapshot, cr_view_of(name), &told);
  return told;
}

/* One of the three, or one that the topology says its cells trust; `rules` is NULL where it has no
 * say. */
static inline ngx_uint_t taken_out(const ngx_str_t* name, const cellroute_snapshot* rules) {
  return trusted(name) != kTrustedCount || (rules != NULL && topology_trusts(name, rules));
}

typedef struct {
  ngx_uint_t all, trusted, ids;
  ngx_str_t id; /* the last that was written as X-Request-ID */
} seen_t;

static seen_t look_through(const ngx_list_t* headers, const cellroute_snapshot* rules) {
  seen_t seen;
  ngx_memzero(&seen, sizeof seen);
  for (const ngx_list_part_t* part = &headers->part; part; part = part->next) {
    const ngx_table_elt_t* header = part->elts;
    seen.all += part->nelts;
    for (ngx_uint_t i = 0; i < part->nelts; ++i) {
      if (!taken_out(&header[i].key, rules)) continue;
      ++seen.trusted;
      const trusted_t name = trusted(&header[i].key);
      if (name != kRequestId ||
          ngx_strncmp(header[i].lowcase_key, trusted_headers[name].lowcase_key,
                      header[i].key.len) != 0) {
        continue;
      }
      ++seen.ids;
      seen.id = header[i].value;
    }
  }
  return seen;
}

/* A list of its own, without those that are trusted. */
static ngx_int_t copy_untrusted(ngx_http_request_t* r, ngx_uint_t all,
                                const cellroute_snapshot* rules) {
  ngx_list_t kept;
  if (ngx_list_init(&kept, r->pool, all + kTrustedCount, sizeof(ngx_table_elt_t)) != NGX_OK) {
    return NGX_ERROR;
  }
  for (const ngx_list_part_t* part = &r->headers_in.headers.part; part; part = part->next) {
    const ngx_table_elt_t* header = part->elts;
    for (ngx_uint_t i = 0; i < part->nelts; ++i) {
      if (taken_out(&header[i].key, rules)) continue;
      ngx_table_elt_t* place = ngx_list_push(&kept);
      if (place == NULL) return NGX_ERROR;
      *place = header[i];
    }
  }
  r->headers_in.headers = kept;
  r->headers_in.headers.last = &r->headers_in.headers.part; /* it has room for all */
  return NGX_OK;
}

/* A request id that the client gave is kept where it is the only one, and well-formed. A
 * subrequest's list is its parent's, so it gets another. */
ngx_int_t cr_set_headers(ngx_http_request_t* r, cr_ctx_t* ctx) {
  ngx_list_t* headers = &r->headers_in.headers;
  const cr_view_t* view = ctx->view != NULL ? ctx->view : cr_worker.view;
  const cellroute_snapshot* rules = view != NULL && view->tenant ? view->snapshot : NULL;
  const seen_t seen = look_through(headers, rules);
  ctx->request_id = seen.id;
  if (seen.ids != 1 || !well_formed(&seen.id)) new_id(ctx);
  if ((seen.trusted != 0 || r != r->main) && copy_untrusted(r, seen.all, rules) != NGX_OK) {
    return NGX_ERROR;
  }
  ngx_table_elt_t* places = push_trusted(headers);
  if (places == NULL) return NGX_ERROR;
  places[kRequestId].value = ctx->request_id;
  ctx->cell_header = &places[kCellId];
  ctx->epoch_header = &places[kCellEpoch];
  return NGX_OK;
}

ngx_int_t cr_tell_cell(ngx_http_request_t* r, cr_ctx_t* ctx) {
  static const ngx_str_t placed = ngx_string("0");
  if (ctx->cell == NULL) return NGX_ERROR;
  ctx->cell_header->value = ctx->cell->id;
  ctx->epoch_header->value = placed;
  if (ctx->decision.epoch == 0) return NGX_OK;
  u_char* epoch = ngx_pnalloc(r->pool, NGX_INT64_LEN);
  if (epoch == NULL) return NGX_ERROR;
  ctx->epoch_header->value.data = epoch;
  ctx->epoch_header->value.len = (size_t)(ngx_sprintf(epoch, "%uL", ctx->decision.epoch) - epoch);
  return NGX_OK;
}
