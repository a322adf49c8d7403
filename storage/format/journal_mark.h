// The journal's mark: which journal file is the newest, said outside of it. docs/formats.md,
// "Journal mark".
#ifndef VARVE_STORAGE_FORMAT_JOURNAL_MARK_H_
#define VARVE_STORAGE_FORMAT_JOURNAL_MARK_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/limits.h"
#include "storage/journal.h"

namespace varve::storage {

inline constexpr std::string_view kJournalMarkName = "newest";
// Two slots, written in turn: a torn write leaves the one before.
inline constexpr size_t kJournalMarkBytes = 2 * limits::kBlockBytes;

struct JournalMark {
  JournalFileRef newest;
  uint64_t bytes = 0;  // length of that file
  bool operator==(const JournalMark&) const = default;
};

// One slot of kBlockBytes, and where it belongs.
std::string EncodeJournalMark(const JournalMark& mark);
uint64_t JournalMarkPosition(Generation generation);

// The newer of the slots that validate; nullopt when none does. Hostile input is fine.
std::optional<JournalMark> DecodeJournalMark(std::string_view file);

}  // namespace varve::storage

#endif  // VARVE_STORAGE_FORMAT_JOURNAL_MARK_H_
