#include "stores/fork_guard.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <string>

namespace cellroute::stores {
namespace {

std::size_t page_bytes() { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

}  // namespace

ForkGuard::ForkGuard() : process_(::getpid()) {
  void* page =
      ::mmap(nullptr, page_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return;
  if (::madvise(page, page_bytes(), MADV_WIPEONFORK) != 0) {
    ::munmap(page, page_bytes());
    return;
  }
  *static_cast<volatile unsigned char*>(page) = 1;
  page_ = static_cast<const volatile unsigned char*>(page);
}

ForkGuard::~ForkGuard() {
  if (page_ != nullptr) ::munmap(const_cast<unsigned char*>(page_), page_bytes());
}

bool ForkGuard::same_id() const noexcept { return ::getpid() == process_; }

Error ForkGuard::check() const {
  if (same_process()) return {};
  return Error(ErrorCode::kWrongProcess,
               "this store was opened before fork(), by process " + std::to_string(process_) +
                   "; open it again in process " + std::to_string(::getpid()));
}

}  // namespace cellroute::stores
