#include "tests/sim/raft/defect_names.h"

namespace varve::raftsim {
namespace {

constexpr std::string_view kDefectNames[kDefects] = {
    "none",
    "vote-not-persisted",
    "vote-without-log-check",
    "vote-twice",
    "own-vote-before-durable",
    "pre-vote-resets-timer",
    "acknowledged-before-durable",
    "old-term-committed-by-count",
    "truncation-on-any-append",
    "previous-not-checked",
    "completion-without-term",
    "commit-beyond-proven",
    "leader-counts-undurable",
    "configuration-not-reverted",
    "learner-counted",
    "joint-by-one-side",
    "second-configuration",
    "replica-epoch-ignored",
    "barrier-by-old-replies",
    "barrier-before-confirmed",
    "install-replaces-newer",
    "failed-disk-acknowledges",
    "uncommitted-leak",
    "result-forgotten",
    "window-never-reopens",
    "old-reply-counts",
    "stickiness-ignored",
};

}  // namespace

std::string_view NameOf(Defect defect) { return kDefectNames[static_cast<size_t>(defect)]; }

std::optional<Defect> DefectNamed(std::string_view name) {
  for (size_t i = 0; i < kDefects; ++i) {
    if (kDefectNames[i] == name) return static_cast<Defect>(i);
  }
  return std::nullopt;
}

}  // namespace varve::raftsim
