/* The guards in nginx's shared memory: limits, breakers and counts of all workers, over reloads. */
#include "module.h"

#define CR_DEFAULT_CELLS 1024
#define CR_MAX_CELLS 65535
#define CR_MOST_KEYS (1u << 26)
#define CR_LEAST_KEYS (1u << 10)

static uint32_t workers_of(ngx_cycle_t* cycle) {
  ngx_core_conf_t* core = (ngx_core_conf_t*)ngx_get_conf(cycle->conf_ctx, ngx_core_module);
  return core->master && core->worker_processes > 0 ? (uint32_t)core->worker_processes : 1;
}

/* The most keys whose limits the rest of the zone has room for. */
static ngx_int_t fit(cellroute_router_options* options, uint64_t room) {
  for (uint32_t keys = CR_MOST_KEYS; keys >= CR_LEAST_KEYS; keys /= 2) {
    options->limiter_entries = keys;
    if (cellroute_router_memory_size(options, &options->memory_size) == CELLROUTE_OK &&
        options->memory_size <= room) {
      return NGX_OK;
    }
  }
  return NGX_DECLINED;
}

/* Whole pages, which the system gave as zeros and nobody has used. */
static ngx_int_t give_memory(ngx_slab_pool_t* slab, cr_zone_t* zone) {
  zone->shared = ngx_slab_calloc(slab, sizeof(cr_shared_t));
  if (zone->shared == NULL) return NGX_ERROR;
  if (cellroute_metrics_memory_size(&zone->options, &zone->metrics_size) != CELLROUTE_OK ||
      zone->metrics_size >= slab->pfree * ngx_pagesize) {
    return NGX_ERROR;
  }
  zone->metrics = ngx_slab_alloc(slab, zone->metrics_size);
  if (zone->metrics == NULL || fit(&zone->options, slab->pfree * ngx_pagesize) != NGX_OK) {
    return NGX_ERROR;
  }
  zone->options.memory = ngx_slab_alloc(slab, zone->options.memory_size);
  return zone->options.memory != NULL ? NGX_OK : NGX_ERROR;
}

static ngx_int_t make_guards(ngx_shm_zone_t* shm, cr_zone_t* zone) {
  if (give_memory((ngx_slab_pool_t*)shm->shm.addr, zone) == NGX_OK) return NGX_OK;
  ngx_log_error(NGX_LOG_EMERG, shm->shm.log, 0,
                "cellroute_zone \"%V\" is too small for the guards and metrics of %uD cells and "
                "%uD workers",
                &shm->shm.name, zone->options.cells, zone->options.lanes);
  return NGX_ERROR;
}

/* Where workers serve already, a reload takes them no step back. */
static ngx_int_t check_generation(const ngx_shm_zone_t* shm, const cr_zone_t* zone,
                                  const cr_shared_t* shared) {
  uint64_t generation = 0;
  const uint64_t serving = __atomic_load_n(&shared->generation, __ATOMIC_ACQUIRE);
  if (zone->conf->checked == NULL) return NGX_OK;
  cellroute_topology_generation(zone->conf->checked, &generation);
  if (generation >= serving) return NGX_OK;
  ngx_log_error(NGX_LOG_EMERG, shm->shm.log, 0,
                "cellroute: \"%V\" is of generation %uL, which is older than %uL, which serves",
                &zone->conf->topology, generation, serving);
  return NGX_ERROR;
}

static ngx_int_t init_zone(ngx_shm_zone_t* shm, void* before) {
  cr_zone_t* zone = shm->data;
  const cr_zone_t* old = before;
  if (cr_check_mappings(zone->cycle, zone->conf) != NGX_OK) return NGX_ERROR;
  zone->options.struct_size = sizeof zone->options;
  zone->options.cells = zone->cells;
  zone->options.lanes = workers_of(zone->cycle);
  if (old == NULL) return make_guards(shm, zone);
  if (old->options.cells != zone->options.cells || old->options.lanes != zone->options.lanes) {
    ngx_log_error(NGX_LOG_EMERG, shm->shm.log, 0,
                  "cellroute_zone \"%V\" holds guards of %uD cells and %uD workers, and cannot "
                  "become one of %uD and %uD: with another name or size its guards start anew",
                  &shm->shm.name, old->options.cells, old->options.lanes, zone->options.cells,
                  zone->options.lanes);
    return NGX_ERROR;
  }
  zone->options = old->options;
  zone->metrics = old->metrics;
  zone->metrics_size = old->metrics_size;
  zone->shared = old->shared;
  return check_generation(shm, zone, zone->shared);
}

static ngx_int_t read_cells(const ngx_str_t* value) {
  if (ngx_strncmp(value->data, "cells=", 6) != 0) return NGX_ERROR;
  const ngx_int_t cells = ngx_atoi(value->data + 6, value->len - 6);
  return cells < 1 || cells > CR_MAX_CELLS ? NGX_ERROR : cells;
}

/* cellroute_zone NAME SIZE [cells=N] */
char* cr_zone_directive(ngx_conf_t* cf, ngx_command_t* cmd, void* conf) {
  cr_main_conf_t* main_conf = conf;
  ngx_str_t* value = cf->args->elts;
  if (main_conf->zone != NULL) return "is duplicate";
  const ssize_t size = ngx_parse_size(&value[2]);
  if (size < (ssize_t)(8 * ngx_pagesize)) {
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "size \"%V\" is none, or below %uz bytes", &value[2],
                       8 * ngx_pagesize);
    return NGX_CONF_ERROR;
  }
  ngx_int_t cells = CR_DEFAULT_CELLS;
  if (cf->args->nelts == 4) cells = read_cells(&value[3]);
  if (cells == NGX_ERROR) {
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\" is not cells=1 to cells=%d", &value[3],
                       CR_MAX_CELLS);
    return NGX_CONF_ERROR;
  }
  cr_zone_t* zone = ngx_pcalloc(cf->pool, sizeof(cr_zone_t));
  if (zone == NULL) return NGX_CONF_ERROR;
  zone->cycle = cf->cycle;
  zone->conf = main_conf;
  zone->cells = (uint32_t)cells;
  main_conf->zone = ngx_shared_memory_add(cf, &value[1], (size_t)size, &ngx_http_cellroute_module);
  if (main_conf->zone == NULL) return NGX_CONF_ERROR;
  main_conf->zone->init = init_zone;
  main_conf->zone->data = zone;
  return NGX_CONF_OK;
}
