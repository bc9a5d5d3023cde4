// Which build of the compiler this is, by the notes of its loaded files.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "BuildIdentity.h"

#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/Support/Chrono.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/TargetParser/Host.h"

#include <cstring>
#include <link.h>

using namespace mlir::moe;

namespace {

/// A loaded file: that which has an address.
struct LoadedFile {
  uintptr_t address;
  std::string identity;
};

} // namespace

/// The build id among the notes of a segment; empty if it is not there.
static llvm::ArrayRef<uint8_t> findBuildID(const uint8_t *notes, size_t size,
                                           size_t alignment) {
  const uint8_t *end = notes + size;
  while (notes + sizeof(ElfW(Nhdr)) <= end) {
    ElfW(Nhdr) header;
    std::memcpy(&header, notes, sizeof header);
    const uint8_t *name = notes + sizeof header;
    const uint8_t *content =
        notes + llvm::alignTo(sizeof header + header.n_namesz, alignment);
    if (header.n_type == NT_GNU_BUILD_ID && header.n_namesz == 4 &&
        std::memcmp(name, "GNU", 4) == 0)
      return {content, header.n_descsz};
    notes = content + llvm::alignTo(header.n_descsz, alignment);
  }
  return {};
}

/// Where a file has no build id, a new one has another size or time.
static std::string describe(const char *path) {
  llvm::sys::fs::file_status status;
  if (llvm::sys::fs::status(path, status))
    return path;
  auto time = status.getLastModificationTime().time_since_epoch();
  return (path + llvm::Twine(":") + llvm::Twine(status.getSize()) + ":" +
          llvm::Twine(time.count()))
      .str();
}

static int visit(dl_phdr_info *info, size_t, void *data) {
  auto &wanted = *static_cast<LoadedFile *>(data);
  llvm::ArrayRef<ElfW(Phdr)> segments(info->dlpi_phdr, info->dlpi_phnum);
  auto start = [&](const ElfW(Phdr) & segment) {
    return info->dlpi_addr + segment.p_vaddr;
  };
  if (llvm::none_of(segments, [&](const ElfW(Phdr) & segment) {
        return segment.p_type == PT_LOAD && wanted.address >= start(segment) &&
               wanted.address < start(segment) + segment.p_memsz;
      }))
    return 0;
  for (const ElfW(Phdr) &segment : segments) {
    if (segment.p_type != PT_NOTE)
      continue;
    auto id = findBuildID(reinterpret_cast<const uint8_t *>(start(segment)),
                          segment.p_memsz, segment.p_align < 8 ? 4 : 8);
    if (!id.empty()) {
      wanted.identity = llvm::toHex(id, /*LowerCase=*/true);
      return 1;
    }
  }
  wanted.identity = describe(info->dlpi_name);
  return 1;
}

std::string python::buildIdentity() {
  // One function of each library that makes code.
  const void *places[] = {
      reinterpret_cast<const void *>(&python::buildIdentity),
      reinterpret_cast<const void *>(&mlir::translateModuleToLLVMIR),
      reinterpret_cast<const void *>(&llvm::sys::getHostCPUName)};
  std::string identity = LLVM_VERSION_STRING;
  for (const void *place : places) {
    LoadedFile file{reinterpret_cast<uintptr_t>(place), ""};
    dl_iterate_phdr(&visit, &file);
    identity += " " + file.identity;
  }
  return identity;
}
