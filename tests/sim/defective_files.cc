#include "tests/sim/defective_files.h"

namespace varve::sim {

std::unique_ptr<FaultyFileSystem> PlantDefect(FileSystem& disk, Defect defect, uint64_t seed) {
  auto files = std::make_unique<FaultyFileSystem>(disk, seed ^ 0xdefec7);
  switch (defect) {
    case Defect::kNone:
      break;
    case Defect::kNoDataSync:
      files->AddFault({.kind = FileFault::Kind::kForget, .ops = {FileOp::kSync}});
      break;
    case Defect::kNoDirectorySync:
      files->AddFault({.kind = FileFault::Kind::kForget, .ops = {FileOp::kSyncDirectory}});
      break;
    case Defect::kMisdirectedWrite:
      files->AddFault(
          {.kind = FileFault::Kind::kMisdirect, .ops = {FileOp::kWrite}, .one_in = 100});
      break;
  }
  return files;
}

}  // namespace varve::sim
