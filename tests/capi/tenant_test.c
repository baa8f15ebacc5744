/* Whose an HTTP request is, who asked, and which headers are the host's own. */
#include "tests.h"

/* Behind the policy, which is the topology's last section. */
static const char kTenant[] =
    "tenant:\n"
    "  sources:\n"
    "    - {subdomain: {domains: [example.com], reserved: [www]}}\n"
    "    - {header: X-Tenant-ID}\n"
    "    - {claim: tenant_id}\n"
    "  trusted_headers: [X-Tenant-ID]\n"
    "  trusted_proxies: [10.0.0.0/8]\n";

static cellroute_snapshot* held(const char* policy) {
  cellroute_router* router = serving(1, policy);
  cellroute_snapshot* snapshot = NULL;
  CHECK_CODE(cellroute_snapshot_hold(router, &snapshot, NULL), CELLROUTE_OK);
  cellroute_router_destroy(router);
  return snapshot;
}

static cellroute_field field_of(const char* name, const char* value) {
  cellroute_field field;
  field.name = view_of(name);
  field.value = view_of(value);
  return field;
}

/* A request with one header at its own place on the heap. */
static cellroute_http_request* http_of(cellroute_field* header) {
  cellroute_http_request* request = NEW(cellroute_http_request);
  request->target = view_of("/");
  request->headers = header;
  request->header_count = header != NULL ? 1 : 0;
  return request;
}

static void keys(const cellroute_snapshot* snapshot) {
  cellroute_field header = field_of("Host", "ACME.example.com:80");
  cellroute_field claim = field_of("tenant_id", "acme");
  cellroute_http_request* request = http_of(&header);
  cellroute_tenant* tenant = NEW(cellroute_tenant);
  char* buffer = malloc(CELLROUTE_MAX_KEY);
  CHECK_CODE(cellroute_extract(snapshot, request, buffer, CELLROUTE_MAX_KEY, tenant), CELLROUTE_OK);
  CHECK(tenant->status == CELLROUTE_STATUS_OK && tenant->reason == 0);
  CHECK(tenant->source == 0 && tenant->kind == CELLROUTE_SOURCE_SUBDOMAIN);
  CHECK_TEXT(tenant->key, "acme");
  CHECK(tenant->key.data == buffer);

  request->claims = &claim;
  request->claim_count = 1;
  CHECK_CODE(cellroute_extract(snapshot, request, buffer, CELLROUTE_MAX_KEY, tenant), CELLROUTE_OK);
  CHECK(tenant->status == CELLROUTE_STATUS_OK);
  claim.value = view_of("other");
  CHECK_CODE(cellroute_extract(snapshot, request, buffer, CELLROUTE_MAX_KEY, tenant), CELLROUTE_OK);
  CHECK(tenant->status == CELLROUTE_STATUS_INVALID_ARGUMENT && tenant->reason == 118);
  CHECK(tenant->source == 2 && tenant->kind == CELLROUTE_SOURCE_CLAIM && tenant->key.size == 0);

  request->header_count = 0;
  CHECK_CODE(cellroute_extract(snapshot, request, buffer, CELLROUTE_MAX_KEY, tenant), CELLROUTE_OK);
  CHECK_TEXT(tenant->key, "other");
  request->claim_count = 0;
  CHECK_CODE(cellroute_extract(snapshot, request, buffer, CELLROUTE_MAX_KEY, tenant), CELLROUTE_OK);
  CHECK(tenant->reason == 116 && tenant->source == CELLROUTE_NO_SOURCE);
  request->authority = view_of("acme.example.com");
  CHECK_CODE(cellroute_extract(snapshot, request, buffer, CELLROUTE_MAX_KEY, tenant), CELLROUTE_OK);
  CHECK_TEXT(tenant->key, "acme");
  free(buffer);
  free(tenant);
  free(request);
}

static void arguments(const cellroute_snapshot* snapshot) {
  cellroute_field header = field_of("Host", "acme.example.com");
  cellroute_http_request* request = http_of(&header);
  cellroute_tenant* tenant = NEW(cellroute_tenant);
  char buffer[CELLROUTE_MAX_KEY];
  CHECK_CODE(cellroute_extract(NULL, request, buffer, sizeof buffer, tenant), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_extract(snapshot, NULL, buffer, sizeof buffer, tenant), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_extract(snapshot, request, NULL, sizeof buffer, tenant), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_extract(snapshot, request, buffer, sizeof buffer, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_extract(snapshot, request, buffer, sizeof buffer - 1, tenant),
             CELLROUTE_E_BUFFER);
  request->reserved = 1;
  CHECK_CODE(cellroute_extract(snapshot, request, buffer, sizeof buffer, tenant),
             CELLROUTE_E_INVALID_ARGUMENT);
  request->reserved = 0;
  request->claim_count = 1;
  CHECK_CODE(cellroute_extract(snapshot, request, buffer, sizeof buffer, tenant), CELLROUTE_E_NULL);
  request->claim_count = 0;
  header.value = bad_view();
  CHECK_CODE(cellroute_extract(snapshot, request, buffer, sizeof buffer, tenant), CELLROUTE_E_NULL);
  header.value = no_view();
  request->target = bad_view();
  CHECK_CODE(cellroute_extract(snapshot, request, buffer, sizeof buffer, tenant), CELLROUTE_E_NULL);
  request->target = view_of("/");
  tenant->struct_size = 8;
  CHECK_CODE(cellroute_extract(snapshot, request, buffer, sizeof buffer, tenant),
             CELLROUTE_E_STRUCT_SIZE);
  free(tenant);
  free(request);
}

static void trusted_headers(const cellroute_snapshot* snapshot) {
  uint32_t trusted = 7;
  CHECK_CODE(cellroute_is_trusted_header(snapshot, view_of("x_tenant-id"), &trusted), CELLROUTE_OK);
  CHECK(trusted == 1);
  CHECK_CODE(cellroute_is_trusted_header(snapshot, view_of("x-tenant"), &trusted), CELLROUTE_OK);
  CHECK(trusted == 0);
  CHECK_CODE(cellroute_is_trusted_header(snapshot, bad_view(), &trusted), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_is_trusted_header(snapshot, no_view(), NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_is_trusted_header(NULL, no_view(), &trusted), CELLROUTE_E_NULL);
}

static void addresses(const cellroute_snapshot* snapshot) {
  cellroute_field header = field_of("X-Forwarded-For", "10.0.0.1, 192.0.2.1, 10.0.0.2");
  cellroute_http_request* request = http_of(&header);
  cellroute_client* client = NEW(cellroute_client);
  request->peer = view_of("10.0.0.3");
  CHECK_CODE(cellroute_client_address(snapshot, request, client), CELLROUTE_OK);
  CHECK_TEXT(client->address, "192.0.2.1");
  CHECK(client->status == CELLROUTE_STATUS_OK && client->hops == 2);
  header.value = view_of("unknown");
  CHECK_CODE(cellroute_client_address(snapshot, request, client), CELLROUTE_OK);
  CHECK(client->status == CELLROUTE_STATUS_INVALID_ARGUMENT && client->reason == 123);
  CHECK_TEXT(client->address, "10.0.0.3");
  CHECK_CODE(cellroute_client_address(snapshot, request, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_client_address(snapshot, NULL, client), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_client_address(NULL, request, client), CELLROUTE_E_NULL);
  free(client);
  free(request);
}

/* Older callers' structs, or those of later ones. */
static void grown_structs(const cellroute_snapshot* snapshot) {
  cellroute_http_request* request = NEW_LARGER(cellroute_http_request, 16);
  cellroute_tenant* tenant = NEW_LARGER(cellroute_tenant, 16);
  char buffer[CELLROUTE_MAX_KEY];
  request->target = view_of("/");
  request->authority = view_of("acme.example.com");
  memset((char*)(tenant + 1), 1, 16);
  CHECK_CODE(cellroute_extract(snapshot, request, buffer, sizeof buffer, tenant), CELLROUTE_OK);
  CHECK_TEXT(tenant->key, "acme");
  CHECK(((char*)(tenant + 1))[15] == 0);
  ((char*)(request + 1))[0] = 1;
  CHECK_CODE(cellroute_extract(snapshot, request, buffer, sizeof buffer, tenant),
             CELLROUTE_E_UNKNOWN_TAIL);
  free(tenant);
  free(request);
}

static void no_rules(void) {
  cellroute_snapshot* snapshot = held("");
  cellroute_field header = field_of("X-Forwarded-For", "192.0.2.1");
  cellroute_http_request* request = http_of(&header);
  cellroute_tenant* tenant = NEW(cellroute_tenant);
  cellroute_client* client = NEW(cellroute_client);
  char buffer[CELLROUTE_MAX_KEY];
  uint32_t trusted = 7;
  request->peer = view_of("10.0.0.3");
  CHECK_CODE(cellroute_extract(snapshot, request, buffer, sizeof buffer, tenant),
             CELLROUTE_E_NOT_FOUND);
  CHECK_CODE(cellroute_is_trusted_header(snapshot, view_of("X-Tenant-ID"), &trusted), CELLROUTE_OK);
  CHECK(trusted == 0);
  CHECK_CODE(cellroute_client_address(snapshot, request, client), CELLROUTE_OK);
  CHECK_TEXT(client->address, "10.0.0.3");
  free(client);
  free(tenant);
  free(request);
  cellroute_snapshot_destroy(snapshot);
}

static void generations(void) {
  cellroute_router* router = router_of(NULL);
  cellroute_topology* topology = topology_of(7, "");
  uint64_t generation = 0;
  CHECK_CODE(cellroute_router_generation(router, &generation), CELLROUTE_E_NO_SNAPSHOT);
  CHECK_CODE(cellroute_router_publish(router, topology, NULL, NULL), CELLROUTE_OK);
  CHECK_CODE(cellroute_router_generation(router, &generation), CELLROUTE_OK);
  CHECK(generation == 7);
  CHECK_CODE(cellroute_router_generation(router, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_router_generation(NULL, &generation), CELLROUTE_E_NULL);
  cellroute_topology_destroy(topology);
  cellroute_router_destroy(router);
}

void tenant_test(void) {
  cellroute_snapshot* snapshot = held(kTenant);
  keys(snapshot);
  arguments(snapshot);
  trusted_headers(snapshot);
  addresses(snapshot);
  grown_structs(snapshot);
  cellroute_snapshot_destroy(snapshot);
  no_rules();
  generations();
}
