// TempDirectory: a place for the files of one test, removed afterwards.
#ifndef VARVE_TESTS_INTEGRATION_SUPPORT_TEMP_DIRECTORY_H_
#define VARVE_TESTS_INTEGRATION_SUPPORT_TEMP_DIRECTORY_H_

#include <stdlib.h>

#include <cstdio>
#include <filesystem>
#include <string>
#include <system_error>

namespace varve::testing {

// Below TMPDIR. Kept, and told, when VARVE_KEEP is set.
class TempDirectory {
 public:
  TempDirectory() {
    std::string pattern = std::filesystem::temp_directory_path() / "varve-test-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) {
      std::perror(("cannot create " + pattern).c_str());
      std::abort();
    }
    path_ = pattern;
  }
  ~TempDirectory() {
    if (std::getenv("VARVE_KEEP") != nullptr) {
      std::printf("kept: %s\n", path_.c_str());
      return;
    }
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string File(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace varve::testing

#endif  // VARVE_TESTS_INTEGRATION_SUPPORT_TEMP_DIRECTORY_H_
