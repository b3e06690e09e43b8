// SPDX-License-Identifier: Apache-2.0
//
// Who wants gzip, and that what comes out is what went in, whoever reads along and how fast.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "web/gzip.h"
#include "web/pages.h"
#include "web_served.h"

namespace listenq::web {
namespace {

TEST(WebGzip, AcceptEncoding) {
  for (const char* yes :
       {"gzip", "GZIP", "x-gzip", "deflate, gzip", "gzip;q=1", "gzip;q=0.5", "gzip ; q=0.001", "*",
        "*;q=0.1", "identity;q=0, gzip", "br;q=1.0, gzip;q=0.8, *;q=0.1", "gzip;level=9",
        "*;q=0, gzip", "gzip,", " gzip "}) {
    EXPECT_TRUE(accepts_gzip(yes)) << yes;
  }
  for (const char* no : {"", "identity", "deflate", "gzip;q=0", "gzip;q=0.0", "gzip;q=0.000",
                         "gzip; Q=0", "*;q=0", "gzip;q=0, *", "gzipped", "gzip;q=", "gzip;q=x",
                         "gzip;q=2", "gzip;q=0.0000", "gz ip", ";gzip", "br"}) {
    EXPECT_FALSE(accepts_gzip(no)) << no;
  }
}

std::string all_of(Stream& stream, std::size_t room) {
  std::string out;
  std::string buffer(room, '\0');
  ssize_t got = 0;
  while ((got = stream.read(buffer.data(), buffer.size())) > 0) {
    out.append(buffer, 0, static_cast<std::size_t>(got));
  }
  EXPECT_EQ(got, Stream::kEnd);
  return out;
}

TEST(WebGzip, ComesOutAsItWentIn) {
  // Sizes around those of the pieces and buffers; the largest shrinks to less than a buffer.
  for (const std::size_t lines : {0U, 1U, 1000U, 2000U, 2100U, 50'000U}) {
    const LongDocument document(lines);
    const auto gzipped = Gzipped::of(document);
    std::string out;
    for (std::string_view more; !(more = gzipped->from(out.size())).empty();) out += more;
    EXPECT_TRUE(gzipped->done());
    EXPECT_EQ(gunzipped(out), LongDocument::text(lines)) << lines;
  }
  const TextDocument same("text/plain", std::string(5'000'000, 'x'));
  const auto gzipped = Gzipped::of(same);
  std::string out;
  for (std::string_view more; !(more = gzipped->from(out.size())).empty();) out += more;
  EXPECT_EQ(gunzipped(out), same.text());
}

/// Says the same over and over, so that zlib has nothing to give out for long.
class DullDocument final : public Document {
 public:
  DullDocument() : Document("text/plain") {}
  [[nodiscard]] std::unique_ptr<Reader> open() const override {
    class DullReader final : public Reader {
     public:
      explicit DullReader(int& pieces) : pieces_(pieces) {}
      bool read(std::string& out) override {
        if (left_-- == 0) return false;
        ++pieces_;
        out.append(64UL * 1024, 'x');
        return true;
      }

     private:
      int& pieces_;
      int left_ = 160;
    };
    return std::make_unique<DullReader>(pieces);
  }
  mutable int pieces = 0;
};

TEST(WebGzip, OneCallRendersABoundedPart) {
  const DullDocument document;
  const auto gzipped = Gzipped::of(document);
  std::string out;
  for (std::string_view more; !(more = gzipped->from(out.size())).empty();) {
    EXPECT_LE(document.pieces, 4);
    document.pieces = 0;
    out += more;
  }
  EXPECT_EQ(gunzipped(out), std::string(160UL * 64UL * 1024, 'x'));
}

TEST(WebPages, ReadersOfAnySpeedGetTheSame) {
  Pages pages(4);
  const auto document = std::make_shared<LongDocument>(20'000);
  const std::string text = LongDocument::text(20'000);
  for (const bool gzip : {false, true}) {
    std::vector<std::unique_ptr<Stream>> streams;
    streams.reserve(5);
    for (int i = 0; i < 5; ++i) streams.push_back(pages.open(document, gzip, [] {}));
    std::string byte(1, '\0');
    // One is ahead, one began and stopped.
    EXPECT_EQ(streams[4]->read(byte.data(), 1), 1);
    const std::string first = all_of(*streams[0], 100'000);
    EXPECT_EQ(gzip ? gunzipped(first) : first, text);
    EXPECT_EQ(all_of(*streams[1], 1), first);
    EXPECT_EQ(all_of(*streams[2], 1000), first);
    EXPECT_EQ(byte + all_of(*streams[4], 77), first);
  }
}

TEST(WebPages, TheOldestIsCutOffAndFreeAtOnce) {
  Pages pages(2);
  std::string cut;
  const auto open = [&](const char* name, bool gzip) {
    auto stream =
        pages.open(std::make_shared<LongDocument>(20'000), gzip, [&cut, name] { cut += name; });
    char byte = 0;
    EXPECT_EQ(stream->read(&byte, 1), 1);
    return stream;
  };
  const auto a = open("a", false);
  const auto b = open("b", true);
  EXPECT_EQ(cut, "");
  EXPECT_EQ(LongDocument::alive, 2);
  const auto c = open("c", false);
  EXPECT_EQ(cut, "a");
  EXPECT_EQ(LongDocument::alive, 2);
  char byte = 0;
  EXPECT_EQ(a->read(&byte, 1), Stream::kCut);
  const auto d = open("d", true);
  EXPECT_EQ(cut, "ab");
  EXPECT_EQ(LongDocument::alive, 2);
  EXPECT_EQ(b->read(&byte, 1), Stream::kCut);
  EXPECT_EQ(c->read(&byte, 1), 1);
}

TEST(WebPages, WhoIsDoneHoldsNothing) {
  Pages pages(1);
  const auto stream = pages.open(std::make_shared<LongDocument>(1000), false, [] { FAIL(); });
  EXPECT_EQ(all_of(*stream, 100'000), LongDocument::text(1000));
  EXPECT_EQ(LongDocument::alive, 0);
  const auto next = pages.open(std::make_shared<LongDocument>(1000), true, [] { FAIL(); });
  EXPECT_EQ(gunzipped(all_of(*next, 100'000)), LongDocument::text(1000));
}

TEST(WebPages, CompressedPagesAreKeptAsLongAsTheDocument) {
  Pages pages(4);
  auto document = std::make_shared<LongDocument>(1000);
  const int before = LongDocument::opened;
  EXPECT_FALSE(pages.open(document, true, [] {})->size());
  const std::string first = all_of(*pages.open(document, true, [] {}), 1000);
  const auto again = pages.open(document, true, [] {});
  EXPECT_EQ(again->size(), first.size());
  EXPECT_EQ(all_of(*again, 1000), first);
  EXPECT_EQ(LongDocument::opened - before, 2);
  const std::weak_ptr<Gzipped> kept = Gzipped::of(*document);
  EXPECT_FALSE(kept.expired());
  document.reset();
  EXPECT_EQ(LongDocument::alive, 0);
  pages.tidy();
  EXPECT_TRUE(kept.expired());
}

}  // namespace
}  // namespace listenq::web
