/*
 * cellroute inside nginx. A request's way through the files:
 *
 *   config.c    directives
 *   check.c     what is wrong with a configuration
 *   zone.c      the guards in shared memory
 *   worker.c    a worker's router
 *   mappings.c  the store of explicit mappings
 *   refresh.c   new topologies and mappings, in the thread pool
 *   address.c   endpoints to socket addresses, off the path
 *   view.c      names and addresses for the numbers of a generation
 *   handler.c   a request is decided, after access checks and before its content
 *   tenant.c    whose request it is, by the topology's rules
 *   route.c     what the library is asked
 *   header.c    what the cell is told, and what clients may not tell it
 *   denial.c    the answer where no cell serves
 *   peer.c      the try, the next one, and where there is none
 *   outcome.c   how the try went
 *   variable.c  $cellroute_...
 *   metrics.c   what was counted
 *
 * All of it runs on a worker's own thread, but refresh_task() and what that calls.
 */
#ifndef CELLROUTE_NGINX_MODULE_H
#define CELLROUTE_NGINX_MODULE_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <ngx_thread_pool.h>

#include "cellroute.h"

#pragma GCC visibility push(hidden) /* nginx loads modules into one space of names */

#define CR_MAX_TRIED 7
#define CR_MAX_TRIES (CR_MAX_TRIED + 1)
#define CR_PROFILES 64
#define CR_MAX_CLAIMS 8

#define CR_REASON_STALE 110     /* PROFILE_STALE */
#define CR_REASON_MALFORMED 114 /* MALFORMED_INPUT */
#define CR_REASON_NO_SNAPSHOT 609

/* ---- Configuration ---- */

/* What processes share beside the guards. */
typedef struct {
  uint64_t generation; /* the newest that a worker serves; by atomic operations */
} cr_shared_t;

typedef struct cr_main_conf_s cr_main_conf_t;

typedef struct {
  ngx_cycle_t* cycle; /* of the configuration that named it */
  cr_main_conf_t* conf;
  uint32_t cells;
  cellroute_router_options options; /* with the memory; of all configurations that share it */
  void* metrics;                    /* memory for them, and its size */
  uint64_t metrics_size;
  cr_shared_t* shared;
} cr_zone_t;

typedef struct cr_addresses_s cr_addresses_t;
typedef struct cr_ctx_s cr_ctx_t;

struct cr_main_conf_s {
  ngx_shm_zone_t* zone;
  ngx_str_t topology; /* paths end with a NUL */
  ngx_str_t mappings; /* a URL of cellroute_store_open(); empty: none */
  ngx_str_t
      mapping_files[2]; /* one of them changes when the mappings do; empty: there is no such */
  ngx_uint_t max_moved;
  ngx_uint_t max_cells_lost;
  ngx_msec_t refresh;
  ngx_thread_pool_t* threads;
  cellroute_topology* checked; /* the topology as the configuration found it */
  cr_addresses_t* addresses;   /* of it */
  ngx_uint_t rules;            /* locations that decide */
  ngx_uint_t metrics;          /* a location shows what was counted */
};

/* A profile by its names, one behind the other, each with its length. */
typedef struct {
  u_char names[120];
  size_t size; /* 0: none yet */
  cellroute_profile profile;
} cr_profile_t;

/* Text with variables, as one variable alone where it is no more than that. */
typedef struct {
  ngx_http_complex_value_t* text; /* NULL: not given, or a variable alone */
  ngx_uint_t variable;            /* its index */
  unsigned given : 1;
} cr_value_t;

typedef struct {
  ngx_str_t name;
  cr_value_t value;
} cr_claim_t;

/* A `cellroute` directive; locations that inherit it share it. */
typedef struct {
  ngx_uint_t tenant; /* the key is extracted by the topology's rules */
  ngx_uint_t claim_count;
  cr_claim_t claims[CR_MAX_CLAIMS]; /* of a verified token */
  cr_value_t key, tier, region, plan, flags, risk, resource;
  ngx_uint_t named;           /* whether any of tier, region, plan and flags is given */
  cellroute_profile nameless; /* where no name is given */
  cr_profile_t* profiles;     /* CR_PROFILES, by hash of their names; each worker's own */
} cr_rule_t;

#define CR_DENIED_JSON 0
#define CR_DENIED_ERROR_PAGE 1

typedef struct {
  cr_rule_t* rule; /* NULL: the location decides nothing */
  ngx_uint_t denied;
} cr_loc_conf_t;

extern ngx_module_t ngx_http_cellroute_module;

ngx_int_t cr_add_variables(ngx_conf_t* cf);
char* cr_zone_directive(ngx_conf_t* cf, ngx_command_t* cmd, void* conf);
char* cr_topology_directive(ngx_conf_t* cf, ngx_command_t* cmd, void* conf);
char* cr_mappings_directive(ngx_conf_t* cf, ngx_command_t* cmd, void* conf);
char* cr_rule_directive(ngx_conf_t* cf, ngx_command_t* cmd, void* conf);
char* cr_metrics_directive(ngx_conf_t* cf, ngx_command_t* cmd, void* conf);
char* cr_cells_directive(ngx_conf_t* cf, ngx_command_t* cmd, void* conf);
ngx_int_t cr_check_configuration(ngx_conf_t* cf);
/* As the workers will open them, once it is known whose processes they are. */
ngx_int_t cr_check_mappings(ngx_cycle_t* cycle, const cr_main_conf_t* conf);

/* ---- Addresses ---- */

typedef struct {
  ngx_str_t endpoint; /* as the topology writes it */
  ngx_str_t host;     /* its host[:port]; empty of a unix: one */
  ngx_addr_t* addrs;
  ngx_uint_t addr_count; /* 0: its name has none */
  ngx_uint_t next;       /* whose turn it is */
  unsigned tls : 1;
} cr_address_t;

/* The addresses of all endpoints of a topology, in byte order of the endpoints. */
struct cr_addresses_s {
  ngx_pool_t* pool; /* that all of it is in */
  uint64_t generation;
  ngx_uint_t held;
  cr_address_t* elts;
  ngx_uint_t count;
};

/* Looks names up in the DNS, which may block. A name that has no address is told to `log`, and its
 * cell is as one that cannot be connected to. NULL without memory. */
cr_addresses_t* cr_addresses_create(const cellroute_topology* topology, ngx_log_t* log);
void cr_addresses_release(cr_addresses_t* addresses); /* takes NULL */
cr_address_t* cr_addresses_find(const cr_addresses_t* addresses, cellroute_view endpoint);

/* ---- Views ---- */

typedef struct {
  ngx_str_t id; /* of the snapshot */
  ngx_str_t endpoint;
  cr_address_t* address; /* NULL: there is none */
  unsigned known : 1;
} cr_cell_t;

/* Names and addresses of one generation. Requests hold what they use. */
typedef struct {
  uint64_t generation;
  cellroute_snapshot* snapshot;
  cr_addresses_t* addresses; /* NULL: the cells have none */
  ngx_uint_t held;
  ngx_uint_t tenant; /* it has rules to find tenants by, and headers that its cells trust */
  uint32_t cell_count;
  cr_cell_t cells[1]; /* by number, looked up when first asked for */
} cr_view_t;

cr_view_t* cr_view_create(cellroute_router* router, uint32_t cells, ngx_log_t* log);
void cr_view_release(cr_view_t* view); /* takes NULL */
/* Into its place in `view`. NULL: the generation has no such cell. */
cr_cell_t* cr_view_look_up(cr_view_t* view, uint32_t number);

/* NULL: the generation has no such cell. */
static inline cr_cell_t* cr_view_cell(cr_view_t* view, uint32_t number) {
  if (view == NULL || number >= view->cell_count) return NULL;
  return view->cells[number].known ? &view->cells[number] : cr_view_look_up(view, number);
}

/* ---- Mappings ---- */

typedef struct {
  ngx_file_uniq_t inode;
  u_char head[256]; /* of a mapping file: what its format says */
} cr_mappings_id_t;

typedef struct {
  cellroute_store* store; /* NULL: none */
  cr_mappings_id_t id;
} cr_mappings_t;

ngx_int_t cr_mappings_name_files(ngx_pool_t* pool, const ngx_str_t* path, cr_main_conf_t* conf);
ngx_int_t cr_mappings_open(const cr_main_conf_t* conf, cr_mappings_t* mappings,
                           cellroute_error* error);
void cr_mappings_close(cr_mappings_t* mappings);
/* Whether what lies there is what was opened, though it may have newer records. */
ngx_uint_t cr_mappings_there(const cr_main_conf_t* conf, const cr_mappings_t* mappings);
/* Takes those; the codes of cellroute_store_refresh(). */
int32_t cr_mappings_refresh(const cr_main_conf_t* conf, const cr_mappings_t* mappings,
                            cellroute_error* error);

/* ---- Workers ---- */

typedef struct {
  cr_main_conf_t* conf; /* NULL: this process routes nothing */
  cellroute_router* router;
  cellroute_metrics* metrics;         /* NULL: nothing is counted */
  cr_mappings_t mappings;             /* the last good ones */
  const cellroute_topology* topology; /* what serves; NULL: nothing does */
  cellroute_topology* refreshed;      /* the same where it is not the configuration's */
  cr_view_t* view;
  cr_ctx_t* free;
  cr_addresses_t* incoming; /* of a topology that is about to serve */
  uint32_t cells;
  uint32_t lane;
  uint64_t id_seed; /* of request ids */
  uint64_t id_count;
  u_char id_worker[16]; /* their first half */
} cr_worker_t;

extern cr_worker_t cr_worker;

ngx_int_t cr_worker_start(ngx_cycle_t* cycle);
void cr_worker_stop(ngx_cycle_t* cycle);
ngx_int_t cr_worker_publish(const cellroute_topology* topology, const cr_mappings_t* mappings,
                            ngx_uint_t gated, cellroute_error* error);
/* The view of what serves; NULL: nothing does, or there is no memory. */
cr_view_t* cr_worker_view(uint64_t generation);
/* Takes a new one, so that memory of mappings that serve no longer can go. */
cr_view_t* cr_worker_renew_view(void);
ngx_int_t cr_refresh_start(ngx_cycle_t* cycle);

static inline int64_t cr_now(void) {
  const ngx_time_t* now = ngx_timeofday();
  return (int64_t)now->sec * 1000000000 + (int64_t)now->msec * 1000000;
}

/* ---- Requests ---- */

/* Kept for the next request when one ends: a request's own pool would take another block for it. */
struct cr_ctx_s {
  cr_ctx_t* next; /* that is free */
  ngx_http_request_t* request;
  cr_rule_t* rule;
  cr_view_t* view; /* held */
  cellroute_decision decision;
  cr_cell_t* cell; /* of the decision, in `view`; NULL: it names none */
  ngx_str_t key;
  ngx_str_t resource;
  ngx_str_t request_id;
  ngx_table_elt_t* cell_header;
  ngx_table_elt_t* epoch_header;
  uint32_t tried_count;
  uint32_t addresses_tried; /* of the cell, that did not take a connection */
  unsigned reported : 1;    /* the ticket is spent */
  unsigned connected : 1;   /* it was used for a try */

  int64_t routed_ns; /* when it was decided; from here on nothing is zeroed for a request */
  double risk;
  cellroute_profile profile;
  u_char new_id[32]; /* where the client gave none */
  uint32_t tried[CR_MAX_TRIED];
};

/* Looks for it where a module's context is no longer. */
cr_ctx_t* cr_find_ctx(const ngx_http_request_t* r);

/* The decision of a request, found again after internal redirects; NULL: none was made. */
static inline cr_ctx_t* cr_request_ctx(const ngx_http_request_t* r) {
  cr_ctx_t* ctx = ngx_http_get_module_ctx(r, ngx_http_cellroute_module);
  return ctx != NULL || (!r->internal && !r->filter_finalize) ? ctx : cr_find_ctx(r);
}

ngx_int_t cr_decide_handler(ngx_http_request_t* r);

/* `value` is given. Empty where it is a variable that is not there. */
ngx_int_t cr_evaluate_given(ngx_http_request_t* r, const cr_value_t* value, ngx_str_t* text);
/* Reads the rule's values into `ctx`; where there is no tenant the decision is made by that. */
ngx_int_t cr_read_rule(ngx_http_request_t* r, cr_ctx_t* ctx);
ngx_int_t cr_extract(ngx_http_request_t* r, cr_ctx_t* ctx);
void cr_route(cr_ctx_t* ctx);
/* Whether a cell would take the request that has not tried it yet. Reserves nothing. */
ngx_uint_t cr_elsewhere(cr_ctx_t* ctx);

void cr_hash_headers(void);
/* New request ids: the worker's half, then a half that this worker gives once. */
void cr_seed_ids(uint64_t worker, uint64_t seed);
ngx_int_t cr_set_headers(ngx_http_request_t* r, cr_ctx_t* ctx);
ngx_int_t cr_tell_cell(ngx_http_request_t* r, cr_ctx_t* ctx);
ngx_int_t cr_deny(ngx_http_request_t* r, cr_ctx_t* ctx, ngx_uint_t how);

void cr_report(cr_ctx_t* ctx, uint32_t end, ngx_uint_t http_status, int64_t ended_ns);
/* How the try of `pc` went, which ended in `state`; false: its connection was an old one that the
 * cell had closed, which says nothing. */
ngx_uint_t cr_report_try(ngx_http_request_t* r, cr_ctx_t* ctx, ngx_peer_connection_t* pc,
                         ngx_uint_t state);
void cr_report_rest(cr_ctx_t* ctx);
void cr_observe(const cr_ctx_t* ctx, const cellroute_outcome* outcome, int64_t ended_ns);

const ngx_str_t* cr_reason_name(uint32_t reason);
const ngx_str_t* cr_status_name(uint32_t status);
ngx_uint_t cr_http_status(uint32_t status);
void cr_read_names(void);

#pragma GCC visibility pop

static inline cellroute_view cr_view_of(const ngx_str_t* text) {
  cellroute_view view = {(const char*)text->data, text->len};
  return view;
}

/* Empty where it is not given, as well. */
static inline ngx_int_t cr_evaluate(ngx_http_request_t* r, const cr_value_t* value,
                                    ngx_str_t* text) {
  ngx_str_null(text);
  return value->given ? cr_evaluate_given(r, value, text) : NGX_OK;
}

static inline ngx_str_t cr_str_of(cellroute_view view) {
  ngx_str_t text = {view.size, (u_char*)view.data};
  return text;
}

#endif
