// varve-raft-script: runs the Raft script on standard input. docs/raft_script.md.
#include <iostream>

#include "tests/raft/script/script.h"

int main() { return varve::raft::Script().Run(std::cin, std::cout); }
