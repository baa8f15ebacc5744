find_package(xxHash REQUIRED)

# Abseil, Protobuf, yaml-cpp and LMDB, built position-independent and hidden by .ci/dependencies; never the
# system's own unless CELLROUTE_DEPENDENCIES says so.
if(NOT CELLROUTE_DEPENDENCIES)
  execute_process(COMMAND ${PROJECT_SOURCE_DIR}/.ci/dependencies prefix
    OUTPUT_VARIABLE prefix OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  set(CELLROUTE_DEPENDENCIES ${prefix} CACHE PATH "Where Abseil, Protobuf, yaml-cpp and LMDB are installed")
endif()
foreach(package absl protobuf yaml-cpp)
  find_package(${package} CONFIG QUIET PATHS ${CELLROUTE_DEPENDENCIES} NO_DEFAULT_PATH)
  if(NOT ${package}_FOUND)
    message(FATAL_ERROR "${package} is not in ${CELLROUTE_DEPENDENCIES}. Run this once, then try again:\n"
      "  ${PROJECT_SOURCE_DIR}/.ci/dependencies build")
  endif()
endforeach()

# The compiler of the schema must be of the same release as the library.
find_program(CELLROUTE_PROTOC protoc REQUIRED)
execute_process(COMMAND ${CELLROUTE_PROTOC} --version OUTPUT_VARIABLE protoc_version COMMAND_ERROR_IS_FATAL ANY)
string(REGEX REPLACE "^3\\." "" protobuf_release "${protobuf_VERSION}")
string(REGEX REPLACE "^(libprotoc )(3\\.)?([0-9.]+).*" "\\3" protoc_release "${protoc_version}")
if(NOT protobuf_release VERSION_EQUAL protoc_release)
  message(FATAL_ERROR "${CELLROUTE_PROTOC} is ${protoc_release}, but Protobuf is ${protobuf_release}")
endif()

find_package(LMDB REQUIRED)
find_package(nlohmann_json 3 REQUIRED)

if(CELLROUTE_BUILD_COMMAND)
  find_package(CLI11 REQUIRED)
  find_package(simdjson REQUIRED)
endif()

# The stores behind a network. Who only wants the rest need not have their clients; the tests do.
set(needed QUIET)
if(CELLROUTE_BUILD_TESTS)
  set(needed REQUIRED)
endif()
find_package(Hiredis ${needed})
find_package(CURL 7.88 ${needed})
