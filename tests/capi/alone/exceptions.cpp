// A custom store that throws: CELLROUTE_E_INTERNAL or CELLROUTE_E_NO_MEMORY, and nothing crosses.
#include <cstdio>
#include <new>
#include <stdexcept>

#include "cellroute.h"

namespace {

bool out_of_memory = false;

std::int32_t throwing_get(void*, const cellroute_view*, std::int64_t, const cellroute_sink*,
                          cellroute_error*) {
  if (out_of_memory) throw std::bad_alloc();
  throw std::runtime_error("from the host's store");
}

std::int32_t throwing_put(void*, const cellroute_record*, std::uint64_t, cellroute_error*) {
  throw 42;
}

std::int32_t ignore(void*, const cellroute_record*) { return CELLROUTE_OK; }

bool gives(std::int32_t code, std::int32_t expected) {
  if (code == expected) return true;
  std::fprintf(stderr, "%s, not %s\n", cellroute_code_name(code), cellroute_code_name(expected));
  return false;
}

}  // namespace

int main() {
  cellroute_store_calls calls{};
  calls.struct_size = sizeof calls;
  calls.get = throwing_get;
  calls.put_if = throwing_put;
  cellroute_sink sink{};
  sink.struct_size = sizeof sink;
  sink.record = ignore;
  cellroute_error error{};
  error.struct_size = sizeof error;
  cellroute_store* store = nullptr;
  const cellroute_view key{"k", 1};
  bool ok = gives(cellroute_store_create(&calls, nullptr, &store, &error), CELLROUTE_OK);
  // Twice: the store must not believe afterwards that a call of it is still under way.
  for (int i = 0; i < 2; ++i) {
    ok = gives(cellroute_store_get(store, key, 0, &sink, &error), CELLROUTE_E_INTERNAL) && ok;
  }
  out_of_memory = true;
  ok = gives(cellroute_store_get(store, key, 0, &sink, &error), CELLROUTE_E_NO_MEMORY) && ok;
  cellroute_record record{};
  record.struct_size = sizeof record;
  record.key = key;
  record.cell = {"c", 1};
  record.epoch = 1;
  record.op_id[0] = 1;
  ok = gives(cellroute_store_put_if(store, &record, 0, 0, nullptr, &error), CELLROUTE_E_INTERNAL) &&
       ok;
  cellroute_store_destroy(store);
  return ok ? 0 : 1;
}
