// CSV from anybody, through a file as the command reads it: no crash, no endless loop, line numbers
// that only grow.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <memory>

#include "command/csv_input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cellroute::command;
  const int file = ::memfd_create("csv", MFD_CLOEXEC);
  if (file < 0 || ::write(file, data, size) != static_cast<ssize_t>(size)) std::abort();
  ::lseek(file, 0, SEEK_SET);
  CsvReader reader(std::make_unique<InputBuffer>(file, "fuzz"));
  static Batch batch;
  std::uint64_t last = 0;
  std::size_t records = 0;
  do {
    if (!reader.read(batch).ok()) return 0;
    for (const InputRecord& record : batch.records()) {
      if (record.line <= last || ++records > size) std::abort();
      last = record.line;
      if (record.malformed.empty() && record.key.size() > size) std::abort();
    }
  } while (!batch.empty());
  return 0;
}
