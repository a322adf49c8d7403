#include "storage/restored_image.h"

#include <array>

#include "common/strings.h"

namespace varve::storage {
namespace {

bool SameLife(const PeerMark& a, const PeerMark& b) {
  return a.incarnation == 0 || b.incarnation == 0 || a.incarnation == b.incarnation;
}

MarkRow RowOf(const NodeMarks& self, const PeerMark& remembered) {
  if (!remembered.complete()) return MarkRow::kNothingRemembered;
  if (remembered.node != self.now.node) return MarkRow::kOtherNode;
  if (remembered.directory != self.now.directory) return MarkRow::kOtherDirectory;
  if (remembered.process_epoch <= self.settled_epoch) return MarkRow::kSettled;
  if (remembered.process_epoch > self.now.process_epoch) return MarkRow::kLaterLife;
  if (remembered.process_epoch == self.now.process_epoch) {
    if (!SameLife(remembered, self.now)) return MarkRow::kEpochUsedTwice;
    return remembered.durable > self.now.durable ? MarkRow::kBeyondPresent : MarkRow::kThisLife;
  }
  // Of an earlier life.
  if (!self.recovered) {
    return remembered.durable > self.now.durable ? MarkRow::kBeyondPresent : MarkRow::kEarlierLife;
  }
  const PeerMark& recovered = *self.recovered;
  if (remembered.process_epoch > recovered.process_epoch) return MarkRow::kUnknownLife;
  if (remembered.process_epoch == recovered.process_epoch && !SameLife(remembered, recovered))
    return MarkRow::kEpochUsedTwice;
  return remembered.durable > recovered.durable ? MarkRow::kBeyondRecovered : MarkRow::kEarlierLife;
}

std::string_view PhraseOf(MarkRow row) {
  switch (row) {
    case MarkRow::kBeyondPresent:
      return "the present process was never so far";
    case MarkRow::kEpochUsedTwice:
      return "another process had that epoch";
    case MarkRow::kLaterLife:
      return "that process epoch is still to come";
    case MarkRow::kUnknownLife:
      return "the directory knows no process of that epoch";
    case MarkRow::kBeyondRecovered:
      return "the present start found less";
    default:
      return "";
  }
}

}  // namespace

std::string_view NameOf(MarkRow row) {
  constexpr std::array<std::string_view, static_cast<size_t>(MarkRow::kLast) + 1> kNames = {
      "NothingRemembered", "OtherNode",   "OtherDirectory", "Settled",
      "ThisLife",          "EarlierLife", "BeyondPresent",  "EpochUsedTwice",
      "LaterLife",         "UnknownLife", "BeyondRecovered"};
  return kNames[static_cast<size_t>(row)];
}

MarkFinding JudgeMark(const NodeMarks& self, const PeerMark& remembered) {
  MarkFinding finding{RowOf(self, remembered), ""};
  if (!finding.suspect()) return finding;
  finding.why = StrCat("the data directory of node ", self.now.node,
                       " is older than it was, as a restored image is: a peer saw commit ",
                       remembered.durable, " of process epoch ", remembered.process_epoch, ", and ",
                       PhraseOf(finding.row), " (process epoch ", self.now.process_epoch,
                       " at commit ", self.now.durable);
  if (self.recovered)
    finding.why += StrCat(", recovered from epoch ", self.recovered->process_epoch, " at commit ",
                          self.recovered->durable);
  finding.why += ")";
  return finding;
}

MarkFinding JudgePeer(const NodeMarks& said, const PeerMark& held) {
  const bool same_epoch = held.process_epoch == said.now.process_epoch;
  if (same_epoch && held.directory == said.now.directory && SameLife(held, said.now))
    return {MarkRow::kThisLife, ""};
  return JudgeMark(said, held);
}

}  // namespace varve::storage
