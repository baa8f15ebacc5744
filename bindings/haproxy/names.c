#include "names.h"

enum { kStatuses = 32, kReasons = 1024 };

struct reason {
  cellroute_view name;
  uint32_t status;
};

static cellroute_status_info statuses[kStatuses];
static struct reason reasons[kReasons];

void names_load(void) {
  cellroute_status_info status = {.struct_size = sizeof status};
  for (uint32_t i = 0; cellroute_status_at(i, &status) == CELLROUTE_OK; ++i) {
    if (status.status < kStatuses) statuses[status.status] = status;
  }
  cellroute_reason_info reason = {.struct_size = sizeof reason};
  for (uint32_t i = 0; cellroute_reason_at(i, &reason) == CELLROUTE_OK; ++i) {
    if (reason.reason >= kReasons) continue;
    reasons[reason.reason] = (struct reason){.name = reason.name, .status = reason.status};
  }
}

cellroute_view name_of_status(uint32_t status) {
  return statuses[status < kStatuses ? status : kStatuses - 1].name;
}

cellroute_view name_of_reason(uint32_t reason) {
  return reasons[reason < kReasons ? reason : kReasons - 1].name;
}

uint32_t http_of_status(uint32_t status) {
  const uint32_t http = status < kStatuses ? statuses[status].http_status : 0;
  return http != 0 ? http : 503;
}

uint32_t name_status_of(uint32_t reason) {
  return reason < kReasons ? reasons[reason].status : CELLROUTE_STATUS_UNAVAILABLE;
}
