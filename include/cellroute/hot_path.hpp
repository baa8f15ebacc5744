// How the compiler is told what a request's path is.
#pragma once

// The path of a request is one function (HOT); what it seldom needs is kept out of it (COLD).
#if defined(__GNUC__)
#define CELLROUTE_HOT [[gnu::always_inline]]
#define CELLROUTE_COLD [[gnu::noinline, gnu::cold]]
#else
#define CELLROUTE_HOT
#define CELLROUTE_COLD
#endif
