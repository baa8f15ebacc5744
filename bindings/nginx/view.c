/* Names and addresses for the numbers of one generation. */
#include "module.h"

static ngx_uint_t has_tenant_rules(const cellroute_snapshot* snapshot) {
  char buffer[CELLROUTE_MAX_KEY];
  cellroute_tenant tenant = {.struct_size = sizeof tenant};
  const cellroute_http_request request = {.struct_size = sizeof request};
  return cellroute_extract(snapshot, &request, buffer, sizeof buffer, &tenant) == CELLROUTE_OK;
}

cr_view_t* cr_view_create(cellroute_router* router, uint32_t cells, ngx_log_t* log) {
  cr_view_t* view = ngx_calloc(sizeof(cr_view_t) + cells * sizeof(cr_cell_t), log);
  if (view == NULL) return NULL;
  if (cellroute_snapshot_hold(router, &view->snapshot, NULL) != CELLROUTE_OK) {
    ngx_free(view);
    return NULL;
  }
  cellroute_snapshot_generation(view->snapshot, &view->generation);
  view->tenant = has_tenant_rules(view->snapshot);
  view->cell_count = cells;
  view->held = 1;
  return view;
}

void cr_view_release(cr_view_t* view) {
  if (view == NULL || --view->held > 0) return;
  cellroute_snapshot_destroy(view->snapshot);
  cr_addresses_release(view->addresses);
  ngx_free(view);
}

cr_cell_t* cr_view_look_up(cr_view_t* view, uint32_t number) {
  cr_cell_t* cell = &view->cells[number];
  cellroute_cell told = {.struct_size = sizeof told};
  if (cellroute_snapshot_cell(view->snapshot, number, &told) != CELLROUTE_OK) return NULL;
  cell->id = cr_str_of(told.id);
  cell->endpoint = cr_str_of(told.endpoint);
  cell->address = cr_addresses_find(view->addresses, told.endpoint);
  cell->known = 1;
  return cell;
}
