// The version of this library. CMake reads it from here.
#pragma once

#define CELLROUTE_VERSION_MAJOR 0
#define CELLROUTE_VERSION_MINOR 1
#define CELLROUTE_VERSION_PATCH 0

namespace cellroute {

// The version of the headers that a program was compiled with, by the rules of semver.org 2.0.0.
inline constexpr int kVersionMajor = CELLROUTE_VERSION_MAJOR;
inline constexpr int kVersionMinor = CELLROUTE_VERSION_MINOR;
inline constexpr int kVersionPatch = CELLROUTE_VERSION_PATCH;

#define CELLROUTE_TEXT_(x) #x
#define CELLROUTE_TEXT(x) CELLROUTE_TEXT_(x)
inline constexpr const char* kVersion = CELLROUTE_TEXT(CELLROUTE_VERSION_MAJOR) "." CELLROUTE_TEXT(
    CELLROUTE_VERSION_MINOR) "." CELLROUTE_TEXT(CELLROUTE_VERSION_PATCH);
#undef CELLROUTE_TEXT
#undef CELLROUTE_TEXT_

}  // namespace cellroute
