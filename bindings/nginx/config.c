/* Directives, and what is wrong with a configuration before anything serves by it. */
#include "module.h"

#define CR_DEFAULT_MAX_MOVED 10
#define CR_DEFAULT_MAX_CELLS_LOST 1
#define CR_DEFAULT_REFRESH 1000

static void* create_main_conf(ngx_conf_t* cf) {
  cr_main_conf_t* conf = ngx_pcalloc(cf->pool, sizeof(cr_main_conf_t));
  if (conf == NULL) return NULL;
  conf->refresh = NGX_CONF_UNSET_MSEC;
  conf->max_moved = CR_DEFAULT_MAX_MOVED;
  conf->max_cells_lost = CR_DEFAULT_MAX_CELLS_LOST;
  return conf;
}

static char* init_main_conf(ngx_conf_t* cf, void* data) {
  cr_main_conf_t* conf = data;
  ngx_conf_init_msec_value(conf->refresh, CR_DEFAULT_REFRESH);
  return NGX_CONF_OK;
}

static void* create_loc_conf(ngx_conf_t* cf) {
  cr_loc_conf_t* conf = ngx_pcalloc(cf->pool, sizeof(cr_loc_conf_t));
  if (conf == NULL) return NULL;
  conf->rule = NGX_CONF_UNSET_PTR;
  conf->denied = NGX_CONF_UNSET_UINT;
  return conf;
}

static char* merge_loc_conf(ngx_conf_t* cf, void* parent, void* child) {
  cr_loc_conf_t* before = parent;
  cr_loc_conf_t* conf = child;
  ngx_conf_merge_ptr_value(conf->rule, before->rule, NULL);
  ngx_conf_merge_uint_value(conf->denied, before->denied, CR_DENIED_JSON);
  return NGX_CONF_OK;
}

static ngx_int_t read_bound(const ngx_str_t* value, const char* name, ngx_int_t most) {
  const size_t size = ngx_strlen(name);
  if (value->len <= size || ngx_strncmp(value->data, name, size) != 0) return NGX_DECLINED;
  size_t digits = value->len - size;
  if (most == 100 && value->data[value->len - 1] == '%') --digits;
  const ngx_int_t number = ngx_atoi(value->data + size, digits);
  return number < 0 || number > most ? NGX_ERROR : number;
}

/* cellroute_topology PATH [max_moved=PERCENT] [max_cells_lost=NUMBER] */
char* cr_topology_directive(ngx_conf_t* cf, ngx_command_t* cmd, void* data) {
  cr_main_conf_t* conf = data;
  ngx_str_t* value = cf->args->elts;
  static ngx_str_t pool = ngx_string("default");
  if (conf->topology.len != 0) return "is duplicate";
  conf->topology = value[1];
  if (ngx_conf_full_name(cf->cycle, &conf->topology, 1) != NGX_OK) return NGX_CONF_ERROR;
  for (ngx_uint_t i = 2; i < cf->args->nelts; ++i) {
    const ngx_int_t moved = read_bound(&value[i], "max_moved=", 100);
    const ngx_int_t lost = read_bound(&value[i], "max_cells_lost=", 65535);
    if (moved >= 0) conf->max_moved = (ngx_uint_t)moved;
    if (lost >= 0) conf->max_cells_lost = (ngx_uint_t)lost;
    if (moved >= 0 || lost >= 0) continue;
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "\"%V\" is neither max_moved=0%% to 100%% nor max_cells_lost=NUMBER",
                       &value[i]);
    return NGX_CONF_ERROR;
  }
  conf->threads = ngx_thread_pool_add(cf, &pool);
  return conf->threads != NULL ? NGX_CONF_OK : NGX_CONF_ERROR;
}

/* cellroute_mappings file:PATH.crm | lmdb:PATH */
char* cr_mappings_directive(ngx_conf_t* cf, ngx_command_t* cmd, void* data) {
  cr_main_conf_t* conf = data;
  ngx_str_t* value = cf->args->elts;
  const u_char* colon = ngx_strlchr(value[1].data, value[1].data + value[1].len, ':');
  if (conf->mappings.len != 0) return "is duplicate";
  if (ngx_strncmp(value[1].data, "file:", 5) != 0 && ngx_strncmp(value[1].data, "lmdb:", 5) != 0) {
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\" is neither file:PATH nor lmdb:PATH",
                       &value[1]);
    return NGX_CONF_ERROR;
  }
  const size_t scheme = (size_t)(colon - value[1].data) + 1;
  ngx_str_t path = {value[1].len - scheme, value[1].data + scheme};
  if (ngx_conf_full_name(cf->cycle, &path, 1) != NGX_OK) return NGX_CONF_ERROR;
  conf->mappings.len = scheme + path.len;
  conf->mappings.data = ngx_pnalloc(cf->pool, conf->mappings.len + 1);
  if (conf->mappings.data == NULL) return NGX_CONF_ERROR;
  ngx_sprintf(conf->mappings.data, "%*s%V%Z", scheme, value[1].data, &path);
  return cr_mappings_name_files(cf->pool, &path, conf) == NGX_OK ? NGX_CONF_OK : NGX_CONF_ERROR;
}

/* The name of the variable that `text` is, and nothing else; empty: it is more, or none. */
static ngx_str_t variable_of(const ngx_str_t* text) {
  ngx_str_t name = ngx_null_string;
  if (text->len < 2 || text->data[0] != '$') return name;
  for (size_t i = 1; i < text->len; ++i) {
    const u_char c = ngx_tolower(text->data[i]);
    if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_') return name;
  }
  name.data = text->data + 1;
  name.len = text->len - 1;
  return name;
}

static char* compile(ngx_conf_t* cf, ngx_str_t text, cr_value_t* value) {
  ngx_http_compile_complex_value_t compiler;
  ngx_str_t name = variable_of(&text);
  value->given = 1;
  if (name.len != 0 && (name.data[0] > '9' || name.data[0] < '0')) {
    const ngx_int_t index = ngx_http_get_variable_index(cf, &name);
    value->variable = (ngx_uint_t)index;
    return index != NGX_ERROR ? NGX_CONF_OK : NGX_CONF_ERROR;
  }
  value->text = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
  if (value->text == NULL) return NGX_CONF_ERROR;
  ngx_memzero(&compiler, sizeof compiler);
  compiler.cf = cf;
  compiler.value = &text;
  compiler.complex_value = value->text;
  return ngx_http_compile_complex_value(&compiler) == NGX_OK ? NGX_CONF_OK : NGX_CONF_ERROR;
}

/* NULL: no parameter begins like that. */
static cr_value_t* field_of(cr_rule_t* rule, const ngx_str_t* parameter, size_t* prefix) {
  const struct {
    const char* name;
    cr_value_t* field;
  } fields[] = {{"key=", &rule->key},          {"tier=", &rule->tier},   {"region=", &rule->region},
                {"plan=", &rule->plan},        {"flags=", &rule->flags}, {"risk=", &rule->risk},
                {"resource=", &rule->resource}};
  for (size_t i = 0; i < sizeof fields / sizeof fields[0]; ++i) {
    *prefix = ngx_strlen(fields[i].name);
    if (parameter->len > *prefix && ngx_strncmp(parameter->data, fields[i].name, *prefix) == 0) {
      return fields[i].field;
    }
  }
  return NULL;
}

/* claim.NAME=TEXT */
static char* read_claim(ngx_conf_t* cf, cr_rule_t* rule, const ngx_str_t* parameter) {
  u_char* end = parameter->data + parameter->len;
  u_char* begin = parameter->data + sizeof "claim." - 1;
  u_char* equals = ngx_strlchr(begin, end, '=');
  if (equals == NULL || equals == begin || rule->claim_count == CR_MAX_CLAIMS) {
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\" is no claim.NAME=TEXT, or beyond %d of them",
                       parameter, CR_MAX_CLAIMS);
    return NGX_CONF_ERROR;
  }
  cr_claim_t* claim = &rule->claims[rule->claim_count++];
  claim->name.data = begin;
  claim->name.len = (size_t)(equals - begin);
  const ngx_str_t text = {(size_t)(end - equals) - 1, equals + 1};
  return compile(cf, text, &claim->value);
}

static char* read_parameter(ngx_conf_t* cf, cr_rule_t* rule, const ngx_str_t* parameter) {
  size_t prefix = 0;
  if (ngx_strcmp(parameter->data, "tenant") == 0) {
    rule->tenant = 1;
    return NGX_CONF_OK;
  }
  if (ngx_strncmp(parameter->data, "claim.", 6) == 0) return read_claim(cf, rule, parameter);
  cr_value_t* field = field_of(rule, parameter, &prefix);
  if (field == NULL || field->given) {
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "parameter \"%V\" is none of tenant, claim, key, tier, region, plan, flags, "
                       "risk and resource, or comes twice",
                       parameter);
    return NGX_CONF_ERROR;
  }
  const ngx_str_t text = {parameter->len - prefix, parameter->data + prefix};
  return compile(cf, text, field);
}

/* cellroute off | key=TEXT | tenant [claim.NAME=TEXT] [tier=TEXT] [region=TEXT] [plan=TEXT]
 * [flags=TEXT] [risk=TEXT] [resource=TEXT] */
char* cr_rule_directive(ngx_conf_t* cf, ngx_command_t* cmd, void* data) {
  cr_loc_conf_t* conf = data;
  const ngx_str_t* value = cf->args->elts;
  cr_main_conf_t* main_conf = ngx_http_conf_get_module_main_conf(cf, ngx_http_cellroute_module);
  if (conf->rule != NGX_CONF_UNSET_PTR) return "is duplicate";
  conf->rule = NULL;
  if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) return NGX_CONF_OK;
  conf->rule = ngx_pcalloc(cf->pool, sizeof(cr_rule_t));
  if (conf->rule == NULL) return NGX_CONF_ERROR;
  conf->rule->profiles = ngx_pcalloc(cf->pool, CR_PROFILES * sizeof(cr_profile_t));
  if (conf->rule->profiles == NULL) return NGX_CONF_ERROR;
  for (ngx_uint_t i = 1; i < cf->args->nelts; ++i) {
    if (read_parameter(cf, conf->rule, &value[i]) != NGX_CONF_OK) return NGX_CONF_ERROR;
  }
  conf->rule->named = conf->rule->tier.given | conf->rule->region.given | conf->rule->plan.given |
                      conf->rule->flags.given;
  ++main_conf->rules;
  return conf->rule->key.given != conf->rule->tenant ? NGX_CONF_OK : "needs one of key= and tenant";
}

static ngx_conf_enum_t denied_modes[] = {{ngx_string("json"), CR_DENIED_JSON},
                                         {ngx_string("error_page"), CR_DENIED_ERROR_PAGE},
                                         {ngx_null_string, 0}};

static ngx_command_t commands[] = {
    {ngx_string("cellroute_zone"), NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE23, cr_zone_directive,
     NGX_HTTP_MAIN_CONF_OFFSET, 0, NULL},
    {ngx_string("cellroute_topology"), NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE123, cr_topology_directive,
     NGX_HTTP_MAIN_CONF_OFFSET, 0, NULL},
    {ngx_string("cellroute_mappings"), NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE1, cr_mappings_directive,
     NGX_HTTP_MAIN_CONF_OFFSET, 0, NULL},
    {ngx_string("cellroute_refresh"), NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE1, ngx_conf_set_msec_slot,
     NGX_HTTP_MAIN_CONF_OFFSET, offsetof(cr_main_conf_t, refresh), NULL},
    {ngx_string("cellroute"),
     NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF | NGX_CONF_1MORE, cr_rule_directive,
     NGX_HTTP_LOC_CONF_OFFSET, 0, NULL},
    {ngx_string("cellroute_denied"),
     NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF | NGX_CONF_TAKE1,
     ngx_conf_set_enum_slot, NGX_HTTP_LOC_CONF_OFFSET, offsetof(cr_loc_conf_t, denied),
     denied_modes},
    {ngx_string("cellroute_metrics"), NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS, cr_metrics_directive,
     NGX_HTTP_LOC_CONF_OFFSET, 0, NULL},
    {ngx_string("cellroute_cells"), NGX_HTTP_UPS_CONF | NGX_CONF_NOARGS, cr_cells_directive,
     NGX_HTTP_SRV_CONF_OFFSET, 0, NULL},
    ngx_null_command};

static ngx_int_t complete(ngx_conf_t* cf) {
  if (cr_check_configuration(cf) != NGX_OK) return NGX_ERROR;
  ngx_http_core_main_conf_t* core = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
  ngx_http_handler_pt* place = ngx_array_push(&core->phases[NGX_HTTP_PRECONTENT_PHASE].handlers);
  if (place == NULL) return NGX_ERROR;
  *place = cr_decide_handler;
  return NGX_OK;
}

static ngx_http_module_t context = {
    cr_add_variables, complete,       create_main_conf, init_main_conf, NULL, NULL,
    create_loc_conf,  merge_loc_conf,
};

ngx_module_t ngx_http_cellroute_module = {
    NGX_MODULE_V1,   &context, commands, NGX_HTTP_MODULE, NULL, NULL,
    cr_worker_start, NULL,     NULL,     cr_worker_stop,  NULL, NGX_MODULE_V1_PADDING};
