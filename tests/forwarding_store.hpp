// A memory store with something in between: every call is handed on, but for those overridden.
#pragma once

#include <memory>
#include <string_view>

#include "cellroute/mapping_store.hpp"
#include "stores/memory_store.hpp"

namespace cellroute::testing {

// Thread safety: a memory store's, as long as nobody replaces it.
class ForwardingStore : public MappingStore {
 public:
  StoreCapabilities capabilities() const noexcept override { return store_->capabilities(); }
  Lookup get(std::string_view key, Nanos now) override { return store_->get(key, now); }
  Result<std::uint64_t> put_if(const MappingRecord& record, std::uint64_t expected) override {
    return store_->put_if(record, expected);
  }
  Result<Page> scan(const Cursor& cursor, std::size_t limit, Nanos now) override {
    return store_->scan(cursor, limit, now);
  }
  Result<Page> scan_cell(std::string_view cell, const Cursor& cursor, std::size_t limit,
                         Nanos now) override {
    return store_->scan_cell(cell, cursor, limit, now);
  }
  Result<Page> changes(const Cursor& cursor, std::size_t limit) override {
    return store_->changes(cursor, limit);
  }
  Result<std::size_t> purge(Nanos before, std::size_t limit) override {
    return store_->purge(before, limit);
  }

 protected:
  std::unique_ptr<MappingStore> store_ = make_memory_store();
};

}  // namespace cellroute::testing
