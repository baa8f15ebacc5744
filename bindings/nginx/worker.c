/* A worker's router. It is made, and serves, before the worker takes its first connection. */
#include "module.h"

#include <sys/random.h>

cr_worker_t cr_worker;

/* Nanoseconds by nginx's clock, which a worker reads once a turn of its events. */
static void gate_of(const cr_main_conf_t* conf, uint64_t generation, ngx_uint_t gated,
                    cellroute_publish_options* options) {
  const cr_zone_t* zone = conf->zone->data;
  cellroute_publish_options_default(options, sizeof *options);
  options->max_moved_percent = (uint32_t)conf->max_moved;
  options->max_cells_lost = (uint32_t)conf->max_cells_lost;
  /* What a worker serves already has passed the gate, step by step. */
  if (gated && generation > __atomic_load_n(&zone->shared->generation, __ATOMIC_ACQUIRE)) return;
  options->max_moved_percent = 100;
  options->max_cells_lost = UINT32_MAX;
  options->allow_seed_change = 1;
  options->max_keys_lost_percent = gated ? options->max_keys_lost_percent : 100;
}

static void note_generation(cr_shared_t* shared, uint64_t generation) {
  uint64_t seen = __atomic_load_n(&shared->generation, __ATOMIC_RELAXED);
  while (seen < generation && !__atomic_compare_exchange_n(&shared->generation, &seen, generation,
                                                           1, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
  }
}

ngx_int_t cr_worker_publish(const cellroute_topology* topology, const cr_mappings_t* mappings,
                            ngx_uint_t gated, cellroute_error* error) {
  const cr_zone_t* zone = cr_worker.conf->zone->data;
  cellroute_publish_options options;
  uint64_t generation = 0;
  cellroute_topology_generation(topology, &generation);
  gate_of(cr_worker.conf, generation, gated, &options);
  options.mappings = mappings->store;
  options.now_ns = cr_now();
  if (cellroute_router_publish(cr_worker.router, topology, &options, error) != CELLROUTE_OK) {
    return NGX_ERROR;
  }
  cr_worker.topology = topology;
  note_generation(zone->shared, generation);
  return NGX_OK;
}

cr_view_t* cr_worker_renew_view(void) {
  cr_view_t* before = cr_worker.view;
  cr_view_t* view = cr_view_create(cr_worker.router, cr_worker.cells, ngx_cycle->log);
  if (view == NULL) return before;
  cr_addresses_t* incoming = __atomic_load_n(&cr_worker.incoming, __ATOMIC_ACQUIRE);
  if (incoming != NULL && incoming->generation == view->generation) {
    view->addresses = incoming;
    __atomic_store_n(&cr_worker.incoming, NULL, __ATOMIC_RELEASE);
  } else if (before != NULL && before->generation == view->generation) {
    view->addresses = before->addresses;
    if (view->addresses != NULL) ++view->addresses->held;
  }
  cr_view_release(before);
  cr_worker.view = view;
  return view;
}

cr_view_t* cr_worker_view(uint64_t generation) {
  cr_view_t* view = cr_worker.view;
  return view != NULL && view->generation == generation ? view : cr_worker_renew_view();
}

static ngx_int_t fail(ngx_cycle_t* cycle, const char* what, const cellroute_error* error) {
  ngx_log_error(NGX_LOG_EMERG, cycle->log, 0, "cellroute: %s: %s", what, error->text);
  return NGX_ERROR;
}

static ngx_int_t start_router(ngx_cycle_t* cycle, cr_main_conf_t* conf) {
  cellroute_error error = {.struct_size = sizeof error};
  const cr_zone_t* zone = conf->zone->data;
  if (cellroute_router_create(&zone->options, &cr_worker.router, &error) != CELLROUTE_OK) {
    return fail(cycle, "the zone does not serve", &error);
  }
  if (conf->metrics && cellroute_metrics_create(cr_worker.router, zone->metrics, zone->metrics_size,
                                                &cr_worker.metrics, &error) != CELLROUTE_OK) {
    fail(cycle, "nothing is counted", &error);
  }
  cr_worker.conf = conf;
  cr_worker.cells = zone->options.cells;
  cr_worker.lane = (uint32_t)(ngx_worker % zone->options.lanes);
  if (conf->mappings.len != 0 && cr_mappings_open(conf, &cr_worker.mappings, &error) != NGX_OK) {
    return fail(cycle, "the mappings do not open", &error);
  }
  cr_worker.incoming = conf->addresses;
  conf->addresses = NULL;
  if (cr_worker_publish(conf->checked, &cr_worker.mappings, 0, &error) != NGX_OK) {
    return fail(cycle, "the topology does not serve", &error);
  }
  return NGX_OK;
}

/* Without a snapshot every request is answered UNAVAILABLE: a worker that ended here would be
 * started again, and again. */
ngx_int_t cr_worker_start(ngx_cycle_t* cycle) {
  if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE) return NGX_OK;
  cr_main_conf_t* conf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_cellroute_module);
  if (conf == NULL || conf->checked == NULL) return NGX_OK;
  uint64_t seeds[2];
  if (getrandom(seeds, sizeof seeds, 0) != sizeof seeds) return NGX_ERROR;
  cr_seed_ids(seeds[0], seeds[1]);
  cr_read_names();
  cr_hash_headers();
  start_router(cycle, conf);
  return cr_worker.router == NULL ? NGX_OK : cr_refresh_start(cycle);
}

/* nginx has ended the threads of its pools before. */
void cr_worker_stop(ngx_cycle_t* cycle) {
  while (cr_worker.free != NULL) {
    cr_ctx_t* next = cr_worker.free->next;
    ngx_free(cr_worker.free);
    cr_worker.free = next;
  }
  cr_view_release(cr_worker.view);
  cr_addresses_release(cr_worker.incoming);
  cellroute_metrics_destroy(cr_worker.metrics);
  cellroute_router_destroy(cr_worker.router);
  cr_mappings_close(&cr_worker.mappings);
  cellroute_topology_destroy(cr_worker.refreshed);
  ngx_memzero(&cr_worker, sizeof cr_worker);
}
