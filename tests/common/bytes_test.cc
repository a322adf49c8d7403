#include "common/bytes.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <memory>
#include <string>

namespace varve {
namespace {

using std::string_literals::operator""s;

TEST(SharedBytesTest, SharesOneBufferUntilTheLastCopyIsGone) {
  auto owner = std::make_shared<const std::string>("hello world");
  const std::weak_ptr<const std::string> watch = owner;
  SharedBytes all(owner, *owner);
  owner.reset();
  SharedBytes word = all.Slice(6, 5);
  EXPECT_EQ(word.view().data(), all.view().data() + 6);
  all = SharedBytes();
  EXPECT_EQ(word.view(), "world");
  EXPECT_FALSE(watch.expired());
  word = SharedBytes();
  EXPECT_TRUE(watch.expired());
}

TEST(SharedBytesTest, CopyIsIndependentAndTakeKeepsTheBuffer) {
  std::string source(100, 'a');
  const SharedBytes copy = SharedBytes::Copy(source);
  const char* const buffer = source.data();
  source[0] = 'b';
  EXPECT_EQ(copy.view()[0], 'a');
  const SharedBytes taken = SharedBytes::Take(std::move(source));
  EXPECT_EQ(taken.view().data(), buffer);
  EXPECT_EQ(taken.size(), 100U);
}

TEST(SharedBytesTest, SlicesReachTheEndsButNotBeyond) {
  const SharedBytes bytes = SharedBytes::Copy("abc");
  EXPECT_EQ(bytes.Slice(0, 3).view(), "abc");
  EXPECT_TRUE(bytes.Slice(3, 0).empty());
  EXPECT_TRUE(SharedBytes().Slice(0, 0).empty());
  EXPECT_DEATH((void)bytes.Slice(2, 2), "slice 2\\+2 of 3");
  EXPECT_DEATH((void)bytes.Slice(1, std::numeric_limits<size_t>::max()), "slice 1");
}

TEST(ByteOrderTest, LittleAndBigAreWhatTheySay) {
  const std::string bytes = "\x01\x02\x03\x04\x05\x06\x07\x08"s;
  EXPECT_EQ(LoadLittle<uint8_t>(bytes.data()), 0x01);
  EXPECT_EQ(LoadLittle<uint16_t>(bytes.data()), 0x0201);
  EXPECT_EQ(LoadLittle<uint32_t>(bytes.data()), 0x04030201U);
  EXPECT_EQ(LoadLittle<uint64_t>(bytes.data()), 0x0807060504030201U);
  EXPECT_EQ(LoadBig<uint16_t>(bytes.data()), 0x0102);
  EXPECT_EQ(LoadBig<uint32_t>(bytes.data()), 0x01020304U);
  EXPECT_EQ(LoadBig<uint64_t>(bytes.data()), 0x0102030405060708U);
}

TEST(ByteOrderTest, StoresReadBackAtAnyAlignment) {
  for (size_t at = 0; at < 8; ++at) {
    std::string bytes(16, '\0');
    StoreLittle<int32_t>(bytes.data() + at, -5);
    EXPECT_EQ(LoadLittle<int32_t>(bytes.data() + at), -5);
    StoreBig<int64_t>(bytes.data() + at, std::numeric_limits<int64_t>::min() + 1);
    EXPECT_EQ(LoadBig<int64_t>(bytes.data() + at), std::numeric_limits<int64_t>::min() + 1);
  }
}

TEST(ByteWriterTest, AppendsBehindWhatIsThere) {
  std::string out = "x";
  ByteWriter writer(&out);
  writer.Put<uint16_t>(0x0201);
  writer.PutSized("ab");
  EXPECT_EQ(out, "x\x01\x02\x02\x00\x00\x00"s + "ab");
  EXPECT_EQ(writer.size(), out.size());
}

TEST(ByteWriterTest, PadsWithZerosToTheAlignment) {
  std::string out = "abc";
  ByteWriter writer(&out);
  writer.PadTo(8);
  EXPECT_EQ(out, "abc\0\0\0\0\0"s);
  writer.PadTo(8);
  EXPECT_EQ(out.size(), 8U);
}

TEST(ByteReaderTest, ReadsWhatTheWriterWrote) {
  std::string out;
  ByteWriter writer(&out);
  writer.Put<uint8_t>(200);
  writer.Put<int64_t>(-3);
  writer.PutSized("key");
  writer.PutBytes("tail");
  ByteReader reader(out);
  EXPECT_EQ(reader.Get<uint8_t>(), 200);
  EXPECT_EQ(reader.Get<int64_t>(), -3);
  EXPECT_EQ(reader.GetSized(), "key");
  EXPECT_EQ(reader.remaining(), 4U);
  EXPECT_EQ(reader.GetBytes(4), "tail");
  EXPECT_TRUE(reader.ok());
  EXPECT_EQ(reader.position(), out.size());
}

TEST(ByteReaderTest, AReadBeyondTheEndYieldsNothingAndLatches) {
  ByteReader reader("abc");
  EXPECT_EQ(reader.Get<uint32_t>(), 0U);
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.remaining(), 3U) << "nothing is consumed";
  EXPECT_EQ(reader.Get<uint8_t>(), 'a');
  EXPECT_FALSE(reader.ok()) << "it stays";
}

TEST(ByteReaderTest, AHostileLengthIsRefused) {
  const std::string bytes =
      "\xff\xff\xff\xff"
      "ab"s;
  ByteReader reader(bytes);
  EXPECT_EQ(reader.GetSized(), "");
  EXPECT_FALSE(reader.ok());
  ByteReader huge("ab");
  EXPECT_EQ(huge.GetBytes(std::numeric_limits<size_t>::max()), "");
  EXPECT_FALSE(huge.ok());
}

// Every prefix of a valid encoding is refused, none is misread.
TEST(ByteReaderTest, EveryCutIsNoticed) {
  std::string out;
  ByteWriter writer(&out);
  writer.Put<uint32_t>(7);
  writer.PutSized("payload");
  for (size_t cut = 0; cut <= out.size(); ++cut) {
    ByteReader reader(std::string_view(out).substr(0, cut));
    reader.Get<uint32_t>();
    reader.GetSized();
    EXPECT_EQ(reader.ok(), cut == out.size()) << "cut at " << cut;
  }
}

}  // namespace
}  // namespace varve
