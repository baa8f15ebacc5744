// One value that many threads read and a publisher now and then replaces: readers never wait, and
// what is replaced is freed when the last reader that could see it has left.
//
// A reader marks its lane, then loads the pointer; the publisher swaps the pointer, then looks at
// the lanes: of each pair one sees the other (all four accesses are seq_cst). A lane's only reader
// pays one compare-and-set to enter and a plain store to leave. A thread that finds its lane taken
// counts itself in beside the owner instead. This is epoch-based reclamation (Fraser 2004, §5.2.3)
// with a counter a lane in place of a global epoch.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "cellroute/status.hpp"

namespace cellroute {

// Thread safety: read() and hold() from any thread, also while replace() runs on another.
template <class T>
class Published {
  struct Node;
  struct Lane;

 public:
  // Replaced values that readers may still see, at most. Readers stay for the length of one call,
  // so that more means a thread that stopped inside one.
  static constexpr std::size_t kMaxRetired = 64;

  explicit Published(std::uint32_t lanes) : lanes_(lanes) {}

  // Precondition of destruction: no reader is inside.
  ~Published() { delete current_.load(); }

  Published(const Published&) = delete;
  Published& operator=(const Published&) = delete;

  // The current value, or null before the first replace(), for as long as the Reading lives: keep
  // it to one call. `lane` is below the number of lanes. No allocation, lock or system call.
  class Reading {
   public:
    Reading(const Published& published, std::uint32_t lane) noexcept
        : lane_(published.lanes_[lane]) {
      std::uint64_t turn = lane_.turn.load(std::memory_order_relaxed);
      if ((turn & 1) == 0 && lane_.turn.compare_exchange_strong(turn, turn + 1)) {
        leave_ = turn + 2;
      } else {
        const std::uint32_t side = published.side_.load();
        lane_.beside[side].fetch_add(1);
        leave_ = side << 1 | 1;
      }
      value_ = published.value_.load();
    }

    ~Reading() {
      if ((leave_ & 1) == 0) {
        lane_.turn.store(leave_, std::memory_order_release);
      } else {
        lane_.beside[leave_ >> 1].fetch_sub(1, std::memory_order_release);
      }
    }

    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;

    const T* get() const noexcept { return value_; }

   private:
    const Lane& lane_;
    const T* value_;
    std::uint64_t leave_;  // the lane's turn after us; odd: we stand beside its owner, on that side
  };

  // The current value, kept alive for as long as the caller likes.
  std::shared_ptr<const T> hold(std::uint32_t lane) const noexcept {
    const Reading reading(*this, lane);
    const Node* const node = current_.load();
    return node ? node->value : nullptr;
  }

  // Serves `value` from now on. kUnavailable, and nothing changes, when kMaxRetired replaced
  // values are still being read. Publishers exclude each other.
  Error replace(std::shared_ptr<const T> value) {
    const std::lock_guard lock(publishing_);
    reclaim();
    if (retired_.size() >= kMaxRetired) {
      return Error(ErrorCode::kUnavailable,
                   "readers still use 64 replaced snapshots: a thread stopped inside a call");
    }
    auto next = std::make_unique<Node>(Node{std::move(value)});
    // All that may throw before anything changes.
    Retired retired;
    retired.seen.resize(lanes_.size());
    retired_.push_back(std::move(retired));
    value_.store(next->value.get());
    retired_.back().node.reset(current_.exchange(next.release()));
    for (std::size_t i = 0; i < lanes_.size(); ++i) {
      retired_.back().seen[i].turn = lanes_[i].turn.load();
    }
    reclaim();
    return {};
  }

  // Frees what no reader can see any more, and tells how many values wait for that.
  std::size_t collect() {
    const std::lock_guard lock(publishing_);
    reclaim();
    return retired_.size();
  }

 private:
  struct Node {
    std::shared_ptr<const T> value;
  };

  struct alignas(64) Lane {
    mutable std::atomic<std::uint64_t> turn{0};  // odd: its owner is inside
    mutable std::atomic<std::uint32_t> beside[2] = {};
  };

  // What has been seen of a lane since the node was replaced. Whoever enters later cannot get it,
  // so that having seen the lane empty once is enough, each of its three counters for itself.
  struct Seen {
    std::uint64_t turn = 0;
    bool owner_gone = false;
    bool beside_gone[2] = {false, false};
  };

  struct Retired {
    std::unique_ptr<const Node> node;
    std::vector<Seen> seen;
  };

  void reclaim() {
    // Those who stand beside an owner now use the other counter, so that each empties in turn.
    side_.store(side_.load() ^ 1);
    std::erase_if(retired_, [this](Retired& retired) { return unseen(retired); });
  }

  bool unseen(Retired& retired) const {
    bool gone = true;
    for (std::size_t i = 0; i < lanes_.size(); ++i) {
      Seen& seen = retired.seen[i];
      const std::uint64_t turn = lanes_[i].turn.load();
      seen.owner_gone = seen.owner_gone || (seen.turn & 1) == 0 || turn != seen.turn;
      for (const int side : {0, 1}) {
        seen.beside_gone[side] = seen.beside_gone[side] || lanes_[i].beside[side].load() == 0;
      }
      gone = gone && seen.owner_gone && seen.beside_gone[0] && seen.beside_gone[1];
    }
    return gone;
  }

  // Both are replaced before any lane is looked at, so that neither outlives its readers.
  std::atomic<const T*> value_{nullptr};  // what current_ holds
  std::atomic<const Node*> current_{nullptr};
  std::atomic<std::uint32_t> side_{0};
  std::vector<Lane> lanes_;
  std::mutex publishing_;
  std::vector<Retired> retired_;  // under publishing_
};

}  // namespace cellroute
