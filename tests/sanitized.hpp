// CELLROUTE_SANITIZED: a sanitizer's runtime is at work, which takes memory and signals and calls
// the system itself.
#pragma once

#if defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define CELLROUTE_SANITIZED
#endif
#elif defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define CELLROUTE_SANITIZED
#endif
