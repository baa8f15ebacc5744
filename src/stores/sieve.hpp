// Which of a cache's entries to give up: SIEVE (Zhang, Yang, Yue, Vigfusson, Rashmi: SIEVE is
// Simpler than LRU, NSDI 2024).
//
// Entries stand in the order they came. A hit only marks its entry. A hand goes from the oldest to
// the newest, takes marks away, and gives up the first entry without one; then it stays there. So
// what a scan brings, once each, goes before what was asked for again.
#pragma once

namespace cellroute::stores {

// An entry's place, for entries to derive from.
struct SieveLinks {
  SieveLinks* older = nullptr;
  SieveLinks* newer = nullptr;
  bool visited = false;
};

// Entries are the caller's, and stay where they are while they are in here. Thread safety: none.
template <class Entry>
class Sieve {
 public:
  void add(Entry& entry) noexcept {
    SieveLinks& links = entry;
    links.older = newest_;
    links.newer = nullptr;
    (newest_ != nullptr ? newest_->newer : oldest_) = &links;
    newest_ = &links;
  }

  void remove(Entry& entry) noexcept {
    SieveLinks& links = entry;
    if (hand_ == &links) hand_ = links.newer;
    (links.older != nullptr ? links.older->newer : oldest_) = links.newer;
    (links.newer != nullptr ? links.newer->older : newest_) = links.older;
  }

  // The entry to give up, of those that `may_go`; null if there is none. At most two rounds.
  template <class MayGo>
  Entry* victim(MayGo may_go) noexcept {
    int rounds = 0;
    for (SieveLinks* at = hand_;; at = at->newer) {
      if (at == nullptr) {
        if (oldest_ == nullptr || ++rounds > 2) return nullptr;
        at = oldest_;
      }
      if (may_go(static_cast<const Entry&>(*at)) && !at->visited) {
        hand_ = at;
        return static_cast<Entry*>(at);
      }
      at->visited = false;
    }
  }

 private:
  SieveLinks* oldest_ = nullptr;
  SieveLinks* newest_ = nullptr;
  SieveLinks* hand_ = nullptr;  // null: at the oldest
};

}  // namespace cellroute::stores
