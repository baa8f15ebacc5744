/* The topology and the mappings as a configuration finds them: what is wrong refuses it. */
#include "module.h"

static ngx_int_t refuse(ngx_conf_t* cf, const ngx_str_t* what, const char* text) {
  ngx_log_error(NGX_LOG_EMERG, cf->log, 0, "cellroute: \"%V\" %s", what, text);
  return NGX_ERROR;
}

static void destroy_checked(void* data) {
  cr_main_conf_t* conf = data;
  cellroute_topology_destroy(conf->checked);
  cr_addresses_release(conf->addresses);
}

static ngx_int_t check_topology(ngx_conf_t* cf, cr_main_conf_t* conf) {
  cellroute_error error = {.struct_size = sizeof error};
  ngx_pool_cleanup_t* cleanup = ngx_pool_cleanup_add(cf->pool, 0);
  if (cleanup == NULL) return NGX_ERROR;
  cleanup->handler = destroy_checked;
  cleanup->data = conf;
  if (cellroute_topology_load_file(cr_view_of(&conf->topology), NULL, &conf->checked, &error) !=
      CELLROUTE_OK) {
    return refuse(cf, &conf->topology, error.text);
  }
  /* The log outlives the configuration before, as the addresses do. */
  conf->addresses = cr_addresses_create(conf->checked, &cf->cycle->new_log);
  return conf->addresses != NULL ? NGX_OK : NGX_ERROR;
}

ngx_int_t cr_check_configuration(ngx_conf_t* cf) {
  cr_main_conf_t* conf = ngx_http_conf_get_module_main_conf(cf, ngx_http_cellroute_module);
  if (conf->rules == 0 && conf->topology.len == 0) return NGX_OK;
  if (cellroute_abi_check(CELLROUTE_ABI_VERSION) != CELLROUTE_OK) {
    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "cellroute: libcellroute %s is older than this module: install its own",
                  cellroute_version_string());
    return NGX_ERROR;
  }
  if (conf->topology.len == 0 || conf->zone == NULL) {
    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "cellroute: \"cellroute_topology\" and \"cellroute_zone\" need each other");
    return NGX_ERROR;
  }
  return check_topology(cf, conf);
}

static ngx_int_t open_mappings(const cr_main_conf_t* conf, ngx_log_t* log) {
  cellroute_error error = {.struct_size = sizeof error};
  cr_mappings_t mappings;
  if (cr_mappings_open(conf, &mappings, &error) != NGX_OK) {
    ngx_log_error(NGX_LOG_EMERG, log, 0, "cellroute: \"%V\" %s", &conf->mappings, error.text);
    return NGX_ERROR;
  }
  cr_mappings_close(&mappings);
  return NGX_OK;
}

static ngx_int_t open_as(const ngx_core_conf_t* core, const cr_main_conf_t* conf, ngx_log_t* log) {
  if (initgroups(core->username, core->group) == 0 && setegid(core->group) == 0 &&
      seteuid(core->user) == 0) {
    return open_mappings(conf, log);
  }
  ngx_log_error(NGX_LOG_EMERG, log, ngx_errno, "cellroute: cannot become the workers' user \"%s\"",
                core->username);
  return NGX_ERROR;
}

/* What opening makes belongs to whoever opened it, and a store's files are their owner's alone: the
 * master, who may read all, would be no judge of what its workers can. */
ngx_int_t cr_check_mappings(ngx_cycle_t* cycle, const cr_main_conf_t* conf) {
  const ngx_core_conf_t* core =
      (const ngx_core_conf_t*)ngx_get_conf(cycle->conf_ctx, ngx_core_module);
  if (conf->mappings.len == 0) return NGX_OK;
  if (geteuid() != 0 || !core->master) return open_mappings(conf, cycle->log);
  const gid_t group = getegid();
  const int count = getgroups(0, NULL);
  gid_t* groups = ngx_palloc(cycle->pool, (size_t)(count + 1) * sizeof(gid_t));
  if (groups == NULL || getgroups(count, groups) != count) return NGX_ERROR;
  const ngx_int_t rc = open_as(core, conf, cycle->log);
  const ngx_uint_t back =
      seteuid(0) == 0 && setegid(group) == 0 && setgroups((size_t)count, groups) == 0;
  return back ? rc : NGX_ERROR;
}
