// Limits by cell, lent to lanes in small credits.
#pragma once

#include "cellroute/guard/limit.hpp"
#include "cellroute/guard/region.hpp"
