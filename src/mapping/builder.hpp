// How a mapping file's builder is made, for those who cut files in another way than it would.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "cellroute/mapping_file/layout.hpp"
#include "mapping/file_builder.hpp"

namespace cellroute::mapping {

using ChooseLayout = crm::Layout (*)(std::uint64_t keys, std::uint32_t cells,
                                     std::uint32_t profiles);

// FileBuilder::create() with a layout of the caller's; with choose_layout(), that itself.
Result<std::unique_ptr<FileBuilder>> create_builder(const std::string& path,
                                                    const FileBuildOptions& options,
                                                    ChooseLayout choose);

}  // namespace cellroute::mapping
