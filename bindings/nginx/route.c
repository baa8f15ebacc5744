/* What the library is asked, and the names of what it answers. */
#include "module.h"

#include <math.h>
#include <stdlib.h>

#define CR_MOST_REASONS 1024
#define CR_MOST_STATUSES 16
#define CR_MOST_FLAGS 16

static ngx_str_t reason_names[CR_MOST_REASONS];
static ngx_str_t status_names[CR_MOST_STATUSES];
static ngx_uint_t http_statuses[CR_MOST_STATUSES];
static const ngx_str_t unknown = ngx_string("UNKNOWN");

void cr_read_names(void) {
  cellroute_reason_info reason = {.struct_size = sizeof reason};
  cellroute_status_info status = {.struct_size = sizeof status};
  for (uint32_t i = 0; cellroute_reason_at(i, &reason) == CELLROUTE_OK; ++i) {
    if (reason.reason < CR_MOST_REASONS) reason_names[reason.reason] = cr_str_of(reason.name);
  }
  for (uint32_t i = 0; cellroute_status_at(i, &status) == CELLROUTE_OK; ++i) {
    if (status.status >= CR_MOST_STATUSES) continue;
    status_names[status.status] = cr_str_of(status.name);
    http_statuses[status.status] = status.http_status;
  }
}

const ngx_str_t* cr_reason_name(uint32_t reason) {
  const ngx_uint_t known = reason < CR_MOST_REASONS && reason_names[reason].len != 0;
  return known ? &reason_names[reason] : &unknown;
}

const ngx_str_t* cr_status_name(uint32_t status) {
  const ngx_uint_t known = status < CR_MOST_STATUSES && status_names[status].len != 0;
  return known ? &status_names[status] : &unknown;
}

ngx_uint_t cr_http_status(uint32_t status) {
  const ngx_uint_t known = status < CR_MOST_STATUSES && http_statuses[status] != 0;
  return known ? http_statuses[status] : NGX_HTTP_INTERNAL_SERVER_ERROR;
}

ngx_int_t cr_evaluate_given(ngx_http_request_t* r, const cr_value_t* value, ngx_str_t* text) {
  if (value->text != NULL) return ngx_http_complex_value(r, value->text, text);
  const ngx_http_variable_value_t* found = ngx_http_get_flushed_variable(r, value->variable);
  if (found == NULL || found->not_found) return NGX_OK;
  text->data = found->data;
  text->len = found->len;
  return NGX_OK;
}

/* No number is none of the library's either, and it says so. */
static double read_risk(const ngx_str_t* text) {
  char digits[32];
  char* end = NULL;
  if (text->len == 0) return 0;
  if (text->len >= sizeof digits) return NAN;
  ngx_cpystrn((u_char*)digits, text->data, text->len + 1);
  const double risk = strtod(digits, &end);
  return end == digits + text->len ? risk : NAN;
}

/* Names between commas or blanks. */
static uint32_t split(const ngx_str_t* text, cellroute_view* flags) {
  uint32_t count = 0;
  size_t begin = 0;
  for (size_t i = 0; i <= text->len; ++i) {
    if (i < text->len && text->data[i] != ',' && text->data[i] != ' ') continue;
    if (i > begin && count <= CR_MOST_FLAGS) {
      flags[count].data = (const char*)text->data + begin;
      flags[count++].size = i - begin;
    }
    begin = i + 1;
  }
  return count;
}

typedef struct {
  ngx_str_t tier, region, plan, flags;
} names_t;

/* False: one of them is not known; the decision says which. */
static ngx_uint_t resolve(const names_t* names, cellroute_profile* profile,
                          cellroute_decision* decision) {
  cellroute_view flags[CR_MOST_FLAGS + 1];
  cellroute_error error = {.struct_size = sizeof error};
  cellroute_profile_names asked = {
      .struct_size = sizeof asked,
      .flag_count = split(&names->flags, flags),
      .tier = cr_view_of(&names->tier),
      .region = cr_view_of(&names->region),
      .plan = cr_view_of(&names->plan),
      .flags = flags,
  };
  const int32_t code = cellroute_router_profile(cr_worker.router, &asked, profile, &error);
  if (code == CELLROUTE_OK) return 1;
  const ngx_uint_t no_snapshot = code == CELLROUTE_E_NO_SNAPSHOT;
  decision->status = no_snapshot ? CELLROUTE_STATUS_UNAVAILABLE : CELLROUTE_STATUS_INVALID_ARGUMENT;
  decision->reason = no_snapshot                        ? CR_REASON_NO_SNAPSHOT
                     : code == CELLROUTE_E_UNKNOWN_NAME ? error.reason
                                                        : CR_REASON_MALFORMED;
  return 0;
}

/* The names, each with its length: no two profiles have equal bytes. 0: they are too long to keep.
 */
static size_t write_names(const names_t* names, u_char* buffer, size_t room) {
  const ngx_str_t* all[] = {&names->tier, &names->region, &names->plan, &names->flags};
  size_t size = 0;
  for (size_t i = 0; i < 4; ++i) {
    if (all[i]->len > 255 || size + 1 + all[i]->len > room) return 0;
    buffer[size++] = (u_char)all[i]->len;
    if (all[i]->len != 0) ngx_memcpy(buffer + size, all[i]->data, all[i]->len);
    size += all[i]->len;
  }
  return size;
}

static ngx_int_t read_names(const cr_ctx_t* ctx, names_t* names) {
  const cr_rule_t* rule = ctx->rule;
  return cr_evaluate(ctx->request, &rule->tier, &names->tier) == NGX_OK &&
                 cr_evaluate(ctx->request, &rule->region, &names->region) == NGX_OK &&
                 cr_evaluate(ctx->request, &rule->plan, &names->plan) == NGX_OK &&
                 cr_evaluate(ctx->request, &rule->flags, &names->flags) == NGX_OK
             ? NGX_OK
             : NGX_ERROR;
}

/* Of few profiles a worker sees many requests: one resolved is kept until the generation changes.
 */
static ngx_uint_t find_named(cr_ctx_t* ctx, ngx_uint_t anew) {
  cr_profile_t made;
  names_t names;
  cr_rule_t* rule = ctx->rule;
  if (read_names(ctx, &names) != NGX_OK) {
    ctx->decision.reason = CR_REASON_NO_SNAPSHOT;
    return 0;
  }
  made.size = write_names(&names, made.names, sizeof made.names);
  ngx_uint_t place = 0;
  for (size_t i = 0; i < made.size; ++i) place = ngx_hash(place, made.names[i]);
  cr_profile_t* kept = &rule->profiles[place % CR_PROFILES];
  if (!anew && made.size != 0 && kept->size == made.size &&
      ngx_memcmp(kept->names, made.names, made.size) == 0) {
    ctx->profile = kept->profile;
    return 1;
  }
  if (!resolve(&names, &made.profile, &ctx->decision)) return 0;
  if (made.size != 0) *kept = made;
  ctx->profile = made.profile;
  return 1;
}

static ngx_uint_t find_profile(cr_ctx_t* ctx, ngx_uint_t anew) {
  static const names_t none;
  cr_rule_t* rule = ctx->rule;
  if (rule->named) return find_named(ctx, anew);
  if (anew || rule->nameless.generation == 0) {
    if (!resolve(&none, &rule->nameless, &ctx->decision)) return 0;
  }
  ctx->profile = rule->nameless;
  return 1;
}

ngx_int_t cr_read_rule(ngx_http_request_t* r, cr_ctx_t* ctx) {
  ngx_str_t risk;
  if ((!ctx->rule->tenant && cr_evaluate(r, &ctx->rule->key, &ctx->key) != NGX_OK) ||
      cr_evaluate(r, &ctx->rule->resource, &ctx->resource) != NGX_OK ||
      cr_evaluate(r, &ctx->rule->risk, &risk) != NGX_OK) {
    return NGX_ERROR;
  }
  ctx->risk = read_risk(&risk);
  return ctx->rule->tenant && ctx->key.len == 0 ? cr_extract(r, ctx) : NGX_OK;
}

static cellroute_request request_of(const cr_ctx_t* ctx) {
  const ngx_uint_t safe = NGX_HTTP_GET | NGX_HTTP_HEAD;
  cellroute_request request = {
      .struct_size = sizeof request,
      .lane = cr_worker.lane,
      .key = cr_view_of(&ctx->key),
      .resource = cr_view_of(&ctx->resource),
      .profile = ctx->profile,
      .risk = ctx->risk,
      .access = (ctx->request->method & safe) != 0 ? CELLROUTE_READ : CELLROUTE_WRITE,
      .tried_count = ctx->tried_count,
      .tried = ctx->tried,
  };
  return request;
}

static void hold_view(cr_ctx_t* ctx) {
  cr_view_t* view = cr_worker_view(ctx->decision.generation);
  if (view == ctx->view || ctx->decision.generation == 0) return;
  if (view != NULL) ++view->held;
  cr_view_release(ctx->view);
  ctx->view = view;
}

/* Asks once more where the profile is of an earlier generation than the one that serves. */
static void decide(cr_ctx_t* ctx) {
  cellroute_decision* decision = &ctx->decision;
  if (cr_worker.router == NULL) {
    decision->reason = CR_REASON_NO_SNAPSHOT;
    return;
  }
  for (ngx_uint_t anew = 0; anew < 2; ++anew) {
    if (!find_profile(ctx, anew)) return;
    const cellroute_request request = request_of(ctx);
    if (cellroute_route(cr_worker.router, &request, ctx->routed_ns, decision) != CELLROUTE_OK) {
      return;
    }
    if (decision->reason != CR_REASON_STALE) break;
  }
  hold_view(ctx);
}

void cr_route(cr_ctx_t* ctx) {
  cellroute_decision* decision = &ctx->decision;
  ctx->reported = 0;
  ctx->connected = 0;
  ctx->addresses_tried = 0;
  ctx->routed_ns = cr_now();
  if (decision->reason == 0 || ctx->tried_count != 0) {
    decision->struct_size = sizeof *decision;
    decision->cell = CELLROUTE_NO_CELL;
    decision->status = CELLROUTE_STATUS_UNAVAILABLE;
    decision->reason = 0;
    decide(ctx);
  }
  ctx->cell = cr_view_cell(ctx->view, decision->cell);
  if (decision->status == CELLROUTE_STATUS_OK && ctx->cell == NULL) {
    /* It went with a topology that came between the decision and its names. */
    cr_report(ctx, CELLROUTE_CLIENT_ABORT, 0, ctx->routed_ns);
    ctx->reported = 0;
    decide(ctx);
    ctx->cell = cr_view_cell(ctx->view, decision->cell);
  }
  if (decision->status != CELLROUTE_STATUS_OK) cr_observe(ctx, NULL, ctx->routed_ns);
}

ngx_uint_t cr_elsewhere(cr_ctx_t* ctx) {
  cellroute_decision decision = {.struct_size = sizeof decision};
  const cellroute_request request = request_of(ctx);
  return ctx->tried_count < CR_MAX_TRIED &&
         cellroute_locate(cr_worker.router, &request, cr_now(), &decision) == CELLROUTE_OK &&
         decision.status == CELLROUTE_STATUS_OK;
}
