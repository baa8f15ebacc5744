/* Endpoints to socket addresses, before the topology that names them serves. */
#include "module.h"

#define CR_ADDRESS_POOL 4096

static int by_endpoint(const void* one, const void* two) {
  const ngx_str_t* a = &((const cr_address_t*)one)->endpoint;
  const ngx_str_t* b = &((const cr_address_t*)two)->endpoint;
  return (int)ngx_memn2cmp(a->data, b->data, a->len, b->len);
}

/* Takes "https://" and its like off `rest`; 0: a scheme that nginx does not speak to cells. */
static in_port_t take_scheme(ngx_str_t* rest, cr_address_t* address) {
  static const struct {
    ngx_str_t prefix;
    in_port_t port;
    unsigned tls;
  } schemes[] = {{ngx_string("https://"), 443, 1},
                 {ngx_string("http://"), 80, 0},
                 {ngx_string("grpcs://"), 443, 1},
                 {ngx_string("grpc://"), 80, 0}};
  for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; ++i) {
    const ngx_str_t* prefix = &schemes[i].prefix;
    if (rest->len < prefix->len || ngx_strncasecmp(rest->data, prefix->data, prefix->len) != 0) {
      continue;
    }
    rest->data += prefix->len;
    rest->len -= prefix->len;
    address->tls = schemes[i].tls;
    return schemes[i].port;
  }
  return ngx_strlchr(rest->data, rest->data + rest->len, '/') == NULL ||
                 ngx_strncmp(rest->data, "unix:", 5) == 0
             ? 80
             : 0;
}

static ngx_int_t resolve(cr_addresses_t* all, cr_address_t* address, ngx_log_t* log) {
  ngx_url_t url;
  ngx_memzero(&url, sizeof url);
  url.url = address->endpoint;
  url.default_port = take_scheme(&url.url, address);
  url.uri_part = 1;
  if (url.default_port == 0) {
    url.err = "another scheme than http, https, grpc or grpcs";
  } else if (ngx_parse_url(all->pool, &url) == NGX_OK && url.naddrs > 0) {
    address->addrs = url.addrs;
    address->addr_count = url.naddrs;
    address->host = url.url;
    address->host.len = url.family == AF_UNIX ? 0 : url.url.len - url.uri.len;
    return NGX_OK;
  }
  ngx_log_error(NGX_LOG_ERR, log, 0, "cellroute: endpoint \"%V\" has no address: %s",
                &address->endpoint, url.err != NULL ? url.err : "no host");
  return NGX_DECLINED;
}

static ngx_uint_t count_endpoints(const cellroute_topology* topology, uint32_t cells) {
  ngx_uint_t count = 0;
  cellroute_view resource, endpoint;
  for (uint32_t cell = 0; cell < cells; ++cell) {
    for (uint32_t i = 0;
         cellroute_topology_endpoint_at(topology, cell, i, &resource, &endpoint) == CELLROUTE_OK;
         ++i) {
      ++count;
    }
  }
  return count;
}

/* The topology's strings go with it; these stay. ngx_parse_url() looks one byte further. */
static ngx_int_t copy(cr_addresses_t* all, cellroute_view endpoint) {
  cr_address_t* address = &all->elts[all->count];
  address->endpoint.data = ngx_pnalloc(all->pool, endpoint.size + 1);
  if (address->endpoint.data == NULL) return NGX_ERROR;
  ngx_cpystrn(address->endpoint.data, (u_char*)endpoint.data, endpoint.size + 1);
  address->endpoint.len = endpoint.size;
  ++all->count;
  return NGX_OK;
}

static ngx_int_t collect(cr_addresses_t* all, const cellroute_topology* topology, uint32_t cells) {
  cellroute_view resource, endpoint;
  for (uint32_t cell = 0; cell < cells; ++cell) {
    for (uint32_t i = 0;
         cellroute_topology_endpoint_at(topology, cell, i, &resource, &endpoint) == CELLROUTE_OK;
         ++i) {
      if (endpoint.size != 0 && copy(all, endpoint) != NGX_OK) return NGX_ERROR;
    }
  }
  return NGX_OK;
}

static void sort_and_unite(cr_addresses_t* all) {
  ngx_uint_t kept = 0;
  ngx_qsort(all->elts, all->count, sizeof(cr_address_t), by_endpoint);
  for (ngx_uint_t i = 0; i < all->count; ++i) {
    if (kept > 0 && by_endpoint(&all->elts[kept - 1], &all->elts[i]) == 0) continue;
    all->elts[kept++] = all->elts[i];
  }
  all->count = kept;
}

cr_addresses_t* cr_addresses_create(const cellroute_topology* topology, ngx_log_t* log) {
  uint32_t cells = 0;
  ngx_pool_t* pool = ngx_create_pool(CR_ADDRESS_POOL, log);
  if (pool == NULL) return NULL;
  cr_addresses_t* all = ngx_pcalloc(pool, sizeof(cr_addresses_t));
  if (all == NULL) goto failed;
  all->pool = pool;
  all->held = 1;
  cellroute_topology_generation(topology, &all->generation);
  cellroute_topology_cell_count(topology, &cells);
  all->elts = ngx_pcalloc(pool, (count_endpoints(topology, cells) + 1) * sizeof(cr_address_t));
  if (all->elts == NULL || collect(all, topology, cells) != NGX_OK) goto failed;
  sort_and_unite(all);
  for (ngx_uint_t i = 0; i < all->count; ++i) resolve(all, &all->elts[i], log);
  return all;

failed:
  ngx_destroy_pool(pool);
  return NULL;
}

void cr_addresses_release(cr_addresses_t* addresses) {
  if (addresses != NULL && --addresses->held == 0) ngx_destroy_pool(addresses->pool);
}

cr_address_t* cr_addresses_find(const cr_addresses_t* addresses, cellroute_view endpoint) {
  ngx_uint_t low = 0, high = addresses == NULL ? 0 : addresses->count;
  while (low < high) {
    const ngx_uint_t middle = low + (high - low) / 2;
    cr_address_t* address = &addresses->elts[middle];
    const ngx_int_t order = ngx_memn2cmp((u_char*)endpoint.data, address->endpoint.data,
                                         endpoint.size, address->endpoint.len);
    if (order == 0) return address->addr_count != 0 ? address : NULL;
    if (order < 0) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return NULL;
}
