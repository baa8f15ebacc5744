#include "custom_store.hpp"

#include <cstring>
#include <string>
#include <utility>

#include "records.hpp"

namespace cellroute::capi {
namespace {

constexpr std::size_t kMostCursorBytes = 4'096;

Error broken(std::string what) {
  return Error(broken_store(), "custom mapping store: " + std::move(what));
}

// The calls of custom stores that this thread is in, innermost first.
struct Frame;
thread_local const Frame* innermost = nullptr;

struct Frame {
  explicit Frame(const MappingStore& entered) noexcept : store(&entered), outer(innermost) {
    innermost = this;
  }
  ~Frame() { innermost = outer; }
  Frame(const Frame&) = delete;
  Frame& operator=(const Frame&) = delete;

  const MappingStore* const store;
  const Frame* const outer;
};

// What a store gives, checked as it comes. A sink is called by the host's code: nothing is thrown.
class Collector {
 public:
  explicit Collector(std::size_t limit) noexcept : limit_(limit) {
    sink_.struct_size = sizeof sink_;
    sink_.self = this;
    sink_.record = &Collector::take_record;
    sink_.page = &Collector::take_page;
  }
  Collector(const Collector&) = delete;
  Collector& operator=(const Collector&) = delete;

  const cellroute_sink* sink() const noexcept { return &sink_; }
  Page& page() noexcept { return page_; }
  bool ended() const noexcept { return ended_; }

  // What stood against a record or page, if anything did.
  const char* wrong() const noexcept { return wrong_; }
  bool no_memory() const noexcept { return no_memory_; }

 private:
  static int32_t take_record(void* self, const cellroute_record* record) noexcept {
    auto& collector = *static_cast<Collector*>(self);
    try {
      return collector.add(record);
    } catch (...) {
      collector.no_memory_ = true;
      return CELLROUTE_E_NO_MEMORY;
    }
  }

  static int32_t take_page(void* self, const cellroute_view* cursor, uint32_t done) noexcept {
    auto& collector = *static_cast<Collector*>(self);
    try {
      return collector.end(cursor, done);
    } catch (...) {
      collector.no_memory_ = true;
      return CELLROUTE_E_NO_MEMORY;
    }
  }

  int32_t refuse(const char* why) noexcept {
    wrong_ = why;
    return CELLROUTE_E_BROKEN_STORE;
  }

  int32_t add(const cellroute_record* from) {
    if (ended_) return refuse("it gave a record behind the page's end");
    if (page_.records.size() >= limit_) return refuse("it gave more records than were asked for");
    MappingRecord record;
    if (read_record(from, record) != CELLROUTE_OK) {
      return refuse("it gave a record with a field out of its range, or of another struct_size");
    }
    if (const char* const rule = broken_rule(record); rule != nullptr) return refuse(rule);
    if (record.revision == 0) return refuse("it gave a record without a revision");
    page_.records.push_back(std::move(record));
    return CELLROUTE_OK;
  }

  int32_t end(const cellroute_view* cursor, uint32_t done) {
    if (ended_) return refuse("it ended a page twice");
    if (cursor == nullptr || !sound(*cursor) || cursor->size > kMostCursorBytes || done > 1) {
      return refuse("it gave a cursor that is none");
    }
    page_.next = text(*cursor);
    page_.done = done != 0;
    ended_ = true;
    return CELLROUTE_OK;
  }

  cellroute_sink sink_{};
  std::size_t limit_;
  Page page_;
  bool ended_ = false;
  const char* wrong_ = nullptr;
  bool no_memory_ = false;
};

class CustomStore final : public MappingStore {
 public:
  CustomStore(const cellroute_store_calls& calls, void* self) noexcept
      : calls_(calls), self_(self) {}
  ~CustomStore() override {
    if (calls_.release != nullptr) calls_.release(self_);
  }

  StoreCapabilities capabilities() const noexcept override {
    StoreCapabilities made;
    made.durable = (calls_.capabilities & CELLROUTE_STORE_DURABLE) != 0;
    made.loses_acknowledged = (calls_.capabilities & CELLROUTE_STORE_LOSES_ACKNOWLEDGED) != 0;
    made.shared = (calls_.capabilities & CELLROUTE_STORE_SHARED) != 0;
    return made;
  }

  Lookup get(std::string_view key, Nanos now) override {
    Lookup lookup;
    Collector collector(1);
    const cellroute_view asked = view(key);
    lookup.error = call(&collector, [&](cellroute_error* error) {
      return calls_.get(self_, &asked, now, collector.sink(), error);
    });
    if (!lookup.error.ok()) return lookup;
    if (collector.page().records.empty()) {
      lookup.answer = Answer::kAbsent;
      lookup.record.epoch = 0;
      return lookup;
    }
    if (collector.page().records.front().key != key) {
      lookup.error = broken("it gave the record of another key");
      return lookup;
    }
    lookup.record = std::move(collector.page().records.front());
    lookup.answer = lookup.record.answer(now);
    return lookup;
  }

  Result<std::uint64_t> put_if(const MappingRecord& record, std::uint64_t expected) override {
    if (const char* const rule = broken_rule(record); rule != nullptr) {
      return invalid_argument(rule);
    }
    if (expected == UINT64_MAX) return refused("the key's revisions are used up");
    const RecordView given(record);
    const Error failed = call(nullptr, [&](cellroute_error* error) {
      return calls_.put_if(self_, given.get(), expected, error);
    });
    if (!failed.ok()) return failed;
    return expected + 1;
  }

  Result<Page> scan(const Cursor& cursor, std::size_t limit, Nanos now) override {
    if (calls_.scan == nullptr) return unsupported("scan");
    if (limit == 0) return invalid_argument("the limit is 0; ask for at least one record");
    Collector collector(limit < kMaxPageRecords ? limit : kMaxPageRecords);
    const cellroute_view from = view(cursor);
    Error failed = call(&collector, [&](cellroute_error* error) {
      return calls_.scan(self_, &from, limit, now, collector.sink(), error);
    });
    if (failed.ok() && !collector.ended()) failed = broken("it did not end its page");
    if (!failed.ok()) return failed;
    return std::move(collector.page());
  }

  bool made_with(void (*release)(void* self)) const noexcept { return calls_.release == release; }
  void* self() const noexcept { return self_; }

  Result<Page> scan_cell(std::string_view, const Cursor&, std::size_t, Nanos) override {
    return unsupported("scan_cell");
  }
  Result<Page> changes(const Cursor&, std::size_t) override { return unsupported("changes"); }
  Result<std::size_t> purge(Nanos, std::size_t) override { return std::size_t{0}; }

 private:
  static Error unsupported(const char* what) {
    return Error(ErrorCode::kUnsupported,
                 std::string("custom mapping store: it has no ") + what + " call");
  }

  // One call of the host's, with what it says and gives held against the contract.
  template <class Call>
  Error call(Collector* collector, Call&& made) const {
    if (inside(*this)) {
      return Error(static_cast<ErrorCode>(CELLROUTE_E_REENTERED),
                   "custom mapping store: it called its own handle from inside a call");
    }
    cellroute_error error{};
    error.struct_size = sizeof error;
    int32_t code = CELLROUTE_OK;
    {
      const Frame frame(*this);
      code = made(&error);
    }
    if (collector != nullptr && collector->no_memory()) {
      return Error(static_cast<ErrorCode>(CELLROUTE_E_NO_MEMORY), "no memory for a record");
    }
    if (collector != nullptr && collector->wrong() != nullptr) return broken(collector->wrong());
    if (code == CELLROUTE_OK) return {};
    if (code > 0 || code < CELLROUTE_E_FORKED) {
      return broken("it returned " + std::to_string(code) + ", which is no code for it");
    }
    const std::string_view said(error.text, ::strnlen(error.text, sizeof error.text));
    return Error(static_cast<ErrorCode>(code), std::string(said));
  }

  const cellroute_store_calls calls_;
  void* const self_;
};

}  // namespace

std::unique_ptr<MappingStore> make_custom_store(const cellroute_store_calls& calls, void* self) {
  return std::make_unique<CustomStore>(calls, self);
}

bool find_self(const MappingStore& store, void (*release)(void* self), void*& self) noexcept {
  const auto* const custom = dynamic_cast<const CustomStore*>(&store);
  if (custom == nullptr || !custom->made_with(release)) return false;
  self = custom->self();
  return true;
}

bool inside(const MappingStore& store) noexcept {
  for (const Frame* frame = innermost; frame != nullptr; frame = frame->outer) {
    if (frame->store == &store) return true;
  }
  return false;
}

}  // namespace cellroute::capi
