# libmemcached, a peer in tests and benchmarks (its pkg-config file asks for more than it needs): target
# Libmemcached::libmemcached.
include(FindPackageHandleStandardArgs)

find_path(LIBMEMCACHED_INCLUDE_DIR libmemcached/memcached.h)
find_library(LIBMEMCACHED_LIBRARY memcached)
mark_as_advanced(LIBMEMCACHED_INCLUDE_DIR LIBMEMCACHED_LIBRARY)
find_package_handle_standard_args(Libmemcached REQUIRED_VARS LIBMEMCACHED_LIBRARY LIBMEMCACHED_INCLUDE_DIR)

if(Libmemcached_FOUND AND NOT TARGET Libmemcached::libmemcached)
  add_library(Libmemcached::libmemcached UNKNOWN IMPORTED)
  set_target_properties(Libmemcached::libmemcached PROPERTIES IMPORTED_LOCATION ${LIBMEMCACHED_LIBRARY})
  target_include_directories(Libmemcached::libmemcached INTERFACE ${LIBMEMCACHED_INCLUDE_DIR})
endif()
