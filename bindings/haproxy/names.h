/* Statuses and reasons by number, and how HTTP tells them. They live as long as the library. */
#ifndef CELLROUTE_HAPROXY_NAMES_H
#define CELLROUTE_HAPROXY_NAMES_H

#include "cellroute.h"

enum { kReasonProfileStale = 110, kReasonRequest = 114, kReasonNoSnapshot = 609 };

/* Reads them from the library; once before the others are used, and again does no harm. */
void names_load(void);

/* Empty for a number that the library does not know. */
cellroute_view name_of_status(uint32_t status);
cellroute_view name_of_reason(uint32_t reason);

/* 503 for a number that it does not know. */
uint32_t http_of_status(uint32_t status);

/* The status that decisions with this reason have. */
uint32_t name_status_of(uint32_t reason);

#endif
