/* How a try went, told once a ticket. */
#include "module.h"

#define CR_MILLISECOND 1000000
#define CR_CONNECTED ((ngx_msec_t)-1) /* nginx's sign for a time that has not come */

void cr_report(cr_ctx_t* ctx, uint32_t end, ngx_uint_t http_status, int64_t ended_ns) {
  if (ctx->reported || ctx->decision.status != CELLROUTE_STATUS_OK) return;
  const cellroute_outcome outcome = {
      .struct_size = sizeof outcome,
      .end = end,
      .http_status = end == CELLROUTE_ANSWERED && http_status <= 999 ? (uint32_t)http_status : 0,
  };
  ctx->reported = 1;
  cr_observe(ctx, &outcome, ended_ns);
  cellroute_report(cr_worker.router, &ctx->decision.ticket, &outcome, ended_ns);
}

/* The statuses for which nginx may ask the next server. */
static ngx_uint_t passed_on(ngx_uint_t status) {
  return status == 403 || status == 404 || status == 429 || status == 500 ||
         (status >= 502 && status <= 504);
}

static ngx_uint_t timed_out(const ngx_connection_t* c) {
  return c != NULL && (c->read->timedout || c->write->timedout);
}

static ngx_uint_t body_broke(const ngx_http_upstream_t* u, const ngx_connection_t* c) {
  const ngx_event_pipe_t* pipe = u->pipe;
  if (u->buffering && pipe != NULL) {
    return !pipe->upstream_done &&
           (pipe->upstream_error || (pipe->upstream_eof && pipe->length != -1));
  }
  return c != NULL && (c->read->error || (c->read->eof && u->length != 0 && u->length != -1));
}

/* What the cell took to begin its answer. That a client sends its body slowly, reads slowly or
 * stays on a socket for hours is no fault of the cell. */
static int64_t answered_at(const ngx_http_upstream_t* u, const cr_ctx_t* ctx) {
  const int64_t now = cr_now();
  if (u->state == NULL || u->state->header_time == CR_CONNECTED) return now;
  const int64_t at = ctx->routed_ns + (int64_t)u->state->header_time * CR_MILLISECOND;
  return at < now ? at : now;
}

static void report_failed(const ngx_http_upstream_t* u, cr_ctx_t* ctx, const ngx_connection_t* c) {
  const ngx_uint_t status = u->headers_in.status_n;
  if (timed_out(c)) {
    cr_report(ctx, CELLROUTE_TIMEOUT, 0, cr_now());
  } else if (passed_on(status)) {
    cr_report(ctx, CELLROUTE_ANSWERED, status, cr_now());
  } else {
    cr_report(ctx, CELLROUTE_CONNECT_ERROR, 0, cr_now());
  }
}

static void report_ended(ngx_http_request_t* r, cr_ctx_t* ctx, const ngx_connection_t* c) {
  const ngx_http_upstream_t* u = r->upstream;
  const ngx_uint_t status = u->headers_in.status_n;
  if (status == 0) {
    /* The client went, or nginx itself failed before the cell could answer. */
    cr_report(ctx, CELLROUTE_CLIENT_ABORT, 0, cr_now());
  } else if (!u->upgrade && !r->connection->error && timed_out(c)) {
    cr_report(ctx, CELLROUTE_TIMEOUT, 0, cr_now());
  } else if (!u->upgrade && !r->connection->error && body_broke(u, c)) {
    cr_report(ctx, CELLROUTE_CONNECT_ERROR, 0, cr_now());
  } else {
    cr_report(ctx, CELLROUTE_ANSWERED, status, answered_at(u, ctx));
  }
}

ngx_uint_t cr_report_try(ngx_http_request_t* r, cr_ctx_t* ctx, ngx_peer_connection_t* pc,
                         ngx_uint_t state) {
  const ngx_http_upstream_t* u = r->upstream;
  if ((state & (NGX_PEER_FAILED | NGX_PEER_NEXT)) == 0) {
    report_ended(r, ctx, pc->connection);
    return 1;
  }
  const ngx_uint_t stale = pc->cached && !timed_out(pc->connection) &&
                           u->headers_in.status_n == 0 && u->buffer.last == u->buffer.pos;
  if (stale) return 0;
  report_failed(u, ctx, pc->connection);
  return 1;
}

/* A ticket that no try of this module's used up: the content was not proxied, was proxied by
 * $cellroute_endpoint, or the request ended before. */
void cr_report_rest(cr_ctx_t* ctx) {
  if (ctx->reported || ctx->decision.status != CELLROUTE_STATUS_OK) return;
  const ngx_array_t* states = ctx->request->upstream_states;
  ngx_uint_t status = 0;
  if (!ctx->connected && states != NULL && states->nelts > 0) {
    const ngx_http_upstream_state_t* all = states->elts;
    status = all[states->nelts - 1].status;
  }
  if (ctx->connected || status == NGX_HTTP_BAD_GATEWAY) {
    cr_report(ctx, CELLROUTE_CONNECT_ERROR, 0, cr_now());
  } else if (status == NGX_HTTP_GATEWAY_TIME_OUT) {
    cr_report(ctx, CELLROUTE_TIMEOUT, 0, cr_now());
  } else if (status == 0 || status == NGX_HTTP_CLIENT_CLOSED_REQUEST) {
    cr_report(ctx, CELLROUTE_CLIENT_ABORT, 0, cr_now());
  } else {
    cr_report(ctx, CELLROUTE_ANSWERED, status, cr_now());
  }
}
