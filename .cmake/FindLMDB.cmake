# LMDB, which comes with no CMake package of its own: target LMDB::lmdb. The one below CELLROUTE_DEPENDENCIES
# first: it may go into a shared library.
include(FindPackageHandleStandardArgs)

find_path(LMDB_INCLUDE_DIR lmdb.h HINTS ${CELLROUTE_DEPENDENCIES} ${_cellroute_places}
  PATH_SUFFIXES include)
find_library(LMDB_LIBRARY lmdb HINTS ${CELLROUTE_DEPENDENCIES} ${_cellroute_places} PATH_SUFFIXES lib)
mark_as_advanced(LMDB_INCLUDE_DIR LMDB_LIBRARY)
find_package_handle_standard_args(LMDB REQUIRED_VARS LMDB_LIBRARY LMDB_INCLUDE_DIR)

if(LMDB_FOUND AND NOT TARGET LMDB::lmdb)
  add_library(LMDB::lmdb UNKNOWN IMPORTED)
  set_target_properties(LMDB::lmdb PROPERTIES IMPORTED_LOCATION ${LMDB_LIBRARY})
  target_include_directories(LMDB::lmdb INTERFACE ${LMDB_INCLUDE_DIR})
  find_package(Threads REQUIRED)
  target_link_libraries(LMDB::lmdb INTERFACE Threads::Threads)
endif()
