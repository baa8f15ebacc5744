# AWS's C++ runtime library for Lambda and the libcurl built beside it, of HTTP alone, both static and on
# OpenSSL's static libraries: targets Lambda::runtime and Lambda::curl. From CELLROUTE_LAMBDA_DEPENDENCIES.
include(FindPackageHandleStandardArgs)

if(NOT CELLROUTE_LAMBDA_DEPENDENCIES)
  execute_process(COMMAND ${PROJECT_SOURCE_DIR}/.ci/dependencies lambda-prefix
    OUTPUT_VARIABLE prefix OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  set(CELLROUTE_LAMBDA_DEPENDENCIES ${prefix} CACHE PATH "Where the Lambda examples' libraries are installed")
endif()
set(OPENSSL_USE_STATIC_LIBS ON)
find_package(OpenSSL 3 QUIET)
find_package(Threads QUIET)
find_path(LambdaRuntime_INCLUDE_DIR aws/lambda-runtime/runtime.h
  PATHS ${CELLROUTE_LAMBDA_DEPENDENCIES}/include NO_DEFAULT_PATH)
foreach(library aws-lambda-runtime curl)
  find_library(LambdaRuntime_${library}_LIBRARY lib${library}.a
    PATHS ${CELLROUTE_LAMBDA_DEPENDENCIES}/lib NO_DEFAULT_PATH)
  mark_as_advanced(LambdaRuntime_${library}_LIBRARY)
endforeach()
mark_as_advanced(LambdaRuntime_INCLUDE_DIR)
find_package_handle_standard_args(LambdaRuntime
  REQUIRED_VARS LambdaRuntime_aws-lambda-runtime_LIBRARY LambdaRuntime_curl_LIBRARY LambdaRuntime_INCLUDE_DIR
    OPENSSL_FOUND
  REASON_FAILURE_MESSAGE "Run this once, then try again:\n  ${PROJECT_SOURCE_DIR}/.ci/dependencies build lambda")

if(LambdaRuntime_FOUND AND NOT TARGET Lambda::runtime)
  add_library(Lambda::curl STATIC IMPORTED)
  set_target_properties(Lambda::curl PROPERTIES IMPORTED_LOCATION ${LambdaRuntime_curl_LIBRARY})
  target_include_directories(Lambda::curl INTERFACE ${LambdaRuntime_INCLUDE_DIR})
  target_compile_definitions(Lambda::curl INTERFACE CURL_STATICLIB)
  target_link_libraries(Lambda::curl INTERFACE OpenSSL::SSL OpenSSL::Crypto Threads::Threads)

  add_library(Lambda::runtime STATIC IMPORTED)
  set_target_properties(Lambda::runtime PROPERTIES IMPORTED_LOCATION ${LambdaRuntime_aws-lambda-runtime_LIBRARY})
  target_include_directories(Lambda::runtime INTERFACE ${LambdaRuntime_INCLUDE_DIR})
  target_link_libraries(Lambda::runtime INTERFACE Lambda::curl)
endif()
