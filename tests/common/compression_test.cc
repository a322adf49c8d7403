#include "common/compression.h"

#include <gtest/gtest.h>
#include <lz4frame.h>
#include <zstd.h>

#include <random>

#include "common/bytes.h"
#include "common/error.h"
#include "tests/common/sample_batches.h"

namespace varve {
namespace {

using testing::LogText;

constexpr size_t kMiB = 1024 * 1024;

std::string Noise(size_t bytes) {
  std::mt19937 random(3);
  std::string out(bytes, '\0');
  for (char& c : out) c = static_cast<char>(random());
  return out;
}

std::string MustCompress(Codec codec, std::string_view input,
                         int level = kDefaultCompressionLevel) {
  auto out = Compress(codec, input, level);
  EXPECT_TRUE(out.ok()) << out.status();
  return out.ok() ? *std::move(out) : std::string();
}

class EveryCodec : public ::testing::TestWithParam<Codec> {};

TEST_P(EveryCodec, RoundTripsEverySize) {
  for (const size_t size : {0, 1, 100, 32'767, 32'768, 32'769, 65'536, 300'000, 5'000'000}) {
    for (const std::string& input : {LogText(size), Noise(size), std::string(size, 'z')}) {
      const auto output = Decompress(GetParam(), MustCompress(GetParam(), input), size);
      ASSERT_TRUE(output.ok()) << size << ": " << output.status();
      ASSERT_TRUE(*output == input) << size;
    }
  }
}

TEST_P(EveryCodec, StreamsThroughAnyWindow) {
  const std::string input = LogText(200'000);
  const std::string compressed = MustCompress(GetParam(), input);
  for (const size_t window : {1, 7, 4096, 65'536, 1'000'000}) {
    auto decompressor = MakeDecompressor(GetParam(), compressed, input.size());
    ASSERT_TRUE(decompressor.ok());
    std::string output;
    std::string buffer(window, '\0');
    while (true) {
      const auto n = (*decompressor)->Next(buffer.data(), buffer.size());
      ASSERT_TRUE(n.ok()) << n.status();
      if (*n == 0) break;
      output.append(buffer, 0, *n);
    }
    EXPECT_TRUE(output == input) << window;
    EXPECT_EQ((*decompressor)->produced(), input.size());
    EXPECT_EQ((*decompressor)->Next(buffer.data(), buffer.size()).value_or(99), 0u);
  }
}

TEST_P(EveryCodec, EveryLevelRoundTripsAndOthersAreClamped) {
  const std::string input = LogText(50'000);
  for (const int level : {-100'000, -5, 0, 1, 5, 9, 12, 19, 22, 1'000}) {
    const auto output =
        Decompress(GetParam(), MustCompress(GetParam(), input, level), input.size());
    ASSERT_TRUE(output.ok()) << level << ": " << output.status();
    EXPECT_TRUE(*output == input) << level;
  }
}

TEST_P(EveryCodec, OutputAtTheBoundPassesAndOneByteMoreDoesNot) {
  const std::string input = LogText(100'000);
  const std::string compressed = MustCompress(GetParam(), input);
  EXPECT_TRUE(Decompress(GetParam(), compressed, input.size()).ok());
  const auto over = Decompress(GetParam(), compressed, input.size() - 1);
  EXPECT_EQ(ReasonOf(over.status()), Reason::BATCH_TOO_LARGE) << over.status();
}

TEST_P(EveryCodec, ABombStopsAtTheBound) {
  const std::string bomb = MustCompress(GetParam(), std::string(64 * kMiB, '\0'));
  auto decompressor = MakeDecompressor(GetParam(), bomb, kMiB);
  ASSERT_TRUE(decompressor.ok());
  std::string window(65'536, '\0');
  absl::StatusOr<size_t> n = 1;
  while (n.ok() && *n > 0) n = (*decompressor)->Next(window.data(), window.size());
  EXPECT_EQ(ReasonOf(n.status()), Reason::BATCH_TOO_LARGE) << n.status();
  EXPECT_LE((*decompressor)->produced(), kMiB);
  // Errors stick.
  EXPECT_EQ((*decompressor)->Next(window.data(), window.size()).status(), n.status());
}

INSTANTIATE_TEST_SUITE_P(Codecs, EveryCodec, ::testing::ValuesIn(testing::kAllCodecs),
                         [](const auto& test) { return std::string(CodecName(test.param)); });

class RealCodec : public ::testing::TestWithParam<Codec> {};

TEST_P(RealCodec, EveryCutIsRefused) {
  const std::string input = LogText(3'000);
  const std::string whole = MustCompress(GetParam(), input);
  for (size_t n = 0; n < whole.size(); ++n) {
    // A xerial stream cut between its blocks is a shorter valid stream; only then may it pass.
    const auto output = Decompress(GetParam(), std::string_view(whole).substr(0, n), input.size());
    const bool between_blocks = GetParam() == Codec::kSnappy && n == 16;
    ASSERT_EQ(output.ok(), between_blocks) << n;
    if (!between_blocks) {
      EXPECT_EQ(ReasonOf(output.status()), Reason::INVALID_BATCH) << n;
    }
  }
}

TEST_P(RealCodec, LeftOverBytesAreRefused) {
  const std::string input = LogText(3'000);
  const std::string whole = MustCompress(GetParam(), input);
  EXPECT_EQ(ReasonOf(Decompress(GetParam(), whole + 'x', kMiB).status()), Reason::INVALID_BATCH);
  if (GetParam() != Codec::kSnappy) {  // a second frame or member
    EXPECT_EQ(ReasonOf(Decompress(GetParam(), whole + whole, kMiB).status()),
              Reason::INVALID_BATCH);
  }
}

TEST_P(RealCodec, NoiseIsRefused) {
  EXPECT_EQ(ReasonOf(Decompress(GetParam(), Noise(1000), kMiB).status()), Reason::INVALID_BATCH);
  EXPECT_EQ(ReasonOf(Decompress(GetParam(), "", kMiB).status()), Reason::INVALID_BATCH);
}

INSTANTIATE_TEST_SUITE_P(Codecs, RealCodec,
                         ::testing::Values(Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd),
                         [](const auto& test) { return std::string(CodecName(test.param)); });

TEST(Codec, NamesRoundTrip) {
  for (const Codec codec : testing::kAllCodecs) EXPECT_EQ(CodecNamed(CodecName(codec)), codec);
  EXPECT_EQ(CodecNamed("brotli"), std::nullopt);
  EXPECT_EQ(CodecName(static_cast<Codec>(5)), "unknown");
}

TEST(Codec, UnknownNumbersAreUnsupported) {
  for (const int number : {5, 6, 7}) {
    const auto codec = static_cast<Codec>(number);
    EXPECT_EQ(ReasonOf(Compress(codec, "x").status()), Reason::UNSUPPORTED_COMPRESSION);
    EXPECT_EQ(ReasonOf(MakeDecompressor(codec, "x", 1).status()), Reason::UNSUPPORTED_COMPRESSION);
  }
}

TEST(Snappy, EncodesTheFramingOfJavaClients) {
  const std::string compressed = MustCompress(Codec::kSnappy, LogText(40'000));
  EXPECT_EQ(compressed.substr(0, 16), std::string("\x82SNAPPY\0\0\0\0\1\0\0\0\1", 16));
  const auto first = LoadBig<uint32_t>(compressed.data() + 16);
  const auto second = LoadBig<uint32_t>(compressed.data() + 20 + first);
  EXPECT_EQ(compressed.size(), 16 + 4 + first + 4 + second);  // 32 KiB and the rest
}

TEST(Snappy, DecodesARawBlock) {
  // 11 bytes: literal "ab", then a copy of 9 bytes from 2 back.
  const std::string block(
      "\x0b\x04"
      "ab\x22\x02\x00",
      7);
  const auto output = Decompress(Codec::kSnappy, block, 100);
  ASSERT_TRUE(output.ok()) << output.status();
  EXPECT_EQ(*output, "abababababa");
}

TEST(Snappy, ALyingLengthIsRefusedBeforeMemoryIsTaken) {
  const std::string lie(
      "\xff\xff\xff\xff\x0f\x04"
      "ab",
      8);  // claims 4 GiB
  EXPECT_EQ(ReasonOf(Decompress(Codec::kSnappy, lie, size_t{1} << 40).status()),
            Reason::INVALID_BATCH);
  std::string framed("\x82SNAPPY\0\0\0\0\1\0\0\0\1\x7f\xff\xff\xff", 20);
  EXPECT_EQ(ReasonOf(Decompress(Codec::kSnappy, framed + lie, size_t{1} << 40).status()),
            Reason::INVALID_BATCH);
}

TEST(Snappy, UnknownVersionOfTheFramingIsRefused) {
  std::string framed = MustCompress(Codec::kSnappy, "hello");
  framed[15] = 2;
  EXPECT_EQ(ReasonOf(Decompress(Codec::kSnappy, framed, 100).status()), Reason::INVALID_BATCH);
}

TEST(Zstd, AWindowBeyondEightMebibytesIsUnsupported) {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 27);
  std::string frame(1000, '\0');
  ZSTD_inBuffer in{"hello", 5, 0};
  ZSTD_outBuffer out{frame.data(), frame.size(), 0};
  // In two steps, so that the size is unknown and the window stays as asked for.
  ZSTD_compressStream2(context, &out, &in, ZSTD_e_flush);
  ASSERT_EQ(ZSTD_compressStream2(context, &out, &in, ZSTD_e_end), 0u);
  ZSTD_freeCCtx(context);
  frame.resize(out.pos);
  const auto output = Decompress(Codec::kZstd, frame, 100);
  EXPECT_EQ(ReasonOf(output.status()), Reason::UNSUPPORTED_COMPRESSION) << output.status();
}

TEST(Lz4, LinkedBlocksAndChecksumsAreRead) {
  LZ4F_preferences_t preferences{};
  preferences.frameInfo.blockMode = LZ4F_blockLinked;
  preferences.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled;
  preferences.frameInfo.blockChecksumFlag = LZ4F_blockChecksumEnabled;
  const std::string input = LogText(300'000);
  std::string frame(LZ4F_compressFrameBound(input.size(), &preferences), '\0');
  frame.resize(
      LZ4F_compressFrame(frame.data(), frame.size(), input.data(), input.size(), &preferences));
  const auto output = Decompress(Codec::kLz4, frame, input.size());
  ASSERT_TRUE(output.ok()) << output.status();
  EXPECT_TRUE(*output == input);
}

}  // namespace
}  // namespace varve
