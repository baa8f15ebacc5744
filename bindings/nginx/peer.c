/* `cellroute_cells` in upstream{}: the try goes to the cell that was decided; what is tried next,
 * and whether anything is, the library says. */
#include "module.h"

#if (NGX_HTTP_SSL)
static ngx_int_t set_session(ngx_peer_connection_t* pc, void* data) { return NGX_OK; }
static void save_session(ngx_peer_connection_t* pc, void* data) {}
#endif

static cr_address_t* address_of(const cr_ctx_t* ctx) {
  cellroute_view endpoint;
  if (ctx->cell == NULL) return NULL;
  if (ctx->resource.len == 0) return ctx->cell->address;
  if (cellroute_snapshot_endpoint(ctx->view->snapshot, ctx->decision.cell,
                                  cr_view_of(&ctx->resource), &endpoint) != CELLROUTE_OK) {
    return NULL;
  }
  return cr_addresses_find(ctx->view->addresses, endpoint);
}

/* The request is written once more, for a cell of another name. */
static ngx_int_t readdress(ngx_http_request_t* r, cr_ctx_t* ctx) {
  ngx_http_upstream_t* u = r->upstream;
  if (cr_tell_cell(r, ctx) != NGX_OK) return NGX_ERROR;
  u->request_bufs = r->request_body != NULL ? r->request_body->bufs : NULL;
  return u->create_request(r);
}

static ngx_int_t choose_again(ngx_http_request_t* r, cr_ctx_t* ctx) {
  const uint32_t failed = ctx->decision.cell;
  if (ctx->tried_count == CR_MAX_TRIED) return NGX_DECLINED;
  if (ctx->tried_count == 0 || ctx->tried[ctx->tried_count - 1] != failed) {
    ctx->tried[ctx->tried_count++] = failed;
  }
  cr_route(ctx);
  if (ctx->decision.status != CELLROUTE_STATUS_OK) return NGX_DECLINED;
  return readdress(r, ctx);
}

/* nginx asks, before it throws an answer of the cell's away, whether another try is left. */
static ngx_uint_t tries_of(const ngx_http_upstream_t* u, cr_ctx_t* ctx) {
  if ((u->conf->next_upstream & NGX_HTTP_UPSTREAM_FT_STATUS) == 0) return CR_MAX_TRIES;
  if (ctx->tried_count == CR_MAX_TRIED) return 1;
  ctx->tried[ctx->tried_count++] = ctx->decision.cell;
  const ngx_uint_t elsewhere = cr_elsewhere(ctx);
  --ctx->tried_count;
  return elsewhere ? CR_MAX_TRIES : 1;
}

static ngx_int_t get_peer(ngx_peer_connection_t* pc, void* data) {
  cr_ctx_t* ctx = data;
  pc->cached = 0;
  pc->connection = NULL;
  if (ctx->reported) {
    const ngx_int_t rc = choose_again(ctx->request, ctx);
    if (rc == NGX_DECLINED) {
      pc->tries = 0;
      return NGX_BUSY;
    }
    if (rc != NGX_OK) return NGX_ERROR;
    pc->tries = ngx_min(pc->tries, tries_of(ctx->request->upstream, ctx));
  }
  cr_address_t* address = address_of(ctx);
  if (address == NULL || (address->tls && !ctx->request->upstream->ssl)) {
    ngx_log_error(NGX_LOG_ERR, pc->log, 0,
                  address == NULL ? "cellroute: the cell has no endpoint with an address"
                                  : "cellroute: the cell's endpoint is https, proxy_pass is not");
    pc->tries = 0;
    return NGX_BUSY;
  }
  const ngx_addr_t* addr = &address->addrs[address->next++ % address->addr_count];
  pc->sockaddr = addr->sockaddr;
  pc->socklen = addr->socklen;
  pc->name = (ngx_str_t*)&addr->name;
  ctx->connected = 1;
  return NGX_OK;
}

/* A name may have addresses that nobody listens at, as localhost has ::1 for many: one that does
 * not take the connection is no failure of the cell as long as another may. */
static ngx_uint_t has_other_address(const ngx_peer_connection_t* pc, cr_ctx_t* ctx,
                                    ngx_uint_t state) {
  const ngx_connection_t* c = pc->connection;
  const cr_address_t* address = address_of(ctx);
  const ngx_uint_t refused = (state & NGX_PEER_FAILED) != 0 && !pc->cached &&
                             !ctx->request->upstream->request_sent &&
                             (c == NULL || (!c->read->timedout && !c->write->timedout));
  return refused && address != NULL && ++ctx->addresses_tried < address->addr_count;
}

static void free_peer(ngx_peer_connection_t* pc, void* data, ngx_uint_t state) {
  cr_ctx_t* ctx = data;
  if (has_other_address(pc, ctx, state)) return;
  if (pc->tries > 0) --pc->tries;
  /* An old connection that the cell had closed: nginx gives the try back, and the same cell gets it
   * on a new one. */
  if (!cr_report_try(ctx->request, ctx, pc, state)) return;
  if ((state & (NGX_PEER_FAILED | NGX_PEER_NEXT)) == 0) return;
  if (ctx->tried_count < CR_MAX_TRIED) ctx->tried[ctx->tried_count++] = ctx->decision.cell;
  /* So that what went wrong is answered, where there is nobody else to ask. */
  if (pc->tries > 0 && !cr_elsewhere(ctx)) pc->tries = 0;
}

static ngx_int_t init_peer(ngx_http_request_t* r, ngx_http_upstream_srv_conf_t* us) {
  cr_ctx_t* ctx = cr_request_ctx(r);
  if (ctx == NULL) {
    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "cellroute: upstream \"%V\" is asked for by a location without \"cellroute\"",
                  &us->host);
    return NGX_ERROR;
  }
  ngx_peer_connection_t* pc = &r->upstream->peer;
  pc->data = ctx;
  pc->get = get_peer;
  pc->free = free_peer;
  pc->tries = tries_of(r->upstream, ctx);
#if (NGX_HTTP_SSL)
  pc->set_session = set_session;
  pc->save_session = save_session;
#endif
  return NGX_OK;
}

static ngx_int_t init_upstream(ngx_conf_t* cf, ngx_http_upstream_srv_conf_t* us) {
  us->peer.init = init_peer;
  return NGX_OK;
}

/* cellroute_cells; */
char* cr_cells_directive(ngx_conf_t* cf, ngx_command_t* cmd, void* conf) {
  ngx_http_upstream_srv_conf_t* us =
      ngx_http_conf_get_module_srv_conf(cf, ngx_http_upstream_module);
  if (us->peer.init_upstream != NULL) {
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "\"cellroute_cells\" must come first, before \"keepalive\" and instead of "
                       "another balancing method");
    return NGX_CONF_ERROR;
  }
  /* Its servers are the topology's; nginx wants to see one here. */
  ngx_http_upstream_server_t* server = ngx_array_push(us->servers);
  if (server == NULL) return NGX_CONF_ERROR;
  ngx_memzero(server, sizeof *server);
  ngx_str_set(&server->name, "cellroute");
  us->peer.init_upstream = init_upstream;
  us->flags = NGX_HTTP_UPSTREAM_CREATE;
  return NGX_CONF_OK;
}
