#include "storage/format/file_header.h"

#include <gtest/gtest.h>

#include "common/bytes.h"
#include "common/crc32c.h"
#include "common/error.h"
#include "tests/storage/journal_script.h"

namespace varve::storage {
namespace {

FileHeader Sample(FileKind kind) {
  FileHeader header;
  header.kind = kind;
  header.optional_features = 0x80;
  header.identity = TestIdentity();
  header.file = FileNumber{17};
  header.group = GroupId{65536};
  header.base_offset = Offset{1'000'000'000'007};
  header.first_index = Index{42};
  header.generation = Generation{9};
  header.first_commit_position = 12288;
  header.key_id.fill(0x33);
  return header;
}

void Reseal(std::string* block) {
  StoreLittle(block->data() + 4092, Crc32c(std::string_view(*block).substr(0, 4092)));
}

TEST(FileHeader, ReadsBackWhatWasWritten) {
  for (const FileKind kind : {FileKind::kIdentity, FileKind::kJournal, FileKind::kSegment,
                              FileKind::kIndex, FileKind::kDerivedState}) {
    const std::string block = EncodeFileHeader(Sample(kind));
    ASSERT_EQ(block.size(), kFileHeaderBytes);
    const auto header = DecodeFileHeader(block, kind);
    ASSERT_TRUE(header.ok()) << header.status();
    EXPECT_EQ(*header, Sample(kind)) << NameOf(kind);
  }
}

TEST(FileHeader, LayoutIsThatOfTheFormatsPage) {
  const std::string block = EncodeFileHeader(Sample(FileKind::kSegment));
  EXPECT_EQ(block.substr(0, 8), "VARVESEG");
  EXPECT_EQ(LoadLittle<uint16_t>(block.data() + 8), 1);
  EXPECT_EQ(LoadLittle<uint32_t>(block.data() + 12), 4096u);
  EXPECT_EQ(block[32], 0x11);
  EXPECT_EQ(block[48], 0x22);
  EXPECT_EQ(LoadLittle<uint64_t>(block.data() + 64), 17u);
  EXPECT_EQ(LoadLittle<uint64_t>(block.data() + 72), 65536u);
  EXPECT_EQ(LoadLittle<int64_t>(block.data() + 80), 1'000'000'000'007);
  EXPECT_EQ(LoadLittle<uint64_t>(block.data() + 88), 42u);
  EXPECT_EQ(LoadLittle<uint64_t>(block.data() + 96), 9u);
  EXPECT_EQ(LoadLittle<uint64_t>(block.data() + 104), 12288u);
  EXPECT_EQ(LoadLittle<uint32_t>(block.data() + 112), 3u);
  EXPECT_EQ(block[120], 0x33);
}

TEST(FileHeader, AnyFlippedBitIsDataLoss) {
  const std::string good = EncodeFileHeader(Sample(FileKind::kJournal));
  for (size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ (1 << (at % 8)));
    EXPECT_EQ(ReasonOf(DecodeFileHeader(bad, FileKind::kJournal).status()), Reason::DATA_LOSS)
        << at;
  }
  EXPECT_EQ(ReasonOf(DecodeFileHeader(good.substr(1), FileKind::kJournal).status()),
            Reason::DATA_LOSS);
  EXPECT_EQ(ReasonOf(DecodeFileHeader(good, FileKind::kSegment).status()), Reason::DATA_LOSS);
}

TEST(FileHeader, NewerVersionOrUnknownRequiredFeatureIsNewerFormat) {
  std::string version = EncodeFileHeader(Sample(FileKind::kJournal));
  StoreLittle(version.data() + 8, uint16_t{2});
  Reseal(&version);
  EXPECT_EQ(ReasonOf(DecodeFileHeader(version, FileKind::kJournal).status()), Reason::NEWER_FORMAT);
  FileHeader header = Sample(FileKind::kJournal);
  header.required_features = 4;
  EXPECT_EQ(ReasonOf(DecodeFileHeader(EncodeFileHeader(header), FileKind::kJournal).status()),
            Reason::NEWER_FORMAT);
}

TEST(FileHeader, AnotherDirectoryIsForeign) {
  const FileHeader header = Sample(FileKind::kIdentity);
  EXPECT_TRUE(CheckBelongs(header, TestIdentity()).ok());
  for (int field = 0; field < 3; ++field) {
    DirectoryIdentity other = TestIdentity();
    if (field == 0) other.cluster.bytes[0] = 1;
    if (field == 1) other.directory.bytes[0] = 1;
    if (field == 2) other.node = NodeId{4};
    EXPECT_EQ(ReasonOf(CheckBelongs(header, other)), Reason::FOREIGN_DIRECTORY) << field;
  }
}

}  // namespace
}  // namespace varve::storage
